import CZeroMQ
import Locking

/// ZeroMQ's input and output threads, shared by the sockets of a process.
///
/// A process that sends has to end with `close()`: what is still on its way when the process exits never arrives.
public final class Context: @unchecked Sendable {
    // Sendable because ZeroMQ's contexts may be used from every thread.
    let handle: UnsafeMutableRawPointer
    private let isClosed = Lock(false)

    public init() {
        guard let handle = zmq_ctx_new() else { preconditionFailure("no memory for a ZeroMQ context") }
        self.handle = handle
    }

    deinit { close() }

    /// Waits until what the context's sockets sent is with its readers, or their linger time is over.
    ///
    /// Then no socket can be opened any more. A second call does nothing.
    ///
    /// - Precondition: Every socket of the context is closed; the call waits for those that are not.
    public func close() {
        let wasClosed = isClosed.withLock { isClosed in
            defer { isClosed = true }
            return isClosed
        }
        guard !wasClosed else { return }
        while zmq_ctx_term(handle) != 0 && zmq_errno() == EINTR {}
    }
}
