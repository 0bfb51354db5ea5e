import CZeroMQ
import InspectionProtocol

/// What a subscriber wants to hear.
public enum Subscription: Hashable, Sendable {
    /// Every kind from every station.
    case everything

    /// Every kind from one station.
    case station(StationName)
    case topic(Topic)

    var prefix: String {
        switch self {
        case .everything: "inspect/"
        case .station(let station): Topic.prefix(of: station)
        case .topic(let topic): topic.description
        }
    }
}

/// A message as it arrived.
public struct ReceivedMessage: Hashable, Sendable {
    public let message: Message

    /// The binary parts behind the JSON.
    public let attachments: [[UInt8]]
}

/// Hears what publishers send, from the moment of the connection on.
///
/// Connects in the background and again after every break; what was sent meanwhile is lost and shows as a hole in the
/// sequence numbers. What arrives waits in memory until it is received. Cannot be copied and is not `Sendable`: it stays where it was made.
public struct Subscriber: ~Copyable {
    let socket: Socket

    /// - Throws: `SocketError.noPort` for an endpoint with `*`, `.refused` for what ZeroMQ cannot connect to. A
    ///   publisher that is not there yet is no error.
    public init(
        connecting endpoints: [Endpoint], to subscriptions: [Subscription], in context: Context
    ) throws(SocketError) {
        let socket = try Socket(.subscriber, in: context)
        try socket.set(ZMQ_LINGER, to: 0)
        // No limit: libzmq 4.3 aborts the process when a connection breaks while its full queue is not read, which
        // heartbeats make certain within a second (libzmq issue 3937). A reader that stops reading grows instead.
        try socket.set(ZMQ_RCVHWM, to: 0)
        try socket.watchConnections()
        for subscription in subscriptions { try socket.subscribe(to: subscription.prefix) }
        for endpoint in endpoints {
            if case .tcp(_, port: nil) = endpoint.transport { throw .noPort(endpoint) }
            try socket.connect(to: endpoint)
        }
        self.socket = socket
    }

    /// The next message, or nil where none came in time.
    ///
    /// - Throws: `ReceptionError`; after one about a message, the next call reads the next message.
    public mutating func receive(timeout: Duration) throws(ReceptionError) -> ReceivedMessage? {
        let parts: [[UInt8]]?
        do {
            parts = try socket.receive(timeout: timeout)
        } catch {
            throw .socket(error)
        }
        guard let parts else { return nil }
        guard parts.count >= 2 else { throw .partsMissing(count: parts.count) }
        return ReceivedMessage(
            message: try Message(topic: parts[0], json: parts[1]), attachments: Array(parts.dropFirst(2)))
    }
}

extension Message {
    /// Reads the two parts in which a message travels.
    init(topic bytes: [UInt8], json: [UInt8]) throws(ReceptionError) {
        guard let text = String(validating: bytes, as: UTF8.self) else { throw .topicNotText(bytes) }
        guard let topic = Topic(text) else { throw .unknownTopic(text) }
        do {
            self = try Message(topic: topic, json: json)
        } catch {
            throw .message(error)
        }
    }
}

/// Why something that arrived is not a message.
public enum ReceptionError: Error, Hashable, CustomStringConvertible {
    /// The socket itself failed.
    case socket(SocketError)

    /// Fewer parts than topic and JSON, or a topic without its JSON.
    case partsMissing(count: Int)

    /// The topic is not UTF-8.
    case topicNotText([UInt8])

    /// No topic of ours, or of a kind that this version does not know.
    case unknownTopic(String)
    case message(MessageError)

    /// What came from a recovery endpoint is no reply.
    case reply(RecoveryReplyError)

    public var description: String {
        switch self {
        case .socket(let error):
            error.description
        case .partsMissing(let count):
            "received a message of \(count) parts instead of topic and JSON; check who else publishes on this endpoint"
        case .topicNotText(let bytes):
            "received a topic of \(bytes.count) bytes that is not UTF-8; check who else publishes on this endpoint"
        case .unknownTopic(let text):
            "received unknown topic \"\(text)\"; the publisher may be newer than this program"
        case .message(let error):
            error.description
        case .reply(let error):
            error.description
        }
    }
}
