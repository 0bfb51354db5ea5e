import InspectionProtocol
import Messaging

/// What a reader of a station learns, in order.
public enum FeedEvent: Hashable, Sendable {
    case message(Message)

    /// Messages did not arrive; comes before the message that showed it.
    case missed(SequenceMonitor.Hole)

    /// No heartbeat came for longer than the limit: every pending part counts as rejected.
    case silent(limit: Duration)

    /// The first heartbeat after a silence, with the time since the one before.
    case heardAgain(after: Duration)

    /// Something arrived that cannot be read.
    case unreadable(ReceptionError)
}

/// Hears one station and tells what arrived, what is missing, and when the station falls silent.
///
/// The station does not have to run yet. Cannot be copied and is not `Sendable`: it stays where it was made.
public struct StationFeed: ~Copyable {
    /// How long heartbeats may stay away before pending parts reject (PROTOCOL §6): three periods and a half.
    public static let protocolSilenceLimit = Duration.milliseconds(350)

    private var subscriber: Subscriber
    private var sequences = SequenceMonitor()
    private var silence: SilenceDetector
    private var lastBeat: Envelope?
    // Events that are known but not told yet, latest first.
    private var pending: [FeedEvent] = []

    /// - Parameters:
    ///   - endpoints: The endpoint of the verdicts, where heartbeats come from, and if wanted that of the results.
    ///   - station: The one to hear; nil is whichever publishes there.
    ///   - silenceLimit: More tolerates a busier machine, and trusts a dead station for longer.
    public init(
        connecting endpoints: [Endpoint], station: StationName? = nil,
        silenceLimit: Duration = protocolSilenceLimit, in context: Context
    ) throws(SocketError) {
        subscriber = try Subscriber(
            connecting: endpoints, to: [station.map { .station($0) } ?? .everything], in: context)
        silence = SilenceDetector(limit: silenceLimit, start: .now)
    }

    /// The next event, or nil where none came in time.
    ///
    /// - Throws: `SocketError` where the socket itself fails; the feed is then over.
    public mutating func next(timeout: Duration) throws(SocketError) -> FeedEvent? {
        let deadline = SuspendingClock.now + timeout
        while true {
            if let event = pending.popLast() { return event }
            let now = SuspendingClock.now
            let remaining = max(.zero, now.duration(to: deadline))
            do {
                let received = try subscriber.receive(
                    timeout: min(remaining, silence.timeToLimit(at: now) ?? remaining))
                if let received {
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

    private mutating func note(_ message: Message) {
        pending = [.message(message)]
        pending += sequences.observe(message).reversed().map { .missed($0) }
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
        case .result:
            break
        }
    }
}
