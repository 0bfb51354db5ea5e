import Glibc
import InspectionProtocol

/// Keeps the path of an ipc endpoint for one publisher.
///
/// ZeroMQ removes what is at the path before it binds, so that a second publisher would silently take the path from the
/// first (PROTOCOL §4). The kernel drops the lock with the process; the file `<path>.lock` stays.
struct PathLock: ~Copyable {
    private let descriptor: Int32

    /// - Throws: `SocketError.pathInUse`, and where others than user and group may enter the directory,
    ///   `.directoryNotPrivate`.
    init(path: String, of endpoint: Endpoint) throws(SocketError) {
        let directory = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "/"
        var status = stat()
        guard stat(directory, &status) == 0 else {
            throw .directoryUnusable(path: directory, reason: String(cString: strerror(errno)))
        }
        let permissions = status.st_mode & 0o7777
        guard permissions & 0o007 == 0 else { throw .directoryNotPrivate(path: directory, permissions: permissions) }
        let descriptor = open(path + ".lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o640)
        guard descriptor >= 0 else {
            throw .directoryUnusable(path: directory, reason: String(cString: strerror(errno)))
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            throw .pathInUse(endpoint)
        }
        self.descriptor = descriptor
    }

    deinit {
        close(descriptor)
    }
}
