import Foundation
import Testing

@testable import Archive

@Suite struct AtomicFileTests {
    let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    @Test func replacesTheWholeFileAndLeavesNothingElse() throws {
        let path = directory.file("a")
        try AtomicFile.replace(path, with: [1, 2, 3])
        try AtomicFile.replace(path, with: [4])
        #expect(try bytes(of: path) == [4])
        #expect(try directory.names() == ["a"])
    }

    @Test func aFailureLeavesTheOldFile() throws {
        let path = try directory.write([1], to: "a")
        let failure = FileError(.write, path, .diskFull)
        #expect(throws: failure) {
            try AtomicFile.replace(path) { (file) throws(FileError) in
                try file.write([2, 3])
                throw failure
            }
        }
        #expect(try bytes(of: path) == [1])
        #expect(try directory.names() == ["a"])
    }

    @Test func removesWhatAKilledWriterLeftBehindAndNothingThatIsBeingWritten() throws {
        try directory.write([1], to: ".a.123.partial")
        try directory.write([1], to: ".other.123.partial")
        try AtomicFile.replace(directory.file("a")) { (file) throws(FileError) in
            // A second writer of the same file, while the first is at it.
            try AtomicFile.replace(directory.file("a"), with: [2])
            try file.write([3])
        }
        #expect(try bytes(of: directory.file("a")) == [3])
        #expect(try directory.names() == [".other.123.partial", "a"])
    }

    @Test func saysWhichDirectoryCannotBeWrittenTo() throws {
        #expect(throws: FileError(.write, directory.file("none"), .missing)) {
            try AtomicFile.replace(directory.file("none/a"), with: [])
        }
        try directory.write([], to: "file")
        #expect(throws: FileError(.write, directory.file("file"), .notADirectory)) {
            try AtomicFile.replace(directory.file("file/a"), with: [])
        }
        // /proc takes no new files from anyone, root included.
        let error = #expect(throws: FileError.self) { try AtomicFile.replace("/proc/a", with: []) }
        #expect(error?.path == "/proc")
    }

    @Test func createsDirectoriesAboveEachOther() throws {
        try AtomicFile.createDirectory(directory.file("a/b/c"))
        try AtomicFile.createDirectory(directory.file("a/b/c"))
        #expect(Directory.kind(of: directory.file("a/b/c")) == .directory)
        let file = try directory.write([], to: "file")
        #expect(throws: FileError(.createDirectory, file, .notADirectory)) { try AtomicFile.createDirectory(file) }
    }

    /// In a process of its own: the limit holds for the whole process.
    @Test func aFileSizeLimitIsAnErrorAndLeavesTheOldFile() async {
        await #expect(processExitsWith: .success) {
            let directory = try TemporaryDirectory()
            let path = try directory.write([1], to: "a")
            signal(SIGXFSZ, SIG_IGN)
            var limit = rlimit(rlim_cur: 4096, rlim_max: 4096)
            #expect(setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) == 0)
            #expect(throws: FileError(.write, path, .tooLarge)) {
                try AtomicFile.replace(path, with: Array(repeating: 0, count: 8192))
            }
            #expect(try bytes(of: path) == [1])
            #expect(try directory.names() == ["a"])
        }
    }

    /// In a process of its own, which mounts a disk of 64 KiB that nobody else sees; needs root.
    @Test(.enabled(if: geteuid() == 0, "mounting a small disk needs root"))
    func aFullDiskIsAnErrorAndLeavesTheOldFile() async {
        await #expect(processExitsWith: .success) {
            let directory = try TemporaryDirectory()
            guard mountOwnDisk(at: directory.path, options: "size=64k") else {
                print("skipped: this sandbox does not allow mounts")
                return
            }
            let path = directory.file("a")
            try AtomicFile.replace(path, with: [1])
            #expect(throws: FileError(.write, path, .diskFull)) {
                try AtomicFile.replace(path, with: Array(repeating: 0, count: 1 << 20))
            }
            #expect(try bytes(of: path) == [1])
            #expect(try directory.names() == ["a"])

            // Ids are given out all the same: their file never grows.
            let state = try StationState(in: StationDirectory(taking: directory.file("state")), journal: .none)
            #expect(state.session == 1)
            let filler = directory.file("filler")
            do {
                let page = [UInt8](repeating: 0, count: 4096)
                let fill = try OpenFile(filler, O_WRONLY | O_CREAT)
                while (try? fill.write(page)) != nil {}
            }
            #expect(throws: FileError(.write, path, .diskFull)) {
                try AtomicFile.replace(path, with: Array(repeating: 0, count: 4096))
            }
            #expect(try state.reservePartIDs(10) == 1..<11)
        }
    }
}

/// Mounts a RAM disk that only the calling thread sees, and that goes with the process.
private func mountOwnDisk(at path: String, options: String) -> Bool {
    // Glibc's module leaves unshare(2) and its flags out, as GNU extensions.
    typealias Unshare = @convention(c) (CInt) -> CInt
    guard let symbol = dlsym(nil, "unshare") else { return false }
    let unshare = unsafeBitCast(symbol, to: Unshare.self)
    let newMountNamespace: CInt = 0x20000
    let privateRecursively: UInt = 1 << 18 | 1 << 14
    return unshare(newMountNamespace) == 0 && mount("none", "/", nil, privateRecursively, nil) == 0
        && mount("tmpfs", path, "tmpfs", 0, options) == 0
}
