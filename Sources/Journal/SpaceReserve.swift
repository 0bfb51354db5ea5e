import Glibc

/// Disk space that is kept occupied by an empty file, to be given to verdicts when the disk is full.
final class SpaceReserve {
    private let path: String
    private let size: Int

    /// Whether the space is there to be given.
    private(set) var isHeld = false

    /// - Parameter size: In bytes.
    init(path: String, size: Int) {
        self.path = path
        self.size = size
    }

    /// Occupies the space, unless that would leave the disk with less than a quarter of it.
    ///
    /// - Returns: Whether the space is held.
    func acquire() -> Bool {
        if isHeld { return true }
        var disk = statvfs()
        var present = stat()
        let occupied = stat(path, &present) == 0 ? Int(present.st_blocks) * 512 : 0
        if occupied < size, statvfs(path.directory, &disk) == 0 {
            let free = Int(disk.f_bavail) * Int(disk.f_frsize)
            // Taking the last of a disk would only move the trouble to others, and back to us.
            guard free - (size - occupied) >= size / 4 else { return false }
        }
        let descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        guard posix_fallocate(descriptor, 0, off_t(size)) == 0, ftruncate(descriptor, off_t(size)) == 0,
            fsync(descriptor) == 0
        else {
            unlink(path)
            return false
        }
        isHeld = true
        return true
    }

    /// Whether the disk has not even room for the index of a database's log.
    var isDiskFull: Bool {
        var disk = statvfs()
        return statvfs(path.directory, &disk) == 0 && Int(disk.f_bavail) * Int(disk.f_frsize) < 64 << 10
    }

    /// Gives the space back to the disk.
    func release() {
        unlink(path)
        isHeld = false
    }
}

extension String {
    fileprivate var directory: String { lastIndex(of: "/").map { String(self[..<$0]) } ?? "." }
}
