import CZeroMQ
import InspectionProtocol

/// Why a socket does not do what it should.
public enum SocketError: Error, Hashable, CustomStringConvertible {
    /// Other machines could reach it, and nothing yet tells who they are.
    case notLocal(Endpoint)
    case addressInUse(Endpoint)

    /// `*` can be bound, not connected to.
    case noPort(Endpoint)

    /// The directory of an ipc endpoint does not exist or cannot be used.
    case directoryUnusable(path: String, reason: String)

    /// Everybody on the machine could take part in an ipc endpoint in this directory.
    case directoryNotPrivate(path: String, permissions: UInt32)

    /// Another process, or another socket of this one, has bound the ipc endpoint.
    case pathInUse(Endpoint)

    /// Sent after `close()`.
    case closed(Endpoint)

    /// ZeroMQ refused, in its own words.
    case refused(attempt: String, reason: String)

    public var description: String {
        switch self {
        case .notLocal(let endpoint):
            "\(endpoint) can be reached from other machines, which needs encryption that this version does not have; "
                + "bind a loopback address such as tcp://127.0.0.1:5556, or ipc"
        case .addressInUse(let endpoint):
            "\(endpoint) is in use by another program; choose another port, or * for any that is free"
        case .noPort(let endpoint):
            "\(endpoint) has no port to connect to; use the one that the station printed when it started"
        case .directoryUnusable(let path, let reason):
            "directory \(path) of an ipc endpoint cannot be used: \(reason); make it with mode 0750"
        case .directoryNotPrivate(let path, let permissions):
            "directory \(path) of an ipc endpoint is open to everybody (mode 0\(String(permissions, radix: 8))); "
                + "use one with mode 0750"
        case .pathInUse(let endpoint):
            "\(endpoint) is bound by a running station; choose another path for each station"
        case .closed(let endpoint):
            "the socket on \(endpoint) is closed"
        case .refused(let attempt, let reason):
            "cannot \(attempt): \(reason)"
        }
    }

    /// The error that ZeroMQ has just reported on this thread.
    static func lastFailure(_ attempt: String) -> SocketError {
        .refused(attempt: attempt, reason: String(cString: zmq_strerror(zmq_errno())))
    }
}
