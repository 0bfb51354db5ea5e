import CZeroMQ
import InspectionProtocol

/// What a station answered.
public struct RecoveryAnswer: Hashable, Sendable {
    public let reply: RecoveryReply

    /// What came before the reply: the original messages of a REPLAY, in their order, or why one cannot be read.
    public let messages: [Result<Message, ReceptionError>]

    public init(reply: RecoveryReply, messages: [Result<Message, ReceptionError>]) {
        self.reply = reply
        self.messages = messages
    }
}

/// Asks a station's recovery endpoint.
///
/// Asking and hearing are two steps, so that a reader of live messages never waits for an answer; `ask` does both. A
/// request goes out over a standing connection or not at all, and `startOver` forgets one that nobody answered: nothing
/// is carried out minutes after it was asked. Cannot be copied and is not `Sendable`: it stays where it was made.
public struct RecoveryRequester: ~Copyable {
    public let endpoint: Endpoint
    private let context: Context
    private(set) var socket: Socket
    private var lastID: RequestID = 0

    /// - Throws: `SocketError.noPort` for an endpoint with `*`, `.refused` for what ZeroMQ cannot connect to. A station
    ///   that is not there yet is no error.
    public init(connecting endpoint: Endpoint, in context: Context) throws(SocketError) {
        let socket = try Self.connect(to: endpoint, in: context)
        self.endpoint = endpoint
        self.context = context
        self.socket = socket
    }

    private static func connect(to endpoint: Endpoint, in context: Context) throws(SocketError) -> Socket {
        if case .tcp(_, port: nil) = endpoint.transport { throw .noPort(endpoint) }
        let socket = try Socket(.dealer, in: context)
        try socket.set(ZMQ_LINGER, to: 0)
        // Nothing is queued for a station that is not there, to be carried out when it comes back.
        try socket.set(ZMQ_IMMEDIATE, to: 1)
        // No limit, for the reason given at `Subscriber`; answers come one for each request.
        try socket.set(ZMQ_RCVHWM, to: 0)
        try socket.watchConnections()
        try socket.connect(to: endpoint)
        return socket
    }

    /// Sends a request without waiting.
    ///
    /// - Returns: The id that its answer will carry; nil where there is no connection.
    public mutating func send(_ verb: RecoveryRequest.Verb) throws(SocketError) -> RequestID? {
        let id = RequestID(lastID.value + 1)
        let request = RecoveryRequest(id: id, verb: verb)
        guard case .sent = try socket.sendWithoutWaiting([request.encoded()]) else { return nil }
        lastID = id
        return id
    }

    /// The next answer, or nil where none came in time. It may be to an older request than the last.
    ///
    /// - Throws: `ReceptionError`; after one about an answer, the next call reads the next answer.
    public mutating func receive(timeout: Duration) throws(ReceptionError) -> RecoveryAnswer? {
        let parts: [[UInt8]]?
        do {
            parts = try socket.receive(timeout: timeout)
        } catch {
            throw .socket(error)
        }
        guard let parts, let last = parts.last else { return nil }
        guard parts.count % 2 == 1 else { throw .partsMissing(count: parts.count) }
        let reply: RecoveryReply
        do {
            reply = try RecoveryReply(json: last)
        } catch {
            throw .reply(error)
        }
        let messages = stride(from: 0, to: parts.count - 1, by: 2).map { index in
            Result { () throws(ReceptionError) in try Message(topic: parts[index], json: parts[index + 1]) }
        }
        return RecoveryAnswer(reply: reply, messages: messages)
    }

    /// Waits until an answer, or a message of the subscriber, can be received.
    public func waitForAnswer(or subscriber: borrowing Subscriber, timeout: Duration) throws(SocketError) {
        _ = try Socket.waitForMessages(on: [subscriber.socket, socket], timeout: timeout)
    }

    /// Forgets all that was asked: a request that is still on its way does not arrive, and no answer does.
    public mutating func startOver() throws(SocketError) {
        socket = try Self.connect(to: endpoint, in: context)
    }

    /// Asks and waits for the answer.
    ///
    /// - Throws: `RecoveryRequestFailure.noAnswer` where none came in time; whether a command was carried out is then
    ///   unknown, and its outcome is published like any other.
    public mutating func ask(
        _ verb: RecoveryRequest.Verb, timeout: Duration
    ) throws(RecoveryRequestFailure) -> RecoveryAnswer {
        let deadline = SuspendingClock.now + timeout
        do {
            var id = try send(verb)
            while id == nil {
                let remaining = SuspendingClock.now.duration(to: deadline)
                guard remaining > .zero, try socket.waitForRoom(timeout: remaining) else { break }
                id = try send(verb)
            }
            while let id {
                let remaining = SuspendingClock.now.duration(to: deadline)
                guard remaining > .zero, let answer = try receive(timeout: remaining) else { break }
                // An answer without an id is about something that could not be read, which is not what was sent.
                if answer.reply.id == id { return answer }
            }
            try startOver()
        } catch let error as SocketError {
            throw .reception(.socket(error))
        } catch let error as ReceptionError {
            throw .reception(error)
        } catch {
            preconditionFailure("sockets throw nothing else: \(error)")
        }
        throw .noAnswer(verb.name, endpoint)
    }
}

/// Why a question has no answer.
public enum RecoveryRequestFailure: Error, Hashable, CustomStringConvertible {
    case noAnswer(RecoveryVerb, Endpoint)
    case reception(ReceptionError)

    public var description: String {
        switch self {
        case .noAnswer(let verb, let endpoint):
            "\(endpoint) did not answer \(verb.rawValue) in time; check that the station runs and this is its recovery endpoint"
        case .reception(let error):
            error.description
        }
    }
}
