import Foundation

/// A TCP connection that speaks no ZeroMQ, or no more than is put into its mouth.
final class Stranger {
    private var descriptor: Int32
    private var isFull = false

    /// A message of one part.
    ///
    /// - Parameter body: At most 255 bytes.
    static func message(_ body: [UInt8]) -> [UInt8] { [0, UInt8(body.count)] + body }

    init(port: UInt16) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let status = withUnsafePointer(to: address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard status == 0 else { throw POSIXError(.ECONNREFUSED) }
    }

    deinit { close(descriptor) }

    func send(_ bytes: [UInt8]) { _ = Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) }

    /// Becomes a peer, in the words of ZMTP 3.0 (RFC 23): greetings with the NULL mechanism, and the command READY.
    ///
    /// Whoever sends messages before it has heard READY is cut off.
    func shakeHands(as type: String) throws {
        let body =
            [5] + Array("READY".utf8) + [11] + Array("Socket-Type".utf8) + [0, 0, 0, UInt8(type.utf8.count)]
            + Array(type.utf8)
        send([0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 0] + Array("NULL".utf8) + Array(repeating: 0, count: 48))
        send([4, UInt8(body.count)] + body)
        let header = try receive(64 + 2)
        _ = try receive(Int(header[65]))
    }

    private func receive(_ count: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var limit = timeval(tv_sec: 20, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        guard recv(descriptor, &bytes, count, Int32(MSG_WAITALL)) == count else {
            throw POSIXError(.ECONNRESET)
        }
        return bytes
    }

    /// Sends what the connection takes at once; after the first time that this is not all, nothing.
    func flood(_ bytes: [UInt8]) {
        guard !isFull else { return }
        isFull =
            Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)) < bytes.count
    }

    /// Resets the connection, whatever is still on its way.
    func breakOff() {
        var reset = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &reset, socklen_t(MemoryLayout<linger>.size))
        close(descriptor)
        descriptor = -1
    }

    func isCutOff(within limit: Duration) -> Bool {
        let deadline = SuspendingClock.now + limit
        var bytes = [UInt8](repeating: 0, count: 1024)
        while true {
            let remaining = SuspendingClock.now.duration(to: deadline)
            guard remaining > .zero else { return false }
            var item = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&item, 1, Int32((remaining / .milliseconds(1)).rounded(.up))) > 0 else { continue }
            if recv(descriptor, &bytes, bytes.count, 0) <= 0 { return true }
        }
    }
}
