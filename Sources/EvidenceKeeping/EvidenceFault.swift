import Archive
import Capture

/// Why the pictures of a part are not kept.
public enum EvidenceFault: Error, Hashable, Sendable, CustomStringConvertible {
    /// So many bytes are left on the disk, and pictures leave at least `limit` to others.
    case diskFull(free: Int, limit: Int)

    /// One part alone has more bytes than all may have.
    case tooLarge(bytes: Int, limit: Int)
    case file(FileError)
    case encoding(reason: String)

    public var description: String {
        switch self {
        case .diskFull(let free, let limit):
            "\(free) bytes are free on the disk, and pictures leave \(limit) to others (evidence.free); free some space"
        case .tooLarge(let bytes, let limit):
            "the pictures of one part have \(bytes) bytes, and all together may have \(limit); raise evidence.size"
        case .file(let error): error.description
        case .encoding(let reason): reason
        }
    }

    /// Whether the next part would fare no better, until something happens to the disk.
    var isOfTheDisk: Bool {
        switch self {
        case .diskFull, .file: true
        case .tooLarge, .encoding: false
        }
    }

    /// Runs a file operation whose failure is the failure of the evidence.
    static func wrapping<Value: ~Copyable>(
        _ access: () throws(FileError) -> Value
    ) throws(EvidenceFault) -> Value {
        do { return try access() } catch { throw .file(error) }
    }
}
