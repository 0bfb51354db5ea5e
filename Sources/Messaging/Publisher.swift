import CZeroMQ
import InspectionProtocol
import Locking

/// Sends messages to whoever subscribed, and never waits for them.
///
/// A subscriber that does not keep up loses messages in silence, which it sees as a hole in the sequence numbers; other
/// subscribers and the sender notice nothing. A station has two publishers, so that readers of large results cannot
/// delay a verdict.
///
/// One queue should own a publisher, because its order of sending is the order of the sequence numbers. The lock makes
/// every other use safe as well; sending never blocks, so it is held for microseconds.
public final class Publisher: Sendable {
    public struct Configuration: Hashable, Sendable {
        /// How many messages may wait for one subscriber; default 200.
        ///
        /// More tolerates a longer stall of the subscriber, and lets what it then reads be older.
        public var sendHighWaterMark = 200

        /// How long unsent messages keep the context alive after the publisher is gone; default 500 ms.
        ///
        /// More saves the last messages for slower subscribers, and makes stopping take longer.
        public var linger = Duration.milliseconds(500)

        /// Whether `waitForSubscriber` can be asked; default no.
        ///
        /// For a run that begins when somebody listens. A station does not wait for anybody.
        public var observesSubscriptions = false

        public init() {}

        /// For `verdict/`, `reject/`, `heartbeat/` and `state/`, which are worthless when late.
        public static let verdicts = Configuration()

        /// For `result/`, which is for records: a high-water mark of 1000.
        public static var results: Configuration {
            var configuration = Configuration()
            configuration.sendHighWaterMark = 1000
            return configuration
        }
    }

    /// Where the publisher is really bound: with its port, also if `*` was asked for.
    public let endpoint: Endpoint

    private let observesSubscriptions: Bool
    private let socket: Lock<Socket?>
    private let pathLock: PathLock?

    /// Binds a new socket.
    ///
    /// - Precondition: A high-water mark of at least 1; to ZeroMQ, 0 means that memory may grow without limit.
    /// - Throws: `SocketError.notLocal` for a tcp endpoint beyond loopback, `.addressInUse`, `.pathInUse`,
    ///   `.directoryNotPrivate` and `.directoryUnusable` for an ipc endpoint, `.refused` for the rest.
    public init(
        binding requested: Endpoint, in context: Context, configuration: Configuration = .verdicts
    ) throws(SocketError) {
        precondition(configuration.sendHighWaterMark > 0, "a publisher needs a high-water mark of at least 1")
        guard requested.isLocal else { throw .notLocal(requested) }
        if case .ipc(let path) = requested.transport {
            pathLock = try PathLock(path: path, of: requested)
        } else {
            pathLock = nil
        }
        observesSubscriptions = configuration.observesSubscriptions
        let socket = try Socket(observesSubscriptions ? .observingPublisher : .publisher, in: context)
        try socket.set(ZMQ_SNDHWM, to: Int32(clamping: configuration.sendHighWaterMark))
        try socket.set(ZMQ_LINGER, to: Int32(clamping: Int(configuration.linger / .milliseconds(1))))
        // All that comes in is subscriptions.
        try socket.limitInboundMessages(toBytes: 64 * 1024)
        // No limit for how many, for the reason given at `RecoveryLoop`. They are kept in any case, once they are read.
        try socket.set(ZMQ_RCVHWM, to: 0)
        try socket.watchConnections()
        endpoint = try socket.bind(to: requested)
        self.socket = Lock(socket)
    }

    /// Takes no more messages; what waits still goes out while the context is closed, for at most the linger time.
    ///
    /// Whoever else holds the publisher keeps the context waiting no longer. A second call does nothing.
    public func close() { socket.withLock { $0 = nil } }

    /// Sends `[topic][JSON][attachment …]`, without waiting.
    ///
    /// - Throws: `SocketError.closed` after `close()`, `.refused` where ZeroMQ fails.
    public func publish(_ message: EncodedMessage, attachments: [[UInt8]] = []) throws(SocketError) {
        let parts = [Array(message.topic.description.utf8), message.json] + attachments
        try socket.withLock { socket throws(SocketError) in
            guard let socket else { throw .closed(endpoint) }
            // Read and forgotten, or the memory of subscribers that came and went would grow.
            while observesSubscriptions, try socket.receive(timeout: .zero) != nil {}
            for (index, part) in parts.enumerated() {
                try socket.send(part, more: index < parts.count - 1)
            }
        }
    }

    /// Returns as soon as somebody has subscribed: what is published from then on reaches them.
    ///
    /// What is published before is lost to them, as ZeroMQ has it.
    ///
    /// - Returns: Whether anybody did within the time.
    /// - Precondition: `Configuration.observesSubscriptions`.
    public func waitForSubscriber(atMost limit: Duration) throws(SocketError) -> Bool {
        precondition(observesSubscriptions, "this publisher was not made to observe subscriptions")
        let deadline = SuspendingClock.now + limit
        repeat {
            // A first byte of 1 subscribes, 0 unsubscribes. Short turns, so that publishing is not locked out.
            let turn = min(.milliseconds(50), max(.zero, SuspendingClock.now.duration(to: deadline)))
            let received = try socket.withLock { socket throws(SocketError) in
                guard let socket else { throw .closed(endpoint) }
                return try socket.receive(timeout: turn)
            }
            if received?.first?.first == 1 { return true }
        } while SuspendingClock.now < deadline
        return false
    }
}
