import InspectionProtocol
import Messaging

/// What a reader of a station learns, in order.
public enum FeedEvent: Hashable, Sendable {
    case message(Message)

    /// Messages did not arrive; comes before the message that showed it.
    ///
    /// Each of them follows as `recovered` or in a `lost`, where there is a recovery endpoint.
    case missed(SequenceMonitor.Hole)

    /// A message that was missed, as the station sent it then; for the record, and too late for most gates.
    case recovered(Message)

    /// Missed messages that nobody has any more.
    case lost(SequenceMonitor.Hole, reason: String)

    /// The recovery endpoint said who the station is, and how its clock relates to ours.
    case greeted(StationGreeting, StationClock)

    /// Where the station stands: at the start, and after it started anew.
    case snapshot(StationSnapshot)

    /// The recovery endpoint does not answer as it should; told once, and it is asked again and again.
    case recoveryUnavailable(reason: String)

    /// No heartbeat came for longer than the limit: every pending part counts as rejected.
    case silent(limit: Duration)

    /// The first heartbeat after a silence, with the time since the one before.
    case heardAgain(after: Duration)

    /// Something arrived that cannot be read.
    case unreadable(ReceptionError)
}

/// Hears one station and tells what arrived, what is missing and when the station falls silent; with a recovery endpoint,
/// asks for what is missing as well.
///
/// The station does not have to run yet. Nothing waits for the recovery endpoint: what is published now is told now, and
/// what was missed follows when it comes. Cannot be copied and is not `Sendable`: it stays where it was made.
public struct StationFeed: ~Copyable {
    /// How long heartbeats may stay away before pending parts reject (PROTOCOL §6): three periods and a half.
    public static let protocolSilenceLimit = Duration.milliseconds(350)

    private var subscriber: Subscriber
    private var requester: RecoveryRequester?
    private var dialogue: RecoveryDialogue
    private var sequences: SequenceMonitor
    private var silence: SilenceDetector
    private var lastBeat: Envelope?
    private var lastSession: SessionNumber?
    // Events that are known but not told yet, latest first.
    private var pending: [FeedEvent] = []

    /// - Parameters:
    ///   - endpoints: The endpoint of the verdicts, where heartbeats come from, and if wanted that of the results.
    ///   - recovery: Where to ask for what was missed; nil tells of holes and leaves them.
    ///   - station: The one to hear; nil is whichever publishes there.
    ///   - position: Where an earlier feed ended: what was sent since counts as missed.
    ///   - silenceLimit: More tolerates a busier machine, and trusts a dead station for longer.
    public init(
        connecting endpoints: [Endpoint], recovery: Endpoint? = nil, station: StationName? = nil,
        resumingAt position: ReadingPosition? = nil, silenceLimit: Duration = protocolSilenceLimit,
        in context: Context
    ) throws(SocketError) {
        // Subscribed first, so that nothing falls between the snapshot and the first message.
        let subscriber = try Subscriber(
            connecting: endpoints, to: [station.map { .station($0) } ?? .everything], in: context)
        requester = if let recovery { try RecoveryRequester(connecting: recovery, in: context) } else { nil }
        self.subscriber = subscriber
        dialogue = RecoveryDialogue(bootID: StationGreeting.bootIDOfThisMachine())
        sequences = SequenceMonitor(resumingAt: position)
        silence = SilenceDetector(limit: silenceLimit, start: .now)
    }

    /// How far all messages have been told, for a feed that goes on later; nil before anything was heard.
    ///
    /// What is still being recovered counts as not told, so that some messages may come twice and none is left out.
    public func position(at station: StationName) -> ReadingPosition? {
        guard let heard = sequences.position(at: station) else { return nil }
        var last: [MessageKind: SequenceNumber] = [:]
        for (kind, sequence) in heard.last where kind.isReplayable {
            let open = dialogue.firstOpen(kind, of: heard.session, at: station)
            // An answer holds many messages, which are told one by one.
            let untold = pending.lazy.compactMap { $0.recovered }
                .filter { $0.topic == Topic(station: station, kind: kind) && $0.envelope.session == heard.session }
                .map(\.envelope.sequence).min()
            let first = [open, untold].compactMap(\.self).min()
            last[kind] = first.map { SequenceNumber($0.value - 1) } ?? sequence
        }
        return ReadingPosition(station: station, session: heard.session, last: last)
    }

    /// The next event, or nil where none came in time.
    ///
    /// - Throws: `SocketError` where the socket itself fails; the feed is then over.
    public mutating func next(timeout: Duration) throws(SocketError) -> FeedEvent? {
        let deadline = MonotonicMoment.now.advanced(by: timeout)
        while true {
            if let event = pending.popLast() { return event }
            try recover()
            guard pending.isEmpty else { continue }
            let now = MonotonicMoment.now
            let remaining = max(.zero, now.duration(to: deadline))
            do {
                if let received = try receive(atMost: min(remaining, silence.timeToLimit(at: now) ?? remaining)) {
                    note(received.message)
                    continue
                }
            } catch .socket(let error) {
                throw error
            } catch {
                return .unreadable(error)
            }
            // Only now that nothing more is there: a reader that was busy finds the heartbeats it had not read yet.
            if silence.noticesSilence(at: .now) { return .silent(limit: silence.limit) }
            if remaining == .zero { return nil }
        }
    }

    /// The next published message; nil where none came in time, or the recovery has something to do.
    private mutating func receive(atMost limit: Duration) throws(ReceptionError) -> ReceivedMessage? {
        guard requester != nil else { return try subscriber.receive(timeout: limit) }
        if let received = try subscriber.receive(timeout: .zero) { return received }
        do {
            let now = MonotonicMoment.now
            try requester?.waitForAnswer(
                or: subscriber, timeout: min(limit, dialogue.timeToNextStep(at: now) ?? limit))
        } catch {
            throw .socket(error)
        }
        return try subscriber.receive(timeout: .zero)
    }

    /// Hears what was answered and asks what is to be asked, without waiting.
    private mutating func recover() throws(SocketError) {
        guard requester != nil else { return }
        do {
            while let answer = try requester?.receive(timeout: .zero) {
                note(dialogue.take(answer, at: .now))
            }
        } catch .socket(let error) {
            throw error
        } catch {
            note([dialogue.failed("\(error)", at: .now)].compactMap { $0 })
        }
        if dialogue.isOverdue(at: .now) {
            try requester?.startOver()
            note([dialogue.failed("no answer within \(RecoveryDialogue.answerLimit)", at: .now)].compactMap { $0 })
        }
        if let verb = dialogue.nextRequest(at: .now) {
            let asked = MonotonicMoment.now
            if let id = try requester?.send(verb) {
                dialogue.sent(verb, id: id, at: asked)
            } else {
                note([dialogue.failed("nobody is connected there", at: asked)].compactMap { $0 })
            }
        }
    }

    private mutating func note(_ outcomes: [RecoveryDialogue.Outcome]) {
        let events = outcomes.map { (outcome) -> FeedEvent in
            switch outcome {
            case .greeted(let greeting, let clock): .greeted(greeting, clock)
            case .snapshot(let snapshot): .snapshot(snapshot)
            case .recovered(let message): .recovered(message)
            case .lost(let hole, let reason): .lost(hole, reason: reason)
            case .unavailable(let reason): .recoveryUnavailable(reason: reason)
            }
        }
        for case .snapshot(let snapshot) in events { sequences.begin(at: snapshot) }
        pending.insert(contentsOf: events.reversed(), at: 0)
    }

    private mutating func note(_ message: Message) {
        let holes = sequences.observe(message)
        pending = [.message(message)]
        if requester == nil {
            // Whether anything came after the last message of a session is not known, so it is not missed either.
            pending += holes.filter { !$0.isOpenEnded }.reversed().map { .missed($0) }
        } else {
            for hole in holes {
                if let reason = dialogue.want(hole) { pending.append(.lost(hole, reason: reason)) }
            }
            pending += holes.filter { !$0.isOpenEnded }.reversed().map { .missed($0) }
            if let lastSession, lastSession != message.envelope.session { dialogue.beginAnew() }
            lastSession = message.envelope.session
        }
        switch message.body {
        case .heartbeat:
            lastBeat = message.envelope
            if let duration = silence.heard(at: .now) { pending.append(.heardAgain(after: duration)) }
        case .verdict, .reject, .state:
            // They travel behind the heartbeats on the same socket, so their own times tell when those stopped.
            if let lastBeat, lastBeat.session == message.envelope.session,
                silence.noticesSilence(
                    from: lastBeat.sentMonotonicMicroseconds, to: message.envelope.sentMonotonicMicroseconds)
            {
                pending.append(.silent(limit: silence.limit))
            }
        case .result, .event, .health:
            break
        }
    }
}

extension FeedEvent {
    fileprivate var recovered: Message? { if case .recovered(let message) = self { message } else { nil } }
}
