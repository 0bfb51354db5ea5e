import AnomalyScoring
import Imaging
import InspectionProtocol
import Locking
import Logging
import TensorKernels

/// The line: frames in, exactly one verdict per part out.
///
/// ```
/// run(source) ─▶ beltwatch.gate ─▶ beltwatch.preprocess ─▶ beltwatch.score ─▶ beltwatch.fuse ─▶ beltwatch.decide
///  its thread     which frame is     region, exact resize,     the networks       z-scores,         verdicts, deadlines,
///                 which part         image health                                 regions           state, heartbeat
/// ```
///
/// The daemon and replay run the same line. What differs is the source and the `Pace`.
public final class InspectionPipeline: Sendable {
    /// What looks at the parts.
    public struct Model: Sendable {
        public var scorer: any PartScorer
        public var fusion: ScoreFusion
        public var preprocessing: Preprocessing

        /// Which pictures can be judged at all.
        public var healthLimits: ImageHealth.Limits

        /// What the scorer's maps mean, for those who draw them.
        public var mapOptions: MapOptions

        /// Digest of the model file, hexadecimal.
        public var sha256: String?

        public init(
            scorer: any PartScorer, fusion: ScoreFusion, preprocessing: Preprocessing = Preprocessing(),
            healthLimits: ImageHealth.Limits = ImageHealth.Limits(), mapOptions: MapOptions = MapOptions(),
            sha256: String? = nil
        ) {
            self.scorer = scorer
            self.fusion = fusion
            self.preprocessing = preprocessing
            self.healthLimits = healthLimits
            self.mapOptions = mapOptions
            self.sha256 = sha256
        }
    }

    /// Who sets the pace: the belt, or the slowest stage.
    public enum Pace: Hashable, Sendable {
        /// The belt. Every part is answered within the budget after its capture; what does not fit a mailbox goes by its
        /// overflow policy.
        case live(latencyBudget: Duration, mailboxes: StationConfiguration.Mailboxes)

        /// The slowest stage: every frame is waited for, nothing is late, and verdicts keep the order of the parts. The
        /// same frames give the same verdicts.
        case lossless

        var mailboxes: StationConfiguration.Mailboxes {
            switch self {
            case .live(_, let mailboxes): mailboxes
            case .lossless: .lossless
            }
        }

        var latencyBudget: Duration? {
            switch self {
            case .live(let budget, _): budget
            case .lossless: nil
            }
        }
    }

    public struct Configuration: Sendable {
        public var station: StationName
        public var session: SessionNumber
        public var recipe: String
        public var recipeRevision = 1
        public var trigger: TriggerMode

        /// How many frames show one part, 1…16: the one at its trigger and those right after it. Always 1 where every frame
        /// is a part.
        public var views = 1
        public var pace: Pace

        /// How old a live frame may be when it gets here; an older one is counted, and its part rejected, unseen. Nil takes
        /// them all.
        public var staleAfter: Duration?

        /// Whether frames are happening now (`FrameSource.isLive`). If not, every message is marked `simulated` and no
        /// controller is told to rely on the station.
        public var isLive: Bool
        public var starvedAfter = Duration.seconds(10)

        /// How long a stage may be busy with one element, and a camera that runs by itself (an `interval` trigger, live)
        /// give no frame.
        public var stallLimit = Duration.seconds(5)

        /// After what the line should stop.
        public var lineStop = StationConfiguration.LineStop()

        /// What an earlier session said when the line stop's latch closed, if nobody has reset it since.
        public var standingLineStop: String?

        /// Whether parts are judged as soon as frames come, without the command `Arm`.
        public var armsItself = true

        /// Digest of the station's file, hexadecimal.
        public var configurationSHA256: String?
        public var version: String

        public init(
            station: StationName, session: SessionNumber, recipe: String, trigger: TriggerMode, pace: Pace,
            isLive: Bool,
            version: String
        ) {
            self.station = station
            self.session = session
            self.recipe = recipe
            self.trigger = trigger
            self.pace = pace
            self.isLive = isLive
            self.version = version
        }
    }

    private let configuration: Configuration
    private let clock: any MonotonicClock
    private let partIDs: any PartIDSource
    private let desk: DecisionDesk
    private let stages: InspectionStages
    private let source = Lock<(any FrameSource)?>(nil)
    private let isStopping = Monitor(false)

    /// Begins to send heartbeats at once. Whoever makes a line ends it by `shutDown`.
    ///
    /// - Parameters:
    ///   - outputs: Hear every message, in order, on `beltwatch.decide`.
    ///   - record: What one of the outputs keeps; without it no part is judged. Nil where nothing is kept, as in replay.
    ///   - evidence: Takes the pictures of parts that are not accepted; nil where no frame is to be held for that.
    ///   - vitals: Asked on `beltwatch.decide` ten times a second, so it must not wait.
    ///   - moved: Called every 100 ms while the decision path and all stages move: what a watchdog is fed from.
    public init(
        _ configuration: Configuration, model: Model, partIDs: any PartIDSource, outputs: [any InspectionOutput],
        record: (any RecordKeeper)? = nil, evidence: (any EvidenceKeeper)? = nil,
        vitals: @escaping @Sendable () -> StationVitals = { StationVitals() },
        clock: any MonotonicClock = SystemMonotonicClock(),
        wallClock: any WallClock = SystemWallClock(),
        logger: Logger, moved: @escaping @Sendable () -> Void = {}
    ) {
        precondition(
            configuration.trigger != .external || configuration.pace.latencyBudget != nil,
            "a controller triggers live lines only")
        precondition(
            configuration.views == 1 || configuration.trigger != .everyFrame, "a frame that is a part is its only view")
        self.configuration = configuration
        self.clock = clock
        self.partIDs = partIDs
        let terms = PartTable.Terms(
            triggerSource: configuration.trigger.source,
            timestampQuality: configuration.isLive ? .hostArrival : .file, recipe: configuration.recipe,
            recipeRevision: configuration.recipeRevision, modelSHA256: model.sha256,
            threshold: model.fusion.threshold.value, mode: configuration.isLive ? .production : .replay,
            simulated: !configuration.isLive, latencyBudget: configuration.pace.latencyBudget,
            views: configuration.views)
        desk = DecisionDesk(
            DecisionDesk.Configuration(
                station: configuration.station, session: configuration.session, terms: terms,
                starvedAfter: configuration.starvedAfter, stallLimit: configuration.stallLimit,
                lineStop: configuration.lineStop, standingLineStop: configuration.standingLineStop,
                armsItself: configuration.armsItself,
                configurationSHA256: configuration.configurationSHA256, version: configuration.version),
            outputs: outputs, record: record, evidence: evidence, vitals: vitals, clock: clock, wallClock: wallClock,
            logger: logger)
        stages = InspectionStages(
            model: model,
            gate: PartGate(trigger: configuration.trigger, views: configuration.views, partIDs: partIDs),
            staleAfter: configuration.isLive ? configuration.staleAfter : nil, mailboxes: configuration.pace.mailboxes,
            keepsPictures: evidence != nil, desk: desk, clock: clock)
        desk.start(watching: stages, moved: moved)
    }

    /// Pulls every frame of a source through the line, on the calling thread, and returns when the last part is answered.
    ///
    /// Afterwards the state is `halted`, or `error`, and heartbeats go on until `shutDown`. A line runs once, by this or by
    /// `keepRunning`.
    ///
    /// - Throws: `RunFailure` where the source, or its division into parts, failed; what was seen until then was answered
    ///   and is in the failure's summary.
    public func run(_ source: @autoclosure () throws -> any FrameSource) throws(RunFailure) -> RunSummary {
        let failure = pullAll(from: source)
        let summary = end(failure.map { .failed($0) } ?? .sourceEnded)
        if let failure { throw RunFailure(reason: failure, summary: summary) }
        return summary
    }

    /// Does the same with a camera until `stop`: a source that fails or ends is an error, and is opened again, at first
    /// soon and then every five seconds, for ever.
    ///
    /// - Parameter open: Throws where the camera is not there.
    public func keepRunning(_ open: () throws -> any FrameSource) -> RunSummary {
        var attempt = 0
        while !isStopping.withLock({ $0 }) {
            let framesBefore = stages.frameCounts.received
            let failure = pullAll(from: open)
            if failure == nil, !isStopping.withLock({ $0 }) { desk.failSource("the source ended") }
            if stages.frameCounts.received > framesBefore { attempt = 0 }
            let pause = Self.pausesBeforeReopening[min(attempt, Self.pausesBeforeReopening.count - 1)]
            attempt += 1
            _ = isStopping.wait(atMost: pause) { $0 ? true : nil }
            stages.beginStream()
        }
        return end(.stopped)
    }

    /// How long to wait before the first, second, … attempt to open a lost source again.
    private static let pausesBeforeReopening: [Duration] = [
        .milliseconds(200), .milliseconds(500), .seconds(1), .seconds(2), .seconds(5),
    ]

    /// Takes everything from a source and waits until it is answered.
    ///
    /// - Returns: Why the source could not be opened, or failed; nil where it ended orderly.
    private func pullAll(from open: () throws -> any FrameSource) -> String? {
        var failure: String?
        do {
            let source = try open()
            self.source.withLock { $0 = source }
            // A `stop` that came before the source was there did not reach it.
            if isStopping.withLock({ $0 }) { source.stop() }
            defer { source.stop() }
            try capture(source)
        } catch {
            failure = "\(error)"
            // What was captured before is still judged, or answered where a mailbox gave it up. A gate that failed says
            // nothing new here.
            try? stages.endStream(limit: .seconds(1))
            desk.failSource("\(error)")
        }
        self.source.withLock { $0 = nil }
        stages.drain(limit: drainLimit)
        return failure
    }

    private func end(_ ending: StationCondition.Ending) -> RunSummary {
        let table = desk.end(isStopping.withLock { $0 } ? .stopped : ending)
        return RunSummary(
            parts: table.counts, rejectionsByReason: table.rejectionsByReason, frames: stages.frameCounts,
            latencies: table.latencies)
    }

    /// Asks `run` to take in no more frames, answer the parts in flight and return.
    public func stop() {
        isStopping.withLock { $0 = true }
        source.withLock { $0 }?.stop()
    }

    /// The commands that this line has a use for.
    public var commands: [StationCommand.Name] {
        (configuration.trigger == .external ? [.trigger] : []) + (configuration.armsItself ? [] : [.arm]) + [.reset]
    }

    /// Carries out a command that somebody may give; what comes of it is published.
    ///
    /// - Parameters:
    ///   - peer: Who gives it, for the record.
    ///   - receivedAt: When it came in, if it has waited since; a part is looked for in frames from then on.
    public func perform(
        _ command: StationCommand, by peer: String? = nil, receivedAt: MonotonicInstant? = nil
    ) -> CommandAnswer {
        let answer = carryOut(command, by: peer, receivedAt: receivedAt ?? clock.now)
        // An accepted trigger is a part, whose verdict says it all.
        if command.name != .trigger || answer != .accepted {
            desk.report(
                StationEvent(command, answer, by: peer), limitedBy: "\(command.name) \(answer) \(peer ?? "")")
        }
        return answer
    }

    /// Publishes what happened to the station outside of the line.
    ///
    /// - Parameter key: Where the same may come again and again, at anybody's wish: what makes it the same. Then it goes out
    ///   once a second, with its count.
    public func report(_ event: StationEvent, limitedBy key: String? = nil) {
        desk.report(event, limitedBy: key)
    }

    private func carryOut(
        _ command: StationCommand, by peer: String?, receivedAt: MonotonicInstant
    ) -> CommandAnswer {
        switch command {
        case .reset:
            desk.resetLineStop(by: peer)
                ? .accepted : .refused(CommandRefusal(.wrongState, "no line stop holds the station"))
        case .arm:
            configuration.armsItself
                ? .refused(CommandRefusal(.notConfigured, "the station arms itself as soon as frames come"))
                : desk.arm().map { .refused($0) } ?? .accepted
        case .trigger(let words):
            openPart(ReceivedTrigger(words: words, receivedAt: receivedAt))
        }
    }

    /// A part of its own for every trigger, also where it is rejected at once.
    private func openPart(_ trigger: ReceivedTrigger) -> CommandAnswer {
        guard configuration.trigger == .external else {
            return .refused(CommandRefusal(.notConfigured, "frames trigger the parts of this station, not commands"))
        }
        let id: PartID
        do { id = try partIDs.next() } catch {
            return .refused(CommandRefusal(.wrongState, "the part cannot be given an id: \(error)"))
        }
        return desk.openTriggered(Part(id: id, external: trigger)).map { .refused($0) } ?? .accepted
    }

    /// Ends the heartbeat and lets the outputs finish. Nothing is sent afterwards.
    public func shutDown() {
        desk.shutDown()
    }

    /// How long one wait for a frame lasts before the line looks whether it should stop.
    private static let pullTimeout = Duration.milliseconds(100)

    /// How long parts in flight get at the end. By then the deadline timer has answered all of them in any case; a replay
    /// waits for its scores.
    private var drainLimit: Duration {
        switch configuration.pace {
        case .live(let budget, _): max(budget, configuration.stallLimit) + .seconds(1)
        case .lossless: .seconds(365 * 86_400)
        }
    }

    private func capture(_ source: any FrameSource) throws {
        var silentSince = clock.now
        // A camera or a server may take its time to send the first frame.
        var limit = max(configuration.stallLimit, Self.startLimit)
        while !isStopping.withLock({ $0 }) {
            switch try source.next(timeout: Self.pullTimeout) {
            case .frame(let frame):
                try stages.take(frame)
                silentSince = clock.now
                limit = configuration.stallLimit
            case .timedOut:
                try stages.checkGate()
                if owesFrames, silentSince.duration(to: clock.now) > limit { throw SourceSilence(limit: limit) }
            case .ended: return try stages.endStream(limit: drainLimit)
            }
        }
        try stages.endStream(limit: drainLimit)
    }

    /// Whether silence is a fault of the source. A camera that runs by itself sends frames, parts or none; with
    /// `every_frame` and `external` it may be triggered by the parts, and then no frame only means no part.
    private var owesFrames: Bool {
        switch configuration.trigger {
        case .frames, .presentationTime: configuration.isLive
        case .everyFrame, .external: false
        }
    }

    /// How long a source may take to its first frame, where the stall limit is less.
    private static let startLimit = Duration.seconds(10)
}

extension StationEvent {
    /// What became of a command.
    init(_ command: StationCommand, _ answer: CommandAnswer, by peer: String?) {
        let name = command.name.rawValue
        switch answer {
        case .accepted:
            self.init(
                .command, .info, "\(name) carried out", peer: peer, details: ["command": name, "accepted": "true"])
        case .refused(let refusal):
            self.init(
                .command, .warning, "\(name) refused: \(refusal.message)", peer: peer,
                details: ["command": name, "accepted": "false", "reason": refusal.reason.rawValue])
        }
    }
}

/// A camera sends nothing, and no error either, as network cameras do.
struct SourceSilence: Error, CustomStringConvertible {
    let limit: Duration

    var description: String { "the source gave no frame for over \(limit.inWords)" }
}

/// What became of everything that a run saw.
public struct RunSummary: Sendable {
    public var parts: PartCounts

    /// How many parts were rejected for which reason.
    public var rejectionsByReason: [Reason: Int]
    public var frames: FrameCounts

    /// From capture to verdict, over all parts that a frame shows.
    public var latencies: LatencyHistogram
}

/// Why a run ended before its source did, with what it saw until then.
public struct RunFailure: Error, CustomStringConvertible {
    public var reason: String
    public var summary: RunSummary

    public var description: String {
        "\(reason) (after \(summary.frames.received) frames and \(summary.parts.seen) parts)"
    }
}
