import GRDB
import Glibc

/// Why SQLite did not do what it was asked, by what can be done about it.
public enum DatabaseFault: Error, Hashable, Sendable, CustomStringConvertible {
    /// The disk, the quota or the file size limit is reached; goes away with free space.
    case full

    /// Another process holds the lock for writing; goes away with it.
    case locked

    /// The file is not what was written to it.
    case corrupt(String)

    /// Reading or writing failed, or is not allowed; does not go away by trying again.
    case inoperable(String)

    public var description: String {
        switch self {
        case .full: "the disk or quota is full; free some space"
        case .locked: "another program holds its lock; end that program"
        case .corrupt(let reason), .inoperable(let reason): reason
        }
    }

    /// - Parameter systemError: What `errno` said when SQLite gave up; 0 where it said nothing.
    init(_ error: any Error, systemError: Int32) {
        guard let error = error as? DatabaseError else {
            self = .inoperable("\(error)")
            return
        }
        let reason =
            (error.message ?? "SQLite error") + (systemError == 0 ? "" : ": " + String(cString: strerror(systemError)))
        switch error.resultCode {
        case .SQLITE_FULL:
            self = .full
        case .SQLITE_BUSY, .SQLITE_LOCKED:
            self = .locked
        case .SQLITE_CORRUPT, .SQLITE_NOTADB:
            self = .corrupt(reason)
        // SQLite knows a full disk by ENOSPC of a write alone; quota, size limit and shared memory come as "I/O error".
        case .SQLITE_IOERR where [ENOSPC, EDQUOT, EFBIG].contains(systemError):
            self = .full
        default:
            self = .inoperable("\(reason) (SQLite \(error.extendedResultCode.rawValue))")
        }
    }
}

extension DatabaseQueue {
    /// Runs `body` on the connection and sorts what it throws.
    func classifying<Value>(_ body: (Database) throws -> Value) throws(DatabaseFault) -> Value {
        let result: Result<Value, DatabaseFault> = writeWithoutTransaction { database in
            // SQLite tells its own codes only, and not the system's for a commit; nothing fails in between.
            errno = 0
            do {
                return .success(try body(database))
            } catch {
                return .failure(DatabaseFault(error, systemError: errno))
            }
        }
        return try result.get()
    }
}
