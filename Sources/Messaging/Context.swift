import CZeroMQ

/// ZeroMQ's input and output threads, shared by the sockets of a process.
///
/// Sockets keep their context alive. The last reference waits until what they sent is on its way, or their linger time
/// is over: let sockets and context go before the process exits, or the last messages stay behind.
public final class Context: @unchecked Sendable {
    // Sendable because ZeroMQ's contexts may be used from every thread.
    let handle: UnsafeMutableRawPointer

    public init() {
        guard let handle = zmq_ctx_new() else { preconditionFailure("no memory for a ZeroMQ context") }
        self.handle = handle
    }

    deinit {
        while zmq_ctx_term(handle) != 0 && zmq_errno() == EINTR {}
    }
}
