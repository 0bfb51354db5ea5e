import Glibc

/// A directory held by its descriptor: what is done in it happens there, wherever its path leads meanwhile.
///
/// Names are single components, and a symbolic link in the place of one is never followed: whoever may write beside us can
/// take our files away, and cannot make us write or remove elsewhere.
public struct OpenDirectory: ~Copyable {
    /// Where it was found, for people.
    public let path: String
    private let descriptor: Int32

    /// Opens a directory that an operator has named: links on the way are followed.
    public init(_ path: String) throws(FileError) {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .last(.open, path) }
        self.init(taking: descriptor, path)
    }

    private init(taking descriptor: Int32, _ path: String) {
        self.path = path
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }

    /// Opens a directory in this one.
    public func directory(_ name: String) throws(FileError) -> OpenDirectory {
        let inner = openat(descriptor, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard inner >= 0 else { throw failure(.open, name) }
        return OpenDirectory(taking: inner, path(of: name))
    }

    /// Makes a directory for us and our group (0750) where there is none yet, and opens it.
    ///
    /// A new one survives a power cut.
    public func makeDirectory(_ name: String) throws(FileError) -> OpenDirectory {
        if mkdirat(descriptor, name, 0o750) == 0 {
            try synchronise()
        } else if errno != EEXIST {
            throw failure(.createDirectory, name)
        }
        return try directory(name)
    }

    /// Writes a new file, for us to change and our group to read (0640), and returns once it is on the medium.
    ///
    /// - Throws: Also where there is something of that name.
    public func write(_ bytes: [UInt8], toNew name: String) throws(FileError) {
        let file = try newFile(name)
        try file.write(bytes)
        try file.synchronise()
    }

    /// Makes a new file of so many bytes that have their place on the disk.
    public func allocate(_ size: Int, toNew name: String) throws(FileError) {
        let file = try newFile(name)
        let result = posix_fallocate(file.descriptor, 0, off_t(size))
        guard result == 0 else { throw FileError(.write, file.path, FileError.Cause(result)) }
        try file.synchronise()
    }

    private func newFile(_ name: String) throws(FileError) -> OpenFile {
        let file = openat(descriptor, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o640)
        guard file >= 0 else { throw failure(.open, name) }
        return OpenFile(taking: file, path(of: name))
    }

    /// Gives another name within this directory.
    public func rename(_ name: String, to newName: String) throws(FileError) {
        guard renameat(descriptor, name, descriptor, newName) == 0 else { throw failure(.rename, newName) }
    }

    /// Removes a file or a link, or a directory with everything in it, down to eight levels. What is not there is fine.
    public func remove(_ name: String) throws(FileError) { try remove(name, levels: 8) }

    /// Every level holds a descriptor open, so somebody's thousand folders must not cost the process all of them.
    private func remove(_ name: String, levels: Int) throws(FileError) {
        if unlinkat(descriptor, name, 0) == 0 || errno == ENOENT { return }
        guard errno == EISDIR, levels > 0 else { throw failure(.remove, name) }
        do {
            let inner = try directory(name)
            for entry in try inner.names() { try inner.remove(entry, levels: levels - 1) }
        }
        guard unlinkat(descriptor, name, AT_REMOVEDIR) == 0 else { throw failure(.remove, name) }
    }

    /// Removes a directory if nothing is in it.
    ///
    /// - Returns: Whether it is gone.
    @discardableResult
    public func removeIfEmpty(_ name: String) -> Bool { unlinkat(descriptor, name, AT_REMOVEDIR) == 0 }

    /// All names but `.` and `..`, in byte order, hidden ones too.
    public func names() throws(FileError) -> [String] {
        // A position of its own in the list: of one that is shared, the second reader finds the end.
        let list = openat(descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard list >= 0 else { throw .last(.list, path) }
        guard let stream = fdopendir(list) else {
            let failure = FileError.last(.list, path)
            close(list)
            throw failure
        }
        return try Directory.names(readingAndClosing: stream, path)
    }

    /// Size of what has this name, in bytes; of a link its own.
    public func size(of name: String) throws(FileError) -> Int {
        var status = stat()
        guard fstatat(descriptor, name, &status, AT_SYMLINK_NOFOLLOW) == 0 else { throw failure(.open, name) }
        return Int(status.st_size)
    }

    /// Makes creations and renames in this directory survive a power cut.
    public func synchronise() throws(FileError) {
        // Some network file systems cannot sync directories and say EINVAL; there is nothing to be had there.
        guard fsync(descriptor) == 0 || errno == EINVAL else { throw .last(.synchronise, path) }
    }

    /// Bytes that are left on the disk for processes without privileges.
    public func freeSpace() throws(FileError) -> Int {
        var disk = statvfs()
        guard fstatvfs(descriptor, &disk) == 0 else { throw .last(.open, path) }
        let (bytes, overflows) = Int(clamping: disk.f_bavail)
            .multipliedReportingOverflow(by: Int(clamping: disk.f_frsize))
        return overflows ? .max : bytes
    }

    private func path(of name: String) -> String { "\(path)/\(name)" }

    /// What `errno` says about a name, and whether a link was in the way, which looks like any other file to the system.
    private func failure(_ operation: FileError.Operation, _ name: String) -> FileError {
        let code = errno
        var status = stat()
        let isLink =
            (code == ENOTDIR || code == ELOOP) && fstatat(descriptor, name, &status, AT_SYMLINK_NOFOLLOW) == 0
            && status.st_mode & S_IFMT == S_IFLNK
        return FileError(operation, path(of: name), isLink ? .symbolicLink : FileError.Cause(code))
    }
}
