import Dispatch
import Glibc
import InspectionProtocol
import Locking

/// What runs on the queue of a `RecoveryServer`: takes requests in, has one after the other answered or counts it, and
/// sends the answers.
///
/// Whatever happens, what comes in is taken from the socket at once. libzmq 4.3 stops to read a connection whose messages
/// find no room, and when that connection then breaks, aborts the process at its next heartbeat (the assertion `!_io_error`, as in
/// libzmq issue 4841). So the socket has no limit, nothing that may take long runs on this queue, and what is too much is
/// given up here.
final class RecoveryLoop: @unchecked Sendable {
    // Sendable because everything but `shared` is touched by `run` only, once `init` is through.
    private var socket: Socket?
    private var inbox: RecoveryInbox
    private var laggards = Laggards()
    private var isAnswering = false

    /// Whether more came than there was room or time for.
    private var isFlooded = false
    private let source: any RecoverySource
    private let configuration: RecoveryServer.Configuration
    private let permits: @Sendable (StationCommand, RecoveryPeer) -> Bool
    private let answering = DispatchQueue(label: "beltwatch.recovery.answer", qos: .utility)
    private let wakeUp: WakeUpCall
    private let shared = Lock(Shared())

    private struct Shared {
        var counts = RecoveryServer.Counts()
        var isStopping = false
        var finished: Answer?
        var failure: SocketError?
    }

    /// What one request led to.
    private struct Answer {
        let identity: [UInt8]
        let delimiter: [[UInt8]]
        let messages: [EncodedMessage]
        let reply: RecoveryReply
        let counts: RecoveryServer.Counts

        /// Processor time that it took.
        let work: Duration
    }

    /// Messages that are taken in before an answer is looked after.
    private static let batch = 1000

    /// How often a flood is looked at.
    private static let floodPeriod = Duration.milliseconds(1)

    init(
        _ socket: Socket, source: any RecoverySource, configuration: RecoveryServer.Configuration,
        permits: @escaping @Sendable (StationCommand, RecoveryPeer) -> Bool
    ) throws(SocketError) {
        self.socket = socket
        self.source = source
        self.configuration = configuration
        self.permits = permits
        inbox = RecoveryInbox(requestsPerPeer: configuration.requestsPerPeer)
        wakeUp = try WakeUpCall()
    }

    var counts: RecoveryServer.Counts { shared.withLock { $0.counts } }
    var failure: SocketError? { shared.withLock { $0.failure } }

    func stop() {
        shared.withLock { $0.isStopping = true }
        wakeUp.ring()
    }

    /// Answers until `stop()`; to be called once. When it returns, the socket is closed and the source not called any more.
    func run() {
        defer { socket = nil }
        guard let socket else { return }
        var allowance = WorkAllowance(share: configuration.share, burst: configuration.burst, at: .now)
        do {
            while !shared.withLock({ $0.isStopping }) {
                try wait(on: socket, atMost: isAnswering || inbox.isEmpty ? nil : allowance.pause(at: .now))
                try takeIn(from: socket)
                if let answer = shared.withLock({ $0.finished.take() }) {
                    isAnswering = false
                    let start = processorTimeOfThisThread()
                    try send(answer, on: socket)
                    allowance.spend(answer.work + processorTimeOfThisThread() - start, at: .now)
                }
                if !isAnswering, allowance.pause(at: .now) == .zero, let request = inbox.next() { begin(request) }
            }
        } catch {
            shared.withLock { $0.failure = error }
        }
        answering.sync {}
    }

    /// - Parameter limit: Nil where only a message, an answer or `stop()` leads to more to do.
    private func wait(on socket: Socket, atMost limit: Duration?) throws(SocketError) {
        // A flood comes in heaps, and not every message of it wakes us.
        let limit = min(limit ?? .seconds(3600), isFlooded ? Self.floodPeriod : .seconds(3600))
        guard limit > .zero else { return }
        _ = try Socket.waitForMessages(on: isFlooded ? [] : [socket], orFor: wakeUp.descriptor, timeout: limit)
        wakeUp.silence()
    }

    /// Takes in what is there, and gives up what there is no room for.
    private func takeIn(from socket: Socket) throws(SocketError) {
        isFlooded = false
        for _ in 0..<Self.batch {
            // An identity, an empty part and the JSON; the one more tells that there were too many.
            guard let (parts, sender) = try socket.receiveWithPeer(keeping: 4) else { return }
            var peer = sender
            // A trigger is worth what its time is worth, and may wait here for the answers to others.
            peer.receivedAtNanoseconds = Self.monotonicNanoseconds
            let request = RecoveryInbox.Request(identity: parts[0], content: Array(parts.dropFirst()), peer: peer)
            if !inbox.offer(request) {
                isFlooded = true
                laggards.note(request.identity)
                shared.withLock { $0.counts.refused += 1 }
            }
        }
        isFlooded = true
    }

    private static var monotonicNanoseconds: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    /// Has a request answered on a queue of its own.
    private func begin(_ request: RecoveryInbox.Request) {
        isAnswering = true
        let lost = laggards.count(of: request.identity)
        answering.async { [self] in
            let answer = answer(request, lost: lost)
            shared.withLock { $0.finished = answer }
            wakeUp.ring()
        }
    }

    /// - Parameter lost: How much was given up that the peer does not know of.
    private func answer(_ request: RecoveryInbox.Request, lost: UInt64?) -> Answer {
        let start = processorTimeOfThisThread()
        var content = request.content[...]
        // A REQ socket sets an empty part before what it says and expects one before what it hears.
        let delimiter = content.count > 1 && content.first == [] ? [content.removeFirst()] : []
        var counts = RecoveryServer.Counts()
        counts.answered = 1
        var messages: [EncodedMessage] = []
        var reply: RecoveryReply
        do throws(RecoveryRequestError) {
            guard let json = content.first, content.count == 1 else { throw .wrongPartCount(content.count) }
            let question = try RecoveryRequest(json: json)
            if let lost {
                reply = RecoveryReply(id: question.id, body: .error(.startAnew(lost: lost)))
            } else {
                (messages, reply) = source.answer(
                    question, from: request.peer, limit: configuration.replayLimit, permits: permits)
            }
        } catch {
            counts.malformed = 1
            reply = RecoveryReply(
                id: content.first.flatMap(RecoveryRequest.id(in:)), body: .error(RecoveryFailure(error)))
        }
        if case .command(_, .refused(let refusal)) = reply.body, refusal.reason == .notPermitted { counts.denied = 1 }
        counts.replayed = UInt64(messages.count)
        return Answer(
            identity: request.identity, delimiter: delimiter, messages: messages, reply: reply, counts: counts,
            work: processorTimeOfThisThread() - start)
    }

    private func send(_ answer: Answer, on socket: Socket) throws(SocketError) {
        let originals = answer.messages.flatMap { [Array($0.topic.description.utf8), $0.json] }
        var change = RecoveryServer.Counts()
        switch try socket.sendWithoutWaiting(
            [answer.identity] + answer.delimiter + originals + [answer.reply.encoded()])
        {
        case .sent:
            change = answer.counts
            if case .error(let failure) = answer.reply.body, failure.code == .startAnew {
                laggards.forget(answer.identity)
            }
        case .full:
            change.dropped = 1
            laggards.note(answer.identity)
        case .unreachable:
            change.unreachable = 1
            laggards.forget(answer.identity)
        }
        shared.withLock { [change] in $0.counts.add(change) }
    }
}

/// Peers whose requests or answers were given up and who have not been told yet.
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
            "\(lost) requests or answers of this peer were dropped because it asked faster than it was answered or did not "
                + "read, and this request was not carried out; send SNAPSHOT and go on from there")
    }
}
