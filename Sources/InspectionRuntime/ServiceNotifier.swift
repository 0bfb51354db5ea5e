import Foundation
import Glibc

/// The line to the service manager: sd_notify(3), spoken without libsystemd.
///
/// One datagram per message to the AF_UNIX socket named by `NOTIFY_SOCKET`; a leading `@` stands for the zero byte of an
/// abstract address.
public struct ServiceNotifier: Sendable {
    private let path: String

    /// How often the service manager wants to hear `watchdog`, from `WATCHDOG_USEC`; nil where it does not watch.
    public let watchdogInterval: Duration?

    /// - Returns: nil where no service manager listens, as on a developer's terminal.
    public init?(environment: [String: String] = ProcessInfo.processInfo.environment) {
        guard let path = environment["NOTIFY_SOCKET"], path.hasPrefix("/") || path.hasPrefix("@") else { return nil }
        self.path = path
        let isForThisProcess = environment["WATCHDOG_PID"].map { $0 == String(getpid()) } ?? true
        let interval = environment["WATCHDOG_USEC"].flatMap(Int64.init) ?? 0
        watchdogInterval = isForThisProcess && interval > 0 ? .microseconds(interval) : nil
    }

    /// What the daemon has to tell.
    public enum Message: Hashable, Sendable {
        /// Start-up is over.
        case ready

        /// The decision path moved.
        case watchdog

        /// The daemon is draining and will exit.
        case stopping

        /// One line for `systemctl status`.
        case status(String)

        var text: String {
            switch self {
            case .ready: "READY=1"
            case .watchdog: "WATCHDOG=1"
            case .stopping: "STOPPING=1"
            case .status(let line): "STATUS=" + line.replacing("\n", with: " ")
            }
        }
    }

    /// Sends all messages as one datagram, without waiting for the reader.
    ///
    /// - Throws: `ServiceNotifierError`, with the socket's name. Nothing depends on the message but the service manager,
    ///   so the caller logs it and goes on.
    public func send(_ messages: Message...) throws(ServiceNotifierError) {
        guard let (target, length) = socketAddress() else { throw .pathTooLong(path) }
        var address = target
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw .cannotSend(path, errno: errno) }
        defer { close(descriptor) }
        let text = Array(messages.map(\.text).joined(separator: "\n").utf8)
        let sent = withUnsafePointer(to: &address) { address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                sendto(
                    descriptor, text, text.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT), address,
                    length)
            }
        }
        guard sent == text.count else { throw .cannotSend(path, errno: errno) }
    }

    private func socketAddress() -> (sockaddr_un, socklen_t)? {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var bytes = Array(path.utf8)
        let isAbstract = bytes[0] == UInt8(ascii: "@")
        if isAbstract { bytes[0] = 0 } else { bytes.append(0) }
        guard bytes.count <= MemoryLayout.size(ofValue: address.sun_path) else { return nil }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        // An abstract name ends with the given length, a path with its zero byte.
        return (address, socklen_t(MemoryLayout<sa_family_t>.size + bytes.count))
    }
}

/// Why the service manager could not be told.
public enum ServiceNotifierError: Error, Equatable, CustomStringConvertible {
    case pathTooLong(String)
    case cannotSend(String, errno: Int32)

    public var description: String {
        switch self {
        case .pathTooLong(let path):
            "NOTIFY_SOCKET '\(path)' is longer than a socket address holds (108 bytes)"
        case .cannotSend(let path, let code):
            "cannot send to NOTIFY_SOCKET '\(path)': \(String(cString: strerror(code)))"
        }
    }
}
