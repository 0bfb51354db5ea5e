import Glibc

/// A file descriptor and the path it came from; closed at the end of its scope.
struct OpenFile: ~Copyable {
    let descriptor: Int32
    let path: String

    /// - Parameter flags: As for open(2); `O_CLOEXEC` is always added.
    init(_ path: String, _ flags: Int32, mode: mode_t = 0o644) throws(FileError) {
        let descriptor = open(path, flags | O_CLOEXEC, mode)
        guard descriptor >= 0 else { throw .last(.open, path) }
        self.descriptor = descriptor
        self.path = path
    }

    /// - Parameter descriptor: Closed at the end of this value.
    init(taking descriptor: Int32, _ path: String) {
        self.descriptor = descriptor
        self.path = path
    }

    deinit { close(descriptor) }

    /// Size of a regular file, in bytes.
    ///
    /// - Throws: For directories, devices and pipes, whose size says nothing.
    func regularFileSize() throws(FileError) -> Int {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .last(.open, path) }
        switch status.st_mode & S_IFMT {
        case S_IFREG: return Int(status.st_size)
        case S_IFDIR: throw FileError(.open, path, .isADirectory)
        default: throw FileError(.open, path, .notARegularFile)
        }
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws(FileError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = Glibc.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
            if count < 0 {
                if errno == EINTR { continue }
                throw .last(.write, path)
            }
            rest = rest.dropFirst(count)
        }
    }

    func write(_ bytes: [UInt8]) throws(FileError) {
        // The closure's error type is not inferred through `withUnsafeBytes`, so the result carries it out.
        let result = bytes.withUnsafeBytes { buffer in
            Result { () throws(FileError) in try write(buffer) }
        }
        try result.get()
    }

    /// `count` bytes from a position counted from the beginning of the file.
    ///
    /// - Throws: `endedEarly` where the file has fewer.
    func read(_ count: Int, at offset: Int = 0) throws(FileError) -> [UInt8] {
        var failure: FileError?
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            while filled < count, failure == nil {
                let got = pread(descriptor, buffer.baseAddress.map { $0 + filled }, count - filled, offset + filled)
                if got > 0 {
                    filled += got
                } else if got == 0 {
                    failure = FileError(.read, path, .endedEarly)
                } else if errno != EINTR {
                    failure = .last(.read, path)
                }
            }
        }
        if let failure { throw failure }
        return bytes
    }

    /// Returns once the content is on the medium.
    func synchronise() throws(FileError) {
        guard fsync(descriptor) == 0 else { throw .last(.synchronise, path) }
    }
}
