import CZeroMQ
import InspectionProtocol

/// One ZeroMQ socket, closed with its last reference.
///
/// Not `Sendable`: a ZeroMQ socket belongs to one thread or queue at a time. Those who own one see to it.
final class Socket {
    enum Role {
        case publisher

        /// A publisher that can be asked who subscribes; whoever opens one has to read what it receives.
        case observingPublisher
        case subscriber

        /// Answers many peers, each by the identity that its messages begin with.
        case router

        /// Asks one router, and need not wait for an answer before it asks again.
        case dealer
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
            case .router: ZMQ_ROUTER
            case .dealer: ZMQ_DEALER
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

    /// How many messages may wait for, or from, one peer; nothing waits any longer when the socket is closed.
    func limitQueues(sending: Int, receiving: Int) throws(SocketError) {
        try set(ZMQ_SNDHWM, to: Int32(clamping: sending))
        try set(ZMQ_RCVHWM, to: Int32(clamping: receiving))
        try set(ZMQ_LINGER, to: 0)
    }

    /// A router tells of messages that it cannot send, instead of dropping them in silence.
    func reportUndeliverable() throws(SocketError) {
        try set(ZMQ_ROUTER_MANDATORY, to: 1)
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

    /// What became of a message that was not waited for.
    enum Delivery {
        case sent

        /// The receiver's queue is full, or for a dealer there is no connection.
        case full

        /// A router no longer knows the receiver.
        case unreachable
    }

    /// Sends all parts or none, at once.
    ///
    /// - Precondition: A router must `reportUndeliverable`, or everything that cannot be sent counts as sent.
    func sendWithoutWaiting(_ parts: [[UInt8]]) throws(SocketError) -> Delivery {
        var isUpToDate = false
        for (index, part) in parts.enumerated() {
            let flags = ZMQ_DONTWAIT | (index < parts.count - 1 ? ZMQ_SNDMORE : 0)
            while zmq_send(handle, part, part.count, flags) < 0 {
                switch zmq_errno() {
                case EINTR: continue
                // Whether there is room is decided once, by the first part.
                case EAGAIN where index == 0 && !isUpToDate:
                    // A busy socket looks only once a millisecond what its peers have taken, so look now.
                    try noticeWhatPeersTook()
                    isUpToDate = true
                case EAGAIN where index == 0: return .full
                case EHOSTUNREACH where index == 0: return .unreachable
                default: throw .lastFailure("send \(part.count) bytes")
                }
            }
        }
        return .sent
    }

    private func noticeWhatPeersTook() throws(SocketError) {
        var events: Int32 = 0
        var length = MemoryLayout<Int32>.size
        while zmq_getsockopt(handle, ZMQ_EVENTS, &events, &length) != 0 {
            guard zmq_errno() == EINTR else { throw .lastFailure("ask for events") }
        }
    }

    /// All parts of the next message, or nil where none came in time.
    func receive(timeout: Duration) throws(SocketError) -> [[UInt8]]? {
        guard try Self.waitForMessages(on: [self], timeout: timeout) else { return nil }
        return try receiveWithPeer(keeping: .max)?.parts
    }

    /// The next message that is already there, with what ZeroMQ knows about its sender; nil where there is none.
    ///
    /// - Parameter limit: Parts beyond it are read and forgotten, but for the last of them.
    func receiveWithPeer(keeping limit: Int) throws(SocketError) -> (parts: [[UInt8]], peer: RecoveryPeer)? {
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
            if parts.count == limit { parts.removeLast() }
            parts.append(Array(UnsafeRawBufferPointer(start: zmq_msg_data(&message), count: zmq_msg_size(&message))))
        } while zmq_msg_more(&message) != 0
        let peer = RecoveryPeer(
            address: zmq_msg_gets(&message, "Peer-Address").map { String(cString: $0) },
            userID: zmq_msg_gets(&message, "User-Id").map { String(cString: $0) })
        return (parts, peer)
    }

    /// Waits until one of the sockets has a message, or until the wake-up call.
    ///
    /// - Returns: Whether anything came within the time.
    static func waitForMessages(
        on sockets: [Socket], orFor wakeUp: Int32? = nil, timeout: Duration
    ) throws(SocketError) -> Bool {
        var items = sockets.map { zmq_pollitem_t(socket: $0.handle, fd: 0, events: Int16(ZMQ_POLLIN), revents: 0) }
        if let wakeUp { items.append(zmq_pollitem_t(socket: nil, fd: wakeUp, events: Int16(ZMQ_POLLIN), revents: 0)) }
        return try wait(for: &items, timeout: timeout)
    }

    /// Waits until a message can be sent.
    func waitForRoom(timeout: Duration) throws(SocketError) -> Bool {
        var items = [zmq_pollitem_t(socket: handle, fd: 0, events: Int16(ZMQ_POLLOUT), revents: 0)]
        return try Self.wait(for: &items, timeout: timeout)
    }

    private static func wait(for items: inout [zmq_pollitem_t], timeout: Duration) throws(SocketError) -> Bool {
        let deadline = SuspendingClock.now + timeout
        while true {
            let remaining = max(.zero, SuspendingClock.now.duration(to: deadline))
            // Up to the next millisecond, so that the deadline has passed when the poll says so.
            let milliseconds = min(remaining / .milliseconds(1), 1e9).rounded(.up)
            let count = zmq_poll(&items, Int32(items.count), Int(milliseconds))
            if count >= 0 { return count > 0 }
            guard zmq_errno() == EINTR else { throw .lastFailure("wait for a message") }
        }
    }
}
