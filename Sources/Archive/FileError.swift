import Glibc

/// Why a file or directory could not be used: what was tried, where, and what the system said.
public struct FileError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Operation: String, Sendable {
        case open, read, write, synchronise, rename, remove, lock, list
        case createDirectory = "create directory"
    }

    public enum Cause: Hashable, Sendable {
        case missing
        case permissionDenied
        case readOnlyFileSystem
        case diskFull

        /// Larger than the process or the file system may write.
        case tooLarge
        case isADirectory
        case notADirectory
        case notARegularFile

        /// Where none is followed, because somebody may have planted it.
        case symbolicLink

        /// Another process holds it.
        case inUse

        /// Shorter than it was a moment ago, or than it says it is.
        case endedEarly

        /// Any other `errno`.
        case system(Int32)
    }

    public let operation: Operation
    public let path: String
    public let cause: Cause

    public init(_ operation: Operation, _ path: String, _ cause: Cause) {
        self.operation = operation
        self.path = path
        self.cause = cause
    }

    /// Reads the calling thread's `errno`, so nothing may come between the failed call and this.
    static func last(_ operation: Operation, _ path: String) -> FileError {
        FileError(operation, path, Cause(errno))
    }

    public var description: String { "cannot \(operation.rawValue) '\(path)': \(cause.explanation)" }
}

extension FileError.Cause {
    init(_ code: Int32) {
        self =
            switch code {
            case ENOENT: .missing
            case EACCES, EPERM: .permissionDenied
            case EROFS: .readOnlyFileSystem
            case ENOSPC, EDQUOT: .diskFull
            case EFBIG: .tooLarge
            case EISDIR: .isADirectory
            case ENOTDIR: .notADirectory
            case EWOULDBLOCK: .inUse
            default: .system(code)
            }
    }

    var explanation: String {
        switch self {
        case .missing: "it does not exist; check the path"
        case .permissionDenied: "permission denied; check the owner and mode, and which user runs this program"
        case .readOnlyFileSystem: "the file system is read-only; choose a writable directory"
        case .diskFull: "the disk or quota is full; free some space"
        case .tooLarge: "it would grow beyond the allowed file size; raise the limit (ulimit -f)"
        case .isADirectory: "it is a directory; a file is needed"
        case .notADirectory: "a directory is needed, and it or a part of its path is not one"
        case .notARegularFile: "it is not a regular file"
        case .symbolicLink: "it is a symbolic link, which is not followed here; a directory or a mount is needed"
        case .inUse: "another process holds it"
        case .endedEarly: "it ended before its announced size; it is incomplete, or was changed meanwhile"
        case .system(let code): String(cString: strerror(code))
        }
    }
}
