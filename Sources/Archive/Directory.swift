import Glibc

/// What a directory holds.
enum Directory {
    enum Kind { case file, directory, other }

    /// All names in a directory but `.` and `..`, in byte order, hidden ones too.
    static func names(in path: String) throws(FileError) -> [String] {
        guard let stream = opendir(path) else { throw .last(.list, path) }
        return try names(readingAndClosing: stream, path)
    }

    /// - Parameter path: Where it was found, for people.
    static func names(readingAndClosing stream: OpaquePointer, _ path: String) throws(FileError) -> [String] {
        defer { closedir(stream) }
        var names: [String] = []
        errno = 0
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: Int(NAME_MAX) + 1) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
            errno = 0
        }
        guard errno == 0 else { throw .last(.list, path) }
        return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    /// What a path leads to, links followed; nil where it leads nowhere.
    static func kind(of path: String) -> Kind? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        return switch status.st_mode & S_IFMT {
        case S_IFREG: .file
        case S_IFDIR: .directory
        default: .other
        }
    }
}
