import Foundation

/// A folder of trials that one program at a time works in.
///
/// The lock goes over to the trainings: as long as one of them goes on without whoever started it, nobody starts another
/// one on its files.
final class WorkFolder: Sendable {
    let path: String
    private let lock: Int32

    /// Makes the folder where it is not there.
    init(_ path: String) throws(TrialError) {
        self.path = path
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        } catch {
            throw .notWritable(path: path, reason: error.localizedDescription)
        }
        // Without O_CLOEXEC, so that child processes hold it as well.
        lock = open(path + "/lock", O_RDWR | O_CREAT, 0o644)
        guard lock >= 0 else { throw .notWritable(path: path, reason: String(cString: strerror(errno))) }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            close(lock)
            throw .inUse(folder: path)
        }
    }

    deinit { close(lock) }
}
