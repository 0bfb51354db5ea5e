import InspectionProtocol
import Locking

/// What runs on the queue of a `RecoveryServer`: one request after the other, each answered or counted.
final class RecoveryLoop: @unchecked Sendable {
    // Sendable because the socket and the laggards are touched by `run` only, once `init` is through.
    private var socket: Socket?
    private var laggards = Laggards()
    private let source: any RecoverySource
    private let replayLimit: ReplayLimit
    private let permits: @Sendable (StationCommand, RecoveryPeer) -> Bool
    private let wakeUp: WakeUpCall
    private let shared = Lock(Shared())

    private struct Shared {
        var counts = RecoveryServer.Counts()
        var isStopping = false
        var failure: SocketError?
    }

    init(
        _ socket: Socket, source: any RecoverySource, replayLimit: ReplayLimit,
        permits: @escaping @Sendable (StationCommand, RecoveryPeer) -> Bool
    ) throws(SocketError) {
        self.socket = socket
        self.source = source
        self.replayLimit = replayLimit
        self.permits = permits
        wakeUp = try WakeUpCall()
    }

    var counts: RecoveryServer.Counts { shared.withLock { $0.counts } }
    var failure: SocketError? { shared.withLock { $0.failure } }

    func stop() {
        shared.withLock { $0.isStopping = true }
        wakeUp.ring()
    }

    /// Answers until `stop()`; to be called once, and the socket is closed when it returns.
    func run() {
        defer { socket = nil }
        guard let socket else { return }
        do {
            while !shared.withLock({ $0.isStopping }) {
                _ = try Socket.waitForMessages(on: [socket], orFor: wakeUp.descriptor, timeout: .seconds(3600))
                // An identity, an empty part and the JSON; the one more tells that there were too many.
                while let (parts, peer) = try socket.receiveWithPeer(keeping: 4) {
                    try handle(parts, from: peer, on: socket)
                    if shared.withLock({ $0.isStopping }) { return }
                }
            }
        } catch {
            shared.withLock { $0.failure = error }
        }
    }

    private func handle(_ parts: [[UInt8]], from peer: RecoveryPeer, on socket: Socket) throws(SocketError) {
        let identity = parts[0]
        var content = parts.dropFirst()
        // A REQ socket sets an empty part before what it says and expects one before what it hears.
        let delimiter = content.count > 1 && content.first == [] ? [content.removeFirst()] : []

        var change = RecoveryServer.Counts()
        change.answered = 1
        var messages: [EncodedMessage] = []
        var reply: RecoveryReply
        do throws(RecoveryRequestError) {
            guard let json = content.first, content.count == 1 else { throw .wrongPartCount(content.count) }
            let request = try RecoveryRequest(json: json)
            if let lost = laggards.count(of: identity) {
                reply = RecoveryReply(id: request.id, body: .error(.startAnew(lost: lost)))
            } else {
                (messages, reply) = source.answer(
                    request, from: peer, limit: replayLimit, permits: permits)
            }
        } catch {
            change.malformed = 1
            reply = RecoveryReply(
                id: content.first.flatMap(RecoveryRequest.id(in:)), body: .error(RecoveryFailure(error)))
        }
        if case .command(_, .refused(let refusal)) = reply.body, refusal.reason == .notPermitted { change.denied = 1 }

        let originals = messages.flatMap { [Array($0.topic.description.utf8), $0.json] }
        switch try socket.sendWithoutWaiting([identity] + delimiter + originals + [reply.encoded()]) {
        case .sent:
            change.replayed = UInt64(messages.count)
            if case .error(let failure) = reply.body, failure.code == .startAnew { laggards.forget(identity) }
        case .full:
            change = RecoveryServer.Counts()
            change.dropped = 1
            laggards.note(identity)
        case .unreachable:
            change = RecoveryServer.Counts()
            change.unreachable = 1
            laggards.forget(identity)
        }
        shared.withLock { [change] in $0.counts.add(change) }
    }
}

/// Peers whose answers were dropped and who have not been told yet.
private struct Laggards {
    /// Those who never come back are forgotten in the end.
    private static let capacity = 256
    private var dropped: [[UInt8]: UInt64] = [:]
    private var order: [[UInt8]] = []

    func count(of identity: [UInt8]) -> UInt64? { dropped[identity] }

    mutating func note(_ identity: [UInt8]) {
        if dropped[identity] == nil {
            if order.count == Self.capacity { dropped[order.removeFirst()] = nil }
            order.append(identity)
        }
        dropped[identity, default: 0] += 1
    }

    mutating func forget(_ identity: [UInt8]) {
        if dropped.removeValue(forKey: identity) != nil { order.removeAll { $0 == identity } }
    }
}

extension RecoveryFailure {
    fileprivate static func startAnew(lost: UInt64) -> RecoveryFailure {
        RecoveryFailure(
            .startAnew,
            "\(lost) answers to this peer were dropped because it did not read them, and this request was not carried "
                + "out; send SNAPSHOT and go on from there")
    }
}
