import Glibc
import InspectionProtocol

/// A TCP connection that ZeroMQ takes for a DEALER, and that can then say anything: our own sockets would not.
///
/// Greeting and frames are those of ZMTP 3.0 (RFC 23) with the NULL mechanism. It listens to the greeting and to
/// nothing else.
struct GarbageConnection: ~Copyable {
    private let descriptor: Int32

    /// - Returns: nil where nobody answers, or the endpoint is not tcp at an IPv4 address.
    init?(to endpoint: Endpoint) {
        guard case .tcp(let host, let port?) = endpoint.transport else { return nil }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        guard inet_pton(AF_INET, host, &address.sin_addr) == 1 else { return nil }
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        // So that a station that takes nothing more, or says nothing, is noticed.
        var limit = timeval(tv_sec: 0, tv_usec: 100_000)
        for option in [SO_SNDTIMEO, SO_RCVTIMEO] {
            setsockopt(descriptor, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size))
        }
        let isConnected = withUnsafePointer(to: address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
        guard isConnected, Self.shakeHands(on: descriptor) else {
            close(descriptor)
            return nil
        }
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }

    /// Signature, version 3.0, mechanism padded to 20 bytes, not a server, filler to 64 bytes.
    private static let greeting: [UInt8] =
        [0xff] + Array(repeating: 0, count: 8) + [0x7f, 3, 0] + Array("NULL".utf8)
        + Array(repeating: 0, count: 16 + 1 + 31)

    /// The command READY with the one property `Socket-Type: DEALER`.
    private static let ready: [UInt8] = {
        let body =
            [5] + Array("READY".utf8) + [11] + Array("Socket-Type".utf8) + [0, 0, 0, 6] + Array("DEALER".utf8)
        return [4, UInt8(body.count)] + body
    }()

    /// Whoever sends messages before it has heard READY is cut off.
    private static func shakeHands(on descriptor: Int32) -> Bool {
        // A greeting like ours, and the two bytes before the command itself.
        guard write(greeting + ready, to: descriptor), let header = read(greeting.count + 2, from: descriptor) else {
            return false
        }
        return read(Int(header[greeting.count + 1]), from: descriptor) != nil
    }

    private static func read(_ count: Int, from descriptor: Int32) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        return recv(descriptor, &bytes, count, Int32(MSG_WAITALL)) == count ? bytes : nil
    }

    /// Sends a message of one part.
    ///
    /// - Parameter body: At most 255 bytes.
    /// - Returns: Whether the connection still takes more.
    mutating func send(_ body: [UInt8]) -> Bool { Self.write([0, UInt8(body.count)] + body, to: descriptor) }

    private static func write(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
        Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count
    }
}
