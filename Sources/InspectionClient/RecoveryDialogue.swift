import InspectionProtocol
import Messaging

/// What to ask a station's recovery endpoint next, and what its answers mean: HELLO, SNAPSHOT, then REPLAY of every hole.
///
/// Pure bookkeeping without sockets; the time is passed in. One request is on its way at a time. A hole is kept until the
/// station has answered all of it, so that an endpoint that is away for a while costs time and no messages.
struct RecoveryDialogue {
    /// What an answer, or its absence, tells a reader.
    enum Outcome: Hashable {
        case greeted(StationGreeting, StationClock)
        case snapshot(StationSnapshot)
        case recovered(Message)
        case lost(SequenceMonitor.Hole, reason: String)

        /// Told once, until an answer comes again.
        case unavailable(reason: String)
    }

    /// How long an answer may take.
    static let answerLimit = Duration.seconds(1)

    /// How long to wait after the first, second … failure in a row.
    static let pauses: [Duration] = [.milliseconds(200), .milliseconds(500), .seconds(1), .seconds(2), .seconds(5)]

    /// How often the clock of another machine is asked for: drift in between adds 1 ms at most to what is not known.
    static let clockRenewal = Duration.seconds(10)

    /// Holes that are kept; more than that can only come from a station that is broken itself.
    static let holeCapacity = 10_000

    private let bootID: String?
    private var needsGreeting = true
    private var needsSnapshot = true
    private var clockMeasuredAt: MonotonicMoment?
    private var station: StationName?
    private var holes: [SequenceMonitor.Hole] = []
    private var outstanding: (id: RequestID, verb: RecoveryRequest.Verb, sentAt: MonotonicMoment)?
    private var failures = 0
    private var pauseEnd: MonotonicMoment?

    /// - Parameter bootID: That of this machine, nil where it is unknown.
    init(bootID: String?) {
        self.bootID = bootID
    }

    /// The lowest number of a kind that is still being asked for.
    func firstOpen(_ kind: MessageKind, of session: SessionNumber, at station: StationName) -> SequenceNumber? {
        holes.filter { $0.kind == kind && $0.session == session && $0.station == station }
            .map(\.missing.lowerBound).min()
    }

    /// The station started anew.
    mutating func beginAnew() {
        needsGreeting = true
        needsSnapshot = true
    }

    /// Asks for what is missing, as soon as its turn comes.
    ///
    /// - Returns: Why it is lost at once, where it cannot be asked for.
    mutating func want(_ hole: SequenceMonitor.Hole) -> String? {
        guard hole.kind.isReplayable else { return "\(hole.kind.rawValue) messages are not kept" }
        guard station ?? hole.station == hole.station else { return Self.otherStation(hole) }
        guard holes.count < Self.holeCapacity else { return "too many holes are open" }
        holes.append(hole)
        return nil
    }

    private static func otherStation(_ hole: SequenceMonitor.Hole) -> String {
        "the recovery endpoint is not that of \(hole.station)"
    }

    /// What to send now; nil while an answer is awaited, during a pause, and when there is nothing to ask.
    func nextRequest(at now: MonotonicMoment) -> RecoveryRequest.Verb? {
        guard outstanding == nil, pauseEnd.map({ now >= $0 }) ?? true else { return nil }
        let isClockOld = clockMeasuredAt.map { $0.duration(to: now) >= Self.clockRenewal } ?? false
        if needsGreeting || isClockOld { return .hello }
        if needsSnapshot { return .snapshot }
        return holes.first.map {
            .replay(ReplayRange(session: $0.session, kind: $0.kind, sequences: $0.missing))
        }
    }

    /// How long there is nothing to do unless an answer comes.
    func timeToNextStep(at now: MonotonicMoment) -> Duration? {
        let moments = [
            outstanding.map { $0.sentAt.advanced(by: Self.answerLimit) }, pauseEnd,
            clockMeasuredAt?.advanced(by: Self.clockRenewal),
        ]
        return moments.compactMap { $0 }.filter { $0 > now }.min().map { now.duration(to: $0) }
    }

    mutating func sent(_ verb: RecoveryRequest.Verb, id: RequestID, at now: MonotonicMoment) {
        outstanding = (id, verb, now)
        pauseEnd = nil
    }

    /// The request could not be sent, or its answer could not be read.
    mutating func failed(_ reason: String, at now: MonotonicMoment) -> Outcome? {
        outstanding = nil
        pauseEnd = now.advanced(by: Self.pauses[min(failures, Self.pauses.count - 1)])
        failures += 1
        // The first attempt often finds a connection that is still being made.
        return failures == 2 ? .unavailable(reason: reason) : nil
    }

    /// Whether an answer is overdue.
    func isOverdue(at now: MonotonicMoment) -> Bool {
        outstanding.map { $0.sentAt.duration(to: now) > Self.answerLimit } ?? false
    }

    /// Takes note of an answer; one to another request than the last says nothing any more.
    mutating func take(_ answer: RecoveryAnswer, at now: MonotonicMoment) -> [Outcome] {
        guard let asked = outstanding, answer.reply.id == asked.id else { return [] }
        outstanding = nil
        switch (asked.verb, answer.reply.body) {
        case (.hello, .hello(let greeting)):
            let clock = StationClock(greeting, askedAt: asked.sentAt, heardAt: now, bootID: bootID)
            needsGreeting = false
            clockMeasuredAt = clock.isShared ? nil : now
            station = greeting.station
            failures = 0
            let others = holes.filter { $0.station != greeting.station }
            holes.removeAll { $0.station != greeting.station }
            return [.greeted(greeting, clock)] + others.map { .lost($0, reason: Self.otherStation($0)) }
        case (.snapshot, .snapshot(let snapshot)):
            needsSnapshot = false
            failures = 0
            return [.snapshot(snapshot)]
        case (.replay, .end(let next)):
            failures = 0
            return take(answer.messages, next: next, at: now)
        case (_, .error(let failure)) where failure.code == .startAnew:
            needsSnapshot = true
            return []
        case (.replay, .error(let failure)) where failure.code != .unavailable:
            failures = 0
            return lose(before: failure.oldest, reason: failure.message)
        case (_, .error(let failure)):
            return [failed(failure.message, at: now)].compactMap { $0 }
        default:
            return [failed("the station answered \(asked.verb.name.rawValue) with something else", at: now)]
                .compactMap { $0 }
        }
    }

    private mutating func take(
        _ messages: [Result<Message, ReceptionError>], next: SequenceNumber, at now: MonotonicMoment
    ) -> [Outcome] {
        let hole = holes.removeFirst()
        let page = ReplayedPage(messages, next: next, of: hole)
        if let rest = page.rest {
            if rest != hole {
                holes.insert(rest, at: 0)
            } else if !hole.isOpenEnded {
                // The station publishes before it keeps; others have their turn first.
                holes.append(rest)
                pauseEnd = now.advanced(by: Self.pauses[0])
            }
            // An open end without a next message is the end.
        }
        return page.recovered.map { .recovered($0) }
            + page.lost.map { .lost($0, reason: "the station no longer has them") }
    }

    /// The first hole, or its beginning, is gone for good.
    private mutating func lose(before oldest: SequenceNumber?, reason: String) -> [Outcome] {
        let hole = holes.removeFirst()
        guard let oldest, oldest > hole.missing.lowerBound, oldest <= hole.missing.upperBound else {
            return [.lost(hole, reason: reason)]
        }
        holes.insert(hole.narrowed(to: oldest...hole.missing.upperBound), at: 0)
        let gone = hole.narrowed(to: hole.missing.lowerBound...SequenceNumber(oldest.value - 1))
        return [.lost(gone, reason: reason)]
    }
}
