import Archive
import Dispatch
import Imaging
import InspectionProtocol
import InspectionRuntime
import Locking
import Logging

/// `beltwatch.journal`: keeps what a station says, and never makes it wait.
///
/// Messages are handed over on `beltwatch.decide`, wait in a bounded backlog for at most half of the sync window, and are
/// written and synced together in the other half. Holds the station's directory, its session number and its part ids as
/// well, because they must outlive the messages.
public final class JournalWriter: InspectionOutput, RecordKeeper, @unchecked Sendable {
    // Sendable because `store`, `spare` and `timer` are touched on `queue` only, once `init` is through; all else is
    // behind a lock.

    private struct Intake {
        var backlog: JournalBacklog
        var ledger = JournalLedger()
        var isCommitDue = false
        var events: [StationEvent]

        /// When the message came that has waited longest.
        var waitingSince: MonotonicInstant?
    }

    /// How long the end of a run waits for a disk that hangs.
    private static let flushLimit = Duration.seconds(5)

    public let session: SessionNumber

    /// The session before, if the journal knows it.
    public let previousSession: JournalSession?
    public let files: JournalFiles
    private let state: StationState
    private let settings: StationConfiguration.Journal
    private let clock: any MonotonicClock
    private let wallClock: any WallClock
    private let logger: Logger
    private let queue = DispatchQueue(label: "beltwatch.journal", qos: .userInitiated)
    private let intake: Lock<Intake>
    private let store: JournalStore

    /// Empty; changes places with the backlog, so that nobody waits at the lock while that is emptied.
    private var spare: JournalBacklog
    private var timer: (any DispatchSourceTimer)?

    /// Opens the journal, or begins one, and counts this start.
    ///
    /// A damaged database is moved aside and logged as an error; session and part ids go on above the old ones.
    ///
    /// - Throws: Where the counters or the database cannot be read or written. A full disk is no error as long as the
    ///   files are there from an earlier start.
    public init(
        in directory: consuming StationDirectory, facts: JournalSessionFacts, settings: StationConfiguration.Journal,
        mailbox: MailboxConfiguration, clock: any MonotonicClock = SystemMonotonicClock(),
        wallClock: any WallClock = SystemWallClock(), logger: Logger
    ) throws(JournalError) {
        files = JournalFiles(in: directory.path)
        self.settings = settings
        self.clock = clock
        self.wallClock = wallClock
        self.logger = logger
        store = try JournalStore(
            in: directory, facts: facts, settings: settings, clock: clock, wallClock: wallClock, logger: logger)
        state = store.state
        session = SessionNumber(state.session)
        previousSession = store.previousSession
        var ledger = JournalLedger()
        ledger.settle(store.condition, at: clock.now, wall: wallClock.now)
        intake = Lock(Intake(backlog: JournalBacklog(mailbox), ledger: ledger, events: store.takeEvents()))
        spare = JournalBacklog(mailbox)
        let timer = DispatchSource.makeTimerSource(queue: queue)
        timer.setEventHandler { [weak self] in self?.tend() }
        timer.schedule(deadline: .now() + .seconds(1), repeating: .seconds(1), leeway: .milliseconds(50))
        timer.activate()
        self.timer = timer
    }

    deinit { timer?.cancel() }

    public var health: JournalHealth { intake.withLock { $0.ledger.health } }

    public var counts: JournalCounts { intake.withLock { $0.ledger.counts } }

    public var recordCondition: RecordCondition {
        switch health {
        case .writing: .complete
        case .degraded: .degraded
        case .failed(let reason, _): .failed(reason: reason)
        }
    }

    public func takeEvents() -> [StationEvent] {
        intake.withLock { intake in
            guard !intake.events.isEmpty else { return [] }
            defer { intake.events.removeAll() }
            return intake.events
        }
    }

    /// Takes a message in without waiting.
    ///
    /// One that finds no room is counted as lost, and leaves a hole in the sequence numbers of the journal.
    public func send(_ message: Message) {
        guard message.body.kind.isJournalled else { return }
        let (now, wall) = (clock.now, wallClock.now)
        let startsWaiting = intake.withLock { intake in
            if case .failed = intake.ledger.health {
                intake.ledger.lose([message.body.kind: 1], at: now, wall: wall)
                return false
            }
            if let other = intake.backlog.offer(message) {
                intake.ledger.lose([other.body.kind: 1], at: now, wall: wall)
            }
            guard !intake.isCommitDue else { return false }
            intake.isCommitDue = true
            intake.waitingSince = now
            return true
        }
        if startsWaiting {
            let wait = settings.syncWindow / 2
            queue.asyncAfter(deadline: .now() + .nanoseconds(Int(wait.nanoseconds))) { self.commit() }
        }
    }

    /// Waits until everything sent so far is on the disk, or given up, or five seconds are over.
    ///
    /// Not for `beltwatch.decide`: it waits for the disk.
    public func flush() {
        let isDone = Monitor(false)
        queue.async {
            self.commit()
            isDone.withLock { $0 = true }
        }
        _ = isDone.wait(atMost: Self.flushLimit) { $0 ? true : nil }
    }

    /// Writes what is left, notes the orderly end of the session, and closes the database, or gives up after five seconds.
    ///
    /// Nothing may be sent afterwards.
    public func close() {
        let isDone = Monitor(false)
        queue.async { [self] in
            commit()
            timer?.cancel()
            timer = nil
            store.close()
            isDone.withLock { $0 = true }
        }
        _ = isDone.wait(atMost: Self.flushLimit) { $0 ? true : nil }
    }

    /// Reserves part ids that no start of this station has had or will have, in ascending order from 1.
    ///
    /// Waits for the disk, also for a full one, which costs no space: to be called ahead of need.
    ///
    /// - Parameter count: More means fewer syncs, and more skipped ids after a crash.
    public func reservePartIDs(_ count: UInt64) throws(StationStateError) -> Range<UInt64> {
        let reserved = try state.reservePartIDs(count)
        let counters = state.counters
        queue.async { self.store.note(counters) }
        return reserved
    }

    // MARK: On the queue

    private func commit() {
        let since = intake.withLock { intake in
            swap(&intake.backlog, &spare)
            intake.isCommitDue = false
            return intake.waitingSince.take()
        }
        let (answers, evidence) = spare.takeAll()
        guard !(answers.isEmpty && evidence.isEmpty) else { return }
        let lost = store.write(answers: answers, evidence: evidence)
        let written = answers.count + evidence.count - lost.values.reduce(0, +)
        let (now, wall, condition) = (clock.now, wallClock.now, store.condition)
        let events = store.takeEvents()
        intake.withLock { intake in
            intake.events += events
            if written > 0 {
                intake.ledger.noteCommit(of: written, taking: since.map { $0.duration(to: now) } ?? .zero)
            }
            intake.ledger.settle(condition, at: now, wall: wall)
            intake.ledger.lose(lost, at: now, wall: wall)
        }
    }

    private func tend() {
        let hasMore = store.tend()
        let (now, wall, condition) = (clock.now, wallClock.now, store.condition)
        let events = store.takeEvents()
        let (before, after, lost) = intake.withLock { intake in
            intake.events += events
            let before = intake.ledger.health
            intake.ledger.settle(condition, at: now, wall: wall)
            return (before, intake.ledger.health, intake.ledger.takeUnreported())
        }
        for (kind, count) in lost.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            logger.warning("messages not journalled", metadata: ["kind": "\(kind.rawValue)", "count": "\(count)"])
        }
        if before != after, after == .writing { logger.info("journal keeps everything again") }
        if hasMore { queue.async { self.prune() } }
    }

    /// Step by step, so that commits come in between.
    private func prune() {
        if store.prune() { queue.async { self.prune() } }
    }
}
