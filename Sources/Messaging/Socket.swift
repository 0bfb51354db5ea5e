import CZeroMQ
import InspectionProtocol

/// One ZeroMQ socket, closed with its last reference.
///
/// Not `Sendable`: a ZeroMQ socket belongs to one thread or queue at a time. `Publisher` and `Subscriber` see to it.
final class Socket {
    enum Role {
        case publisher

        /// A publisher that can be asked who subscribes; whoever opens one has to read what it receives.
        case observingPublisher
        case subscriber
    }

    private let handle: UnsafeMutableRawPointer
    // Keeps the threads running until the socket is closed.
    private let context: Context

    init(_ role: Role, in context: Context) throws(SocketError) {
        let type =
            switch role {
            case .publisher: ZMQ_PUB
            case .observingPublisher: ZMQ_XPUB
            case .subscriber: ZMQ_SUB
            }
        guard let handle = zmq_socket(context.handle, type) else { throw .lastFailure("open a socket") }
        self.handle = handle
        self.context = context
    }

    deinit {
        zmq_close(handle)
    }

    func set(_ option: Int32, to value: Int32) throws(SocketError) {
        let status = withUnsafePointer(to: value) { zmq_setsockopt(handle, option, $0, MemoryLayout<Int32>.size) }
        guard status == 0 else { throw .lastFailure("set option \(option) to \(value)") }
    }

    /// Cuts off a peer that sends more in one message.
    func limitInboundMessages(toBytes count: Int64) throws(SocketError) {
        let status = withUnsafePointer(to: count) {
            zmq_setsockopt(handle, ZMQ_MAXMSGSIZE, $0, MemoryLayout<Int64>.size)
        }
        guard status == 0 else { throw .lastFailure("limit inbound messages to \(count) bytes") }
    }

    /// Notices a dead connection within a second instead of in TCP's two hours (PROTOCOL §4).
    func watchConnections() throws(SocketError) {
        try set(ZMQ_HEARTBEAT_IVL, to: 250)
        try set(ZMQ_HEARTBEAT_TIMEOUT, to: 750)
        try set(ZMQ_HEARTBEAT_TTL, to: 1000)
        try set(ZMQ_HANDSHAKE_IVL, to: 2000)
        try set(ZMQ_TCP_KEEPALIVE, to: 1)
        try set(ZMQ_TCP_KEEPALIVE_IDLE, to: 10)
        try set(ZMQ_TCP_KEEPALIVE_INTVL, to: 5)
        try set(ZMQ_TCP_KEEPALIVE_CNT, to: 3)
    }

    func subscribe(to prefix: String) throws(SocketError) {
        guard zmq_setsockopt(handle, ZMQ_SUBSCRIBE, prefix, prefix.utf8.count) == 0 else {
            throw .lastFailure("subscribe to \(prefix)")
        }
    }

    /// Binds and tells where: with the port that the system picked, if it was to pick one.
    func bind(to endpoint: Endpoint) throws(SocketError) -> Endpoint {
        try allowIPv6(for: endpoint)
        guard zmq_bind(handle, endpoint.description) == 0 else {
            throw zmq_errno() == EADDRINUSE ? .addressInUse(endpoint) : .lastFailure("bind \(endpoint)")
        }
        var text = [CChar](repeating: 0, count: 256)
        var length = text.count
        guard zmq_getsockopt(handle, ZMQ_LAST_ENDPOINT, &text, &length) == 0, length > 0,
            let bound = try? Endpoint(
                String(decoding: text.prefix(length - 1).map(UInt8.init(bitPattern:)), as: UTF8.self))
        else { throw .lastFailure("find the address of \(endpoint)") }
        return bound
    }

    /// Connects in the background, and again whenever the connection breaks.
    func connect(to endpoint: Endpoint) throws(SocketError) {
        try allowIPv6(for: endpoint)
        guard zmq_connect(handle, endpoint.description) == 0 else { throw .lastFailure("connect to \(endpoint)") }
    }

    private func allowIPv6(for endpoint: Endpoint) throws(SocketError) {
        if case .tcp(let host, _) = endpoint.transport, host.hasPrefix("[") { try set(ZMQ_IPV6, to: 1) }
    }

    /// Sends one part of a message, more of which may follow.
    func send(_ part: [UInt8], more: Bool) throws(SocketError) {
        while zmq_send(handle, part, part.count, more ? ZMQ_SNDMORE : 0) < 0 {
            guard zmq_errno() == EINTR else { throw .lastFailure("send \(part.count) bytes") }
        }
    }

    /// All parts of the next message, or nil where none came in time.
    func receive(timeout: Duration) throws(SocketError) -> [[UInt8]]? {
        guard try waitForMessage(timeout: timeout) else { return nil }
        var parts: [[UInt8]] = []
        var message = zmq_msg_t()
        zmq_msg_init(&message)
        defer { zmq_msg_close(&message) }
        repeat {
            while zmq_msg_recv(&message, handle, ZMQ_DONTWAIT) < 0 {
                // Parts of one message arrive together; nothing at all means that the poll woke for nothing.
                if zmq_errno() == EAGAIN && parts.isEmpty { return nil }
                guard zmq_errno() == EINTR else { throw .lastFailure("receive") }
            }
            parts.append(Array(UnsafeRawBufferPointer(start: zmq_msg_data(&message), count: zmq_msg_size(&message))))
        } while zmq_msg_more(&message) != 0
        return parts
    }

    private func waitForMessage(timeout: Duration) throws(SocketError) -> Bool {
        let deadline = SuspendingClock.now + timeout
        var item = zmq_pollitem_t(socket: handle, fd: 0, events: Int16(ZMQ_POLLIN), revents: 0)
        while true {
            let remaining = max(.zero, SuspendingClock.now.duration(to: deadline))
            // Up to the next millisecond, so that the deadline has passed when the poll says so.
            let milliseconds = min(remaining / .milliseconds(1), 1e9).rounded(.up)
            let count = zmq_poll(&item, 1, Int(milliseconds))
            if count >= 0 { return count > 0 }
            guard zmq_errno() == EINTR else { throw .lastFailure("wait for a message") }
        }
    }
}
