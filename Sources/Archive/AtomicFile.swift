import Glibc

/// Replaces whole files so that every reader, and a machine that lost power, sees the old content or the new one, never
/// a part of either.
public enum AtomicFile {
    /// Replaces the file at `path` by `bytes`; when this returns, the new content survives a power cut.
    public static func replace(_ path: String, with bytes: [UInt8]) throws(FileError) {
        try replace(path) { (file) throws(FileError) in try file.write(bytes) }
    }

    /// Removes the file at `path`, for good when this returns; one that is not there is fine.
    public static func remove(_ path: String) throws(FileError) {
        guard unlink(path) == 0 || errno == ENOENT else { throw .last(.remove, path) }
        try synchroniseDirectory(split(path).directory)
    }

    /// Replaces the file at `path` by what `body` writes.
    ///
    /// The content goes to a hidden file beside it, is synced, and takes the name in one step; then the directory is
    /// synced. Where anything fails, the old file stays as it was and the hidden one is removed. One that a killed
    /// process left behind is removed by the next replacement.
    static func replace(_ path: String, by body: (borrowing OpenFile) throws(FileError) -> Void) throws(FileError) {
        let (directory, name) = split(path)
        removeLeftovers(of: name, in: directory)
        let aside = try Aside(of: name, in: directory)
        do {
            try body(aside.file)
            try aside.file.synchronise()
        } catch {
            unlink(aside.file.path)
            throw FileError(error.operation, path, error.cause)
        }
        guard rename(aside.file.path, path) == 0 else {
            let failure = FileError.last(.rename, path)
            unlink(aside.file.path)
            throw failure
        }
        try synchroniseDirectory(directory)
    }

    /// Finds out, before hours of work, whether its result can be written to `path`.
    ///
    /// Makes the hidden file of a replacement and removes it; what has the name stays as it is. A disk that fills up
    /// later cannot be foreseen.
    ///
    /// - Throws: What the replacement itself would throw now.
    public static func checkReplaceable(_ path: String) throws(FileError) {
        let (directory, name) = split(path)
        let aside = try Aside(of: name, in: directory)
        unlink(aside.file.path)
        guard Directory.kind(of: path) != .directory else { throw FileError(.write, path, .isADirectory) }
    }

    /// Makes creations and renames in a directory survive a power cut.
    static func synchroniseDirectory(_ path: String) throws(FileError) {
        let directory = try OpenFile(path, O_RDONLY | O_DIRECTORY)
        // Some network file systems cannot sync directories and say EINVAL; there is nothing to be had there.
        guard fsync(directory.descriptor) == 0 || errno == EINVAL else { throw .last(.synchronise, path) }
    }

    /// Creates a directory and the missing ones above it; an existing directory is fine.
    public static func createDirectory(_ path: String) throws(FileError) {
        if mkdir(path, 0o755) == 0 { return }
        let failure = errno
        switch failure {
        case EEXIST:
            var status = stat()
            guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
                throw FileError(.createDirectory, path, .notADirectory)
            }
        case ENOENT where split(path).directory != path:
            try createDirectory(split(path).directory)
            guard mkdir(path, 0o755) == 0 || errno == EEXIST else { throw .last(.createDirectory, path) }
        default:
            throw FileError(.createDirectory, path, FileError.Cause(failure))
        }
    }

    /// A path's directory (`.` where it names none) and last component.
    static func split(_ path: String) -> (directory: String, name: String) {
        guard let slash = path.lastIndex(of: "/") else { return (".", path) }
        let directory = slash == path.startIndex ? "/" : String(path[..<slash])
        return (directory, String(path[path.index(after: slash)...]))
    }

    /// The hidden file that becomes the new content, locked for as long as its writer lives.
    private struct Aside: ~Copyable {
        static let suffix = ".partial"

        let file: OpenFile

        init(of name: String, in directory: String) throws(FileError) {
            while true {
                let path = "\(directory)/.\(name).\(UInt64.random(in: 0...UInt64.max))\(Self.suffix)"
                let file: OpenFile
                do {
                    file = try OpenFile(path, O_WRONLY | O_CREAT | O_EXCL)
                } catch {
                    // What cannot be written to is the directory; the hidden name would only confuse.
                    throw FileError(.write, directory, error.cause)
                }
                // Between creation and lock, another writer may have taken the file for a leftover and removed it.
                var status = stat()
                if flock(file.descriptor, LOCK_EX | LOCK_NB) == 0, fstat(file.descriptor, &status) == 0,
                    status.st_nlink > 0
                {
                    self.file = file
                    return
                }
                guard errno == EWOULDBLOCK || status.st_nlink == 0 else { throw .last(.lock, path) }
            }
        }
    }

    /// Removes the hidden files whose writers are gone, which is what nobody holding their lock means.
    private static func removeLeftovers(of name: String, in directory: String) {
        guard let entries = try? Directory.names(in: directory) else { return }
        for entry in entries where entry.hasPrefix(".\(name).") && entry.hasSuffix(Aside.suffix) {
            guard let leftover = try? OpenFile("\(directory)/\(entry)", O_WRONLY) else { continue }
            if flock(leftover.descriptor, LOCK_EX | LOCK_NB) == 0 { unlink(leftover.path) }
        }
    }
}
