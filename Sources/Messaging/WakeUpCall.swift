import Glibc

/// Ends the wait of a thread that polls, from another thread: a pipe with a byte in it.
final class WakeUpCall: Sendable {
    /// To be polled for reading.
    let descriptor: Int32
    private let bell: Int32

    init() throws(SocketError) {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else {
            throw .refused(attempt: "open a pipe", reason: String(cString: strerror(errno)))
        }
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
        (descriptor, bell) = (ends[0], ends[1])
    }

    deinit {
        close(descriptor)
        close(bell)
    }

    /// From now on, until `silence()`, every wait returns at once.
    func ring() { _ = write(bell, [1], 1) }

    /// To be called by the thread that waits, before it looks for what the ringing was about.
    func silence() {
        var bytes: (UInt64, UInt64) = (0, 0)
        while read(descriptor, &bytes, MemoryLayout.size(ofValue: bytes)) > 0 {}
    }
}
