import Dispatch
import Imaging
import InspectionProtocol
import Locking
import Logging

/// `beltwatch.decide`: the one serial queue that owns the parts, their deadlines, the state and the sequence numbers.
///
/// Gate, fusion and the deadline timer only send to it. Scoring and disks never run here, so the time to an answer depends
/// on nothing but this queue.
final class DecisionDesk: @unchecked Sendable {
    // Sendable because everything below `queue` is touched on that queue only, once `start` was called.

    struct Configuration: Sendable {
        var station: StationName
        var session: SessionNumber
        var terms: PartTable.Terms
        var starvedAfter: Duration
        var stallLimit: Duration
        var lineStop: StationConfiguration.LineStop
        var standingLineStop: String?
        var armsItself: Bool
        var configurationSHA256: String?
        var version: String
    }

    /// The distance of heartbeats, by the protocol.
    static let tickPeriod = Duration.milliseconds(100)

    private let configuration: Configuration
    private let outputs: [any InspectionOutput]
    private let record: (any RecordKeeper)?
    private let evidence: (any EvidenceKeeper)?
    private let vitals: @Sendable () -> StationVitals
    private let clock: any MonotonicClock
    private let wallClock: any WallClock
    private let logger: Logger
    private let queue = DispatchQueue(label: "beltwatch.decide", qos: .userInteractive)
    private var table: PartTable
    private var condition = StationCondition()
    private var state = InspectionState.preoperational
    private var stateReason: String?
    private var stateSince: UTCTimestamp
    private var reportedFlags: [StateFlag] = []
    private var sequences: [MessageKind: SequenceNumber] = [:]
    private var heartbeats: UInt64 = 0
    private var lastFrame: MonotonicInstant?
    private var lastTrigger: MonotonicInstant?
    private var tickTimer: (any DispatchSourceTimer)?
    private var deadlineTimer: (any DispatchSourceTimer)?
    private var remarks: [String: Int] = [:]
    private var lineStop: LineStopLatch
    private var limiter = EventLimiter()
    private var reconnects = 0
    private var lastSourceFailure: String?
    private var isOver = false

    /// Of parts that have no result yet; empty where none are kept.
    private var pictures: [PartID: [PartPicture]] = [:]

    init(
        _ configuration: Configuration, outputs: [any InspectionOutput], record: (any RecordKeeper)?,
        evidence: (any EvidenceKeeper)?, vitals: @escaping @Sendable () -> StationVitals, clock: any MonotonicClock,
        wallClock: any WallClock, logger: Logger
    ) {
        self.configuration = configuration
        self.outputs = outputs
        self.record = record
        self.evidence = evidence
        self.vitals = vitals
        self.clock = clock
        self.wallClock = wallClock
        self.logger = logger
        table = PartTable(terms: configuration.terms)
        lineStop = LineStopLatch(limits: configuration.lineStop, standing: configuration.standingLineStop)
        condition.lineStop = configuration.standingLineStop
        condition.isArmed = configuration.armsItself
        stateSince = wallClock.now
    }

    /// Begins to tick. The station is `initialized` until the first frame.
    ///
    /// - Parameter moved: Called on every tick on which this queue and all stages move: what feeds the watchdog.
    func start(watching stages: InspectionStages, moved: @escaping @Sendable () -> Void) {
        queue.async { [self] in
            reportedFlags = flags(record?.recordCondition ?? .complete)
            report()
            condition.isStarted = true
            lastTrigger = clock.now
            updateState()
            let tickTimer = DispatchSource.makeTimerSource(flags: .strict, queue: queue)
            tickTimer.setEventHandler { [weak self] in self?.tick(stages, moved) }
            tickTimer.schedule(
                deadline: .now() + Self.tickPeriod.dispatchInterval, repeating: Self.tickPeriod.dispatchInterval,
                leeway: .milliseconds(1))
            let deadlineTimer = DispatchSource.makeTimerSource(flags: .strict, queue: queue)
            deadlineTimer.setEventHandler { [weak self] in self?.expire() }
            deadlineTimer.schedule(deadline: .distantFuture)
            tickTimer.activate()
            deadlineTimer.activate()
            self.tickTimer = tickTimer
            self.deadlineTimer = deadlineTimer
        }
    }

    /// The source delivered a frame.
    func sawFrame(capturedAt: MonotonicInstant) {
        queue.async { [self] in
            lastFrame = capturedAt
            guard !condition.hasFrames else { return }
            condition.hasFrames = true
            if condition.sourceFailure != nil { reconnects += 1 }
            condition.sourceFailure = nil
            // Armed by its configuration, the station passes through `ready` without stopping there.
            if condition.state.isRunning { enter(.ready, reason: nil) }
            lastTrigger = clock.now
            updateState()
        }
    }

    /// A trigger fired; `outcome` where nothing more will come for this part, and `picture` what there is to show of it.
    func open(_ part: Part, outcome: PartOutcome? = nil, picture: PartPicture? = nil) {
        queue.async { [self] in
            if let picture { pictures[part.id, default: []].append(picture) }
            noteTrigger()
            // A replay waits for its stages and judges every part.
            let judges = state.isRunning || configuration.terms.latencyBudget == nil
            emit(table.open(part, refusal: judges ? nil : .notReady, outcome: outcome, at: moment))
            armDeadlineTimer()
        }
    }

    /// A controller's trigger came in: its part is opened at once, and answered by its deadline whether a frame comes or
    /// not.
    ///
    /// - Returns: Why there is no such part; nil where there is.
    func openTriggered(_ part: Part) -> CommandRefusal? {
        queue.sync {
            guard !isOver else { return CommandRefusal(.wrongState, "the station has stopped") }
            noteTrigger()
            guard
                let messages = table.openTriggered(part, refusal: state.isRunning ? nil : .notReady, at: moment)
            else {
                return CommandRefusal(
                    .duplicateToken, "a part with this token awaits its verdict or its result; give each part its own")
            }
            emit(messages)
            armDeadlineTimer()
            return nil
        }
    }

    /// A frame came that a controller may have triggered.
    ///
    /// The gate waits for the answer, and this queue never for the gate: whether a trigger gets its frame or its deadline
    /// passes is decided here, once.
    ///
    /// - Parameter loss: Why frames are missing right before this one; nil where none are.
    /// - Returns: The part that it shows.
    func claim(_ frame: FrameFacts, after loss: Reason?) -> PartView? {
        queue.sync {
            let (view, messages) = table.claim(frame, after: loss, at: moment)
            emit(messages)
            armDeadlineTimer()
            return view
        }
    }

    /// Another frame of a part came.
    ///
    /// - Returns: Which view it is; nil where the part was given up meanwhile.
    func admit(_ frame: FrameFacts, to part: PartID) -> PartView? {
        queue.sync { table.admit(frame, to: part) }
    }

    /// No more frames of a part will come, for a cause.
    func close(_ part: PartID, _ cause: Reason) {
        queue.async { [self] in
            emit(table.close(part, cause, at: moment))
            armDeadlineTimer()
        }
    }

    /// The stages are through with a view of a part.
    ///
    /// - Parameter picture: Nil where none are kept, or nothing shows the part.
    func finish(
        _ view: PartView, _ outcome: PartOutcome, durations: StageDurations = StageDurations(),
        picture: PartPicture? = nil
    ) {
        queue.async { [self] in
            if let picture { pictures[view.part, default: []].append(picture) }
            emit(table.finish(view.part, view: view.index, outcome, durations: durations, at: moment))
            armDeadlineTimer()
        }
    }

    /// The source is gone, and not by its own orderly end.
    func failSource(_ reason: String) {
        queue.async { [self] in
            condition.sourceFailure = reason
            lastSourceFailure = reason
            condition.hasFrames = false
            emit(table.closeAll(at: moment))
            updateState()
        }
    }

    /// Releases the line stop.
    ///
    /// - Parameter peer: Who wants it.
    /// - Returns: Whether there was one.
    func resetLineStop(by peer: String?) -> Bool {
        queue.sync {
            guard lineStop.cause != nil else { return false }
            lineStop.reset()
            condition.lineStop = nil
            logger.notice("line stop reset")
            emit([.event(StationEvent(.lineStopReset, .info, "line stop reset", peer: peer))])
            // Nobody knows how long the line stood: parts are expected from now on.
            lastTrigger = clock.now
            updateState()
            return true
        }
    }

    /// Judges parts from now on.
    ///
    /// - Returns: Nil, or why that changes nothing.
    func arm() -> CommandRefusal? {
        queue.sync {
            guard !condition.isArmed else { return CommandRefusal(.wrongState, "the station is armed already") }
            guard state == .ready else {
                return CommandRefusal(
                    .wrongState, "the station is \(state.rawValue); it can be armed when it is ready")
            }
            condition.isArmed = true
            lastTrigger = clock.now
            updateState()
            return nil
        }
    }

    /// Publishes an event.
    ///
    /// - Parameter key: Where the same may come again and again, at anybody's wish: what makes it the same. Then it goes out
    ///   once a second, with its count.
    func report(_ event: StationEvent, limitedBy key: String? = nil) {
        queue.async { [self] in
            guard !isOver else { return }
            if let key, limiter.admit(event, key: key, at: clock.now) == nil { return }
            publish(event)
        }
    }

    /// Says why a part has no score, to be logged once a second with its count.
    func remark(_ text: String) {
        queue.async { self.remarks[text, default: 0] += 1 }
    }

    /// The run is over: no more parts will come.
    ///
    /// - Returns: What became of the parts.
    func end(_ ending: StationCondition.Ending) -> PartTable {
        queue.sync {
            condition.ending = ending
            emit(table.closeAll(at: moment))
            updateState()
            logRemarks()
            return table
        }
    }

    /// Stops ticking, for good, and lets the outputs finish.
    func shutDown() {
        queue.sync {
            tickTimer?.cancel()
            deadlineTimer?.cancel()
            tickTimer = nil
            deadlineTimer = nil
            emit(table.abandonAll(at: moment))
            for event in record?.takeEvents() ?? [] { emit([.event(event)]) }
            for event in limiter.rest() { publish(event) }
            isOver = true
            logRemarks()
        }
        for output in outputs { output.flush() }
    }

    /// How many parts have no verdict yet.
    var awaitingVerdict: Int { queue.sync { table.awaitingVerdict } }

    // MARK: On the queue

    private var moment: Moment { Moment(monotonic: clock.now, wall: wallClock.now) }

    private func noteTrigger() {
        lastTrigger = clock.now
        condition.isStarved = false
        updateState()
    }

    private func expire() {
        emit(table.expire(at: moment))
        armDeadlineTimer()
    }

    private func armDeadlineTimer() {
        guard let deadline = table.nextDeadline else {
            deadlineTimer?.schedule(deadline: .distantFuture)
            return
        }
        let remaining = max(clock.now.duration(to: deadline), .zero)
        deadlineTimer?.schedule(deadline: .now() + remaining.dispatchInterval, leeway: .microseconds(100))
    }

    private func tick(_ stages: InspectionStages, _ moved: () -> Void) {
        expire()
        let now = clock.now
        condition.stall = stalledStage(among: stages.progress, at: now)
        let quiet = lastTrigger.map { $0.duration(to: now) > configuration.starvedAfter } ?? false
        condition.isStarved = quiet && table.inFlight == 0
        updateState()
        heartbeats += 1
        emit([.heartbeat(heartbeat(at: now))])
        for event in record?.takeEvents() ?? [] { emit([.event(event)]) }
        for event in limiter.due(at: now) { publish(event) }
        if heartbeats.isMultiple(of: 10) {
            report()
            emit([.health(health(stages))])
            logRemarks()
        }
        if condition.stall == nil { moved() }
    }

    /// The first stage that has been busy with one element for longer than the limit.
    private func stalledStage(among stages: [StageProgress], at now: MonotonicInstant) -> String? {
        for stage in stages {
            guard let since = stage.workingSince, since.duration(to: now) > configuration.stallLimit else { continue }
            return "\(stage.name) has not moved for over \(configuration.stallLimit.inWords)"
        }
        return nil
    }

    private func updateState() {
        let recordCondition = record?.recordCondition ?? .complete
        if case .failed(let reason) = recordCondition {
            condition.recordFailure = reason
        } else {
            condition.recordFailure = nil
        }
        let flags = flags(recordCondition)
        if condition.state != state || condition.reason != stateReason {
            reportedFlags = flags
            enter(condition.state, reason: condition.reason)
        } else if flags != reportedFlags {
            reportedFlags = flags
            let names = flags.map(\.text).joined(separator: ",")
            logger.warning("state flags changed", metadata: ["flags": "\(names)"])
            report()
            emit([
                .event(
                    StationEvent(
                        .flagsChanged, .warning, names.isEmpty ? "no flags any more" : "flags: \(names)",
                        details: ["flags": names]))
            ])
        }
    }

    private func flags(_ record: RecordCondition) -> [StateFlag] {
        var flags: [StateFlag] = configuration.terms.simulated ? [.replay] : []
        if record != .complete || evidence?.isDegraded == true { flags.append(.degradedEvidence) }
        if condition.sourceFailure != nil, condition.ending == nil, !configuration.terms.simulated {
            flags.append(.cameraReconnecting)
        }
        return flags
    }

    private func enter(_ state: InspectionState, reason: String?) {
        if state != self.state { stateSince = wallClock.now }
        let before = self.state
        self.state = state
        stateReason = reason
        var details: Logger.Metadata = ["state": "\(state.rawValue)"]
        if let reason { details["reason"] = "\(reason)" }
        logger.log(level: state == .error ? .error : .info, "state changed", metadata: details)
        report()
        let isAlarm = state == .error || state == .held
        emit([
            .event(
                StationEvent(
                    .stateChanged, isAlarm ? .alarm : .info,
                    "\(before.rawValue) to \(state.rawValue)" + (reason.map { ": \($0)" } ?? ""),
                    details: ["from": before.rawValue, "to": state.rawValue]))
        ])
    }

    private func report() {
        emit([
            .state(
                StateReport(
                    state: state, ready: isReady, flags: reportedFlags, since: stateSince, reason: stateReason,
                    recipe: configuration.terms.recipe, modelSHA256: configuration.terms.modelSHA256,
                    configurationSHA256: configuration.configurationSHA256, version: configuration.version))
        ])
    }

    /// A controller never relies on frames that are not happening now.
    private var isReady: Bool { state.isReady && !configuration.terms.simulated }

    private func heartbeat(at now: MonotonicInstant) -> Heartbeat {
        Heartbeat(
            count: heartbeats, periodMilliseconds: Int(Self.tickPeriod.nanoseconds / 1_000_000), state: state,
            ready: isReady, running: state.isRunning, lineStopRequest: lineStop.cause != nil,
            lastPartID: table.lastPartID,
            lastSequence: LastSequences(
                verdict: sequences[.verdict], reject: sequences[.reject], result: sequences[.result],
                event: sequences[.event]),
            partsInFlight: table.inFlight,
            oldestInFlightMilliseconds: table.oldestCapture.map { $0.duration(to: now).nanoseconds / 1_000_000 },
            lastFrameAgeMilliseconds: lastFrame.map { $0.duration(to: now).nanoseconds / 1_000_000 })
    }

    private func health(_ stages: InspectionStages) -> HealthReport {
        HealthReport(
            frames: stages.frameCounts, parts: table.counts, rejections: table.rejectionsByReason,
            latencies: table.latencies, worstPart: table.worstPartID,
            stages: stages.progress + outputs.flatMap(\.progress),
            camera: CameraReport(
                state: condition.camera, reconnects: reconnects, lastError: lastSourceFailure), vitals: vitals())
    }

    private func emit(_ bodies: [MessageBody]) {
        // What a stage that hung has to say is told to nobody: its part was answered when the line stopped.
        guard !isOver else { return }
        var stopping: PartID?
        for body in bodies {
            if case .verdict(let verdict) = body {
                // Parts that come before anybody has armed the station say nothing about the line.
                if condition.isArmed, lineStop.cause == nil {
                    lineStop.observe(verdict)
                    if lineStop.cause != nil { stopping = verdict.partID }
                }
                if verdict.disposition == .reject, !verdict.inspected {
                    remarks["part rejected without inspection: \(verdict.reason.text)", default: 0] += 1
                }
            }
            let sequence = SequenceNumber((sequences[body.kind]?.value ?? 0) + 1)
            sequences[body.kind] = sequence
            let now = moment
            let envelope = Envelope(
                station: configuration.station, session: configuration.session, sequence: sequence, sentAt: now.wall,
                sentMonotonicMicroseconds: now.monotonic.microseconds)
            var message = Message(envelope: envelope, body: body)
            if case .result(let result) = body { message = handOverPictures(of: result.verdict, with: message) }
            for output in outputs { output.send(message) }
        }
        if let cause = lineStop.cause, condition.lineStop == nil {
            condition.lineStop = cause.description
            emit([.event(StationEvent(.lineStop, .alarm, cause.description, partID: stopping))])
            updateState()
        }
    }

    /// Gives away the pictures of a part that is not accepted, and forgets all others.
    private func handOverPictures(of verdict: Verdict, with result: Message) -> Message {
        guard let pictures = pictures.removeValue(forKey: verdict.partID), verdict.disposition != .accept,
            let evidence
        else { return result }
        return evidence.keep(pictures, with: result)
    }

    private func publish(_ event: StationEvent) {
        let level: Logger.Level =
            switch event.severity {
            // One for every reject: the journal has them all.
            case .info where event.name == .evidenceStored: .debug
            case .info: .info
            case .warning: .warning
            case .alarm: .error
            }
        var details: Logger.Metadata = ["event": "\(event.name.rawValue)"]
        if let peer = event.peer { details["peer"] = "\(peer)" }
        if let count = event.details["count"] { details["count"] = "\(count)" }
        logger.log(level: level, "\(event.message)", metadata: details)
        emit([.event(event)])
    }

    private func logRemarks() {
        for (text, count) in remarks.sorted(by: { $0.key < $1.key }) {
            logger.warning("\(text)", metadata: ["count": "\(count)"])
        }
        remarks.removeAll()
    }
}
