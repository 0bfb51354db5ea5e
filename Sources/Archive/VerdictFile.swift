import Glibc

/// Writes a verdict file: JSON lines, one per part, the same bytes for the same verdicts.
///
/// Each line is handed to the system as it comes, into `NAME.partial`; `finish` syncs it and gives it its name. So a crash
/// loses no line that was appended, a machine that lost power loses at most the lines since the start, and a file of the
/// final name is complete. A new run replaces the partial file of an interrupted one.
public struct VerdictFileWriter: ~Copyable {
    /// Where the complete file will be.
    public let path: String

    private let file: OpenFile
    private var byteCount = 0

    public init(path: String) throws(VerdictFileError) {
        do { file = try OpenFile("\(path).partial", O_WRONLY | O_CREAT | O_TRUNC) } catch { throw .file(error) }
        self.path = path
    }

    /// Appends one line: keys sorted, no spaces.
    ///
    /// - Throws: `file` where the disk takes no more, and the file then ends with the line before; `notJSON` for a value
    ///   that JSON cannot say, such as NaN.
    public mutating func append(_ line: some Encodable) throws(VerdictFileError) {
        let text: String
        do { text = try CanonicalJSON.text(of: line) } catch { throw .notJSON(path: path, reason: error.description) }
        let bytes = Array("\(text)\n".utf8)
        do {
            try file.write(bytes)
        } catch {
            // What part of the line was taken is taken back; where even that fails, the error says enough.
            if ftruncate(file.descriptor, byteCount) == 0 { lseek(file.descriptor, byteCount, SEEK_SET) }
            throw .file(error)
        }
        byteCount += bytes.count
    }

    /// Makes the file durable and gives it its name.
    public consuming func finish() throws(VerdictFileError) {
        do throws(FileError) {
            try file.synchronise()
            guard rename(file.path, path) == 0 else { throw .last(.rename, path) }
            try AtomicFile.synchroniseDirectory(AtomicFile.split(path).directory)
        } catch {
            throw .file(error)
        }
    }
}

/// Why a verdict file could not be written.
public enum VerdictFileError: Error, Hashable, Sendable, CustomStringConvertible {
    case file(FileError)
    case notJSON(path: String, reason: String)

    public var description: String {
        switch self {
        case .file(let error): error.description
        case .notJSON(let path, let reason): "a line of '\(path)' cannot be written: \(reason)"
        }
    }
}
