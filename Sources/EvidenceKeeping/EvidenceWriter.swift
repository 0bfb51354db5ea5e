import AnomalyScoring
import Dispatch
import Imaging
import InspectionProtocol
import InspectionRuntime
import Locking
import Logging

/// `beltwatch.evidence`: keeps the pictures of parts, and never at the cost of a verdict.
///
/// A part's frame and map are handed over on `beltwatch.decide` and wait in a mailbox for a few; what does not fit is lost
/// and counted. They are encoded and written one part after the other, with the least priority that the system has, so
/// that the parts which are still to be judged go first.
public final class EvidenceWriter: EvidenceKeeper, @unchecked Sendable {
    // Sendable because what follows `intake` is touched on `queue` only, once `init` is through; all else is behind
    // a lock or never changes.

    /// A part on its way to the disk.
    private struct Job: Sendable {
        var part: PartID
        var session: SessionNumber
        var pictures: [PartPicture]

        /// The message that says where they are going.
        var result: Message
    }

    private struct Intake {
        var mailbox: BoundedMailbox<Job>
        var ledger = EvidenceLedger()
        var isWorking = false
        var isClosed = false
        var listener: @Sendable (EvidenceReport) -> Void = { _ in }
    }

    /// How often the disk is looked at: a full one shows within a second.
    private static let tickPeriod = Duration.milliseconds(500)

    /// How long the end of a run waits for a disk that hangs.
    private static let closingLimit = Duration.seconds(5)

    typealias Drawing = @Sendable ([PartPicture], Message) throws(EvidenceFault) -> EvidenceFiles

    private let drawing: Drawing
    private let clock: any MonotonicClock
    private let wallClock: any WallClock
    private let logger: Logger
    private let queue = DispatchQueue(label: "beltwatch.evidence", qos: .background)
    private let intake: Monitor<Intake>
    private let store: EvidenceStore
    private var timer: (any DispatchSourceTimer)?
    private var ticks = 0

    /// Which loss was logged last: once is enough, until it is over.
    private var loggedSince: UTCTimestamp?

    /// Begins to read what is there, and to remove what was left unfinished.
    ///
    /// - Parameters:
    ///   - directory: The station's state directory.
    ///   - preprocessing: What of a frame an anomaly map shows.
    ///   - mapOptions: What the values of the map mean.
    public convenience init(
        in directory: String, settings: StationConfiguration.Evidence, preprocessing: Preprocessing,
        mapOptions: MapOptions, clock: any MonotonicClock = SystemMonotonicClock(),
        wallClock: any WallClock = SystemWallClock(), logger: Logger
    ) {
        let drawing = EvidenceDrawing(preprocessing: preprocessing, mapOptions: mapOptions)
        self.init(
            in: directory, settings: settings, clock: clock, wallClock: wallClock, logger: logger,
            drawing: { pictures, result throws(EvidenceFault) in try drawing.files(of: pictures, with: result) })
    }

    /// - Parameter drawing: Makes files of pictures.
    init(
        in directory: String, settings: StationConfiguration.Evidence, clock: any MonotonicClock,
        wallClock: any WallClock, logger: Logger, drawing: @escaping Drawing
    ) {
        self.drawing = drawing
        self.clock = clock
        self.wallClock = wallClock
        self.logger = logger
        store = EvidenceStore(in: directory, settings: settings)
        intake = Monitor(Intake(mailbox: BoundedMailbox(capacity: settings.queue, policy: .rejectNewest)))
        let timer = DispatchSource.makeTimerSource(queue: queue)
        timer.setEventHandler { [weak self] in self?.tend() }
        timer.schedule(
            deadline: .now(), repeating: .milliseconds(Int(Self.tickPeriod.nanoseconds / 1_000_000)),
            leeway: .milliseconds(50))
        timer.activate()
        self.timer = timer
    }

    deinit { timer?.cancel() }

    /// Tells what becomes of every part that was queued, from now on.
    ///
    /// - Parameter listener: Called on `beltwatch.evidence`.
    public func report(to listener: @escaping @Sendable (EvidenceReport) -> Void) {
        intake.withLock { $0.listener = listener }
    }

    public var health: EvidenceHealth { intake.withLock { $0.ledger.health } }

    public var counts: EvidenceCounts { intake.withLock { $0.ledger.counts } }

    public var isDegraded: Bool { health != .keeping }

    public func keep(_ pictures: [PartPicture], with result: Message) -> Message {
        let (now, wall) = (clock.now, wallClock.now)
        let (part, session) = (result.part, result.envelope.session)
        let path = EvidenceStore.path(of: part, in: session)
        let queued = result.stating(Evidence(path: path, sha256: nil, state: .queued))
        let job = Job(part: part, session: session, pictures: pictures, result: queued)
        let (isTaken, startsWorking) = intake.withLock { intake in
            guard !intake.isClosed, intake.ledger.takesParts else {
                intake.ledger.lose(nil, at: now, wall: wall)
                return (false, false)
            }
            guard case .stored = intake.mailbox.offer(job) else {
                intake.ledger.lose(.overload, at: now, wall: wall)
                return (false, false)
            }
            defer { intake.isWorking = true }
            return (true, !intake.isWorking)
        }
        if startsWorking { queue.async { self.work() } }
        return isTaken ? queued : result.stating(Evidence(path: nil, sha256: nil, state: .dropped))
    }

    /// Takes nothing more, writes what waits, or gives up after five seconds.
    ///
    /// Not for `beltwatch.decide`: it waits for the disk.
    public func close() {
        intake.withLock { $0.isClosed = true }
        _ = intake.wait(atMost: Self.closingLimit) { $0.isWorking ? nil : true }
        queue.async { [self] in
            timer?.cancel()
            timer = nil
        }
    }

    // MARK: On the queue

    private func work() {
        while let job = takeNext() {
            let report = outcome(of: job)
            let (now, wall) = (clock.now, wallClock.now)
            let listener = intake.withLock { intake in
                switch report {
                case .stored: intake.ledger.noteStored()
                case .dropped(_, _, let fault):
                    intake.ledger.lose(fault.isOfTheDisk ? .disk(fault) : .part(fault), at: now, wall: wall)
                }
                return intake.listener
            }
            listener(report)
        }
    }

    private func takeNext() -> Job? {
        intake.withLock { intake in
            let job = intake.mailbox.next()
            intake.isWorking = job != nil
            return job
        }
    }

    private func outcome(of job: Job) -> EvidenceReport {
        let path = EvidenceStore.path(of: job.part, in: job.session)
        do throws(EvidenceFault) {
            let files = try drawing(job.pictures, job.result)
            try store.store(files, of: job.part, in: job.session)
            return .stored(job.part, path: path, sha256: files.sha256)
        } catch {
            return .dropped(job.part, path: path, error)
        }
    }

    private func tend() {
        store.tend()
        let (now, wall) = (clock.now, wallClock.now)
        ticks += 1
        let isSecond = ticks.isMultiple(of: 2)
        let (health, lost) = intake.withLock { intake in
            intake.ledger.settle(store.fault, at: now, wall: wall)
            return (intake.ledger.health, isSecond ? intake.ledger.takeUnreported() : 0)
        }
        if lost > 0 { logger.warning("pictures of parts not kept", metadata: ["count": "\(lost)"]) }
        switch health {
        case .degraded(let degradation) where loggedSince != degradation.since:
            loggedSince = degradation.since
            logger.error("pictures of parts are being lost", metadata: ["reason": "\(degradation.cause)"])
        case .keeping where loggedSince != nil:
            loggedSince = nil
            logger.info("pictures of parts are kept again")
        case .degraded, .keeping: break
        }
    }
}

extension Message {
    /// The part that a `result/` message is about.
    fileprivate var part: PartID { details.verdict.partID }

    fileprivate func stating(_ evidence: Evidence) -> Message {
        var result = details
        result.details.evidence = evidence
        return Message(envelope: envelope, body: .result(result))
    }

    private var details: PartResult {
        guard case .result(let result) = body else { preconditionFailure("evidence goes with a result") }
        return result
    }
}
