import Archive
import Foundation
import GRDB
import Glibc
import InspectionProtocol
import InspectionRuntime
import Testing

@testable import Journal

/// Disks that are full, failing or read-only, for real. In processes of their own where the whole process is affected.
@Suite struct FaultyDiskTests {
    // The store alone, on one thread: a mount of one's own is seen by the thread that made it.

    @Test(.enabled(if: geteuid() == 0, "mounting a small disk needs root"))
    func aFullDiskCostsResultsFirstAndVerdictsLast() async {
        await #expect(processExitsWith: .success) {
            let directory = try TemporaryDirectory()
            guard mountOwnDisk(at: directory.path, options: "size=4m") else {
                print("skipped: this sandbox does not allow mounts")
                return
            }
            let store = try JournalStore.open(directory.path, reserve: 1 << 20)
            var maker = MessageMaker()
            #expect(store.write(answers: try maker.parts(1...10), evidence: []).isEmpty)
            let filler = directory.file("filler")
            fill(filler)

            // Results go first.
            var part: UInt64 = 11
            var lost: [MessageKind: Int] = [:]
            while store.condition == .complete, part < 5000 {
                lost = store.write(answers: try maker.part(part), evidence: [])
                part += 1
            }
            #expect(store.condition == .full)
            #expect(lost == [.result: 1])
            #expect(try !directory.names().contains("journal.reserve"))

            // The reserve of 1 MiB holds more than a hundred verdicts.
            for _ in 0..<100 {
                lost.merge(store.write(answers: try maker.part(part), evidence: []), uniquingKeysWith: +)
                part += 1
            }
            #expect(lost == [.result: 101])
            let reader = try JournalReader(path: JournalFiles(in: directory.path).database)
            #expect(try reader.lastSequences(of: 1).verdict == SequenceNumber(part - 1))
            // Part ids cost no space.
            #expect(try store.state.reservePartIDs(1024) == 1..<1025)

            // Then verdicts, once the reserve is used up too.
            while lost[.verdict] == nil, part < 50_000 {
                lost.merge(store.write(answers: try maker.part(part), evidence: []), uniquingKeysWith: +)
                part += 1
            }
            #expect(lost[.verdict] == 1)
            _ = store.tend()
            #expect(store.condition == .full)

            // With room again, everything is kept, and the reserve is there for the next time.
            unlink(filler)
            _ = store.tend()
            #expect(store.condition == .complete)
            #expect(store.write(answers: try maker.part(part), evidence: []).isEmpty)
            #expect(try directory.names().contains("journal.reserve"))
            let missing = try reader.summary(of: JournalFilter()).missing
            #expect(missing == lost)
        }
    }

    @Test(.enabled(if: geteuid() == 0, "mounting a small disk needs root"))
    func aStartOnAFullDiskIsDegradedAndCounted() async {
        await #expect(processExitsWith: .success) {
            let directory = try TemporaryDirectory()
            guard mountOwnDisk(at: directory.path, options: "size=4m") else {
                print("skipped: this sandbox does not allow mounts")
                return
            }
            try JournalStore.open(directory.path, reserve: 1 << 20).close()
            let filler = directory.file("filler")
            fill(filler)
            let killed = try JournalStore.open(directory.path, reserve: 1 << 20)
            #expect(killed.state.session == 2)
            killed.state.close()
            // The reserve went to the first of the two; the other has nothing but the counters.
            unlink(directory.file("journal.reserve"))
            fill(filler)
            let store = try JournalStore.open(directory.path, reserve: 1 << 20)
            #expect(store.condition == .full)
            #expect(store.state.session == 3)
            #expect(try store.state.reservePartIDs(1) == 1..<2)
            unlink(filler)
            _ = store.tend()
            #expect(store.condition == .complete)
            // What the start could not write came later.
            let reader = try JournalReader(path: JournalFiles(in: directory.path).database)
            #expect(try reader.sessions().last?.number == 3)
        }
    }

    /// Without root: the limit of the process stands for the disk.
    @Test func aFileSizeLimitIsAFullDisk() async {
        await #expect(processExitsWith: .success) {
            let directory = try TemporaryDirectory()
            signal(SIGXFSZ, SIG_IGN)
            let journal = try JournalWriter.open(directory.path)
            var maker = MessageMaker()
            var limit = rlimit(rlim_cur: 600 << 10, rlim_max: .max)
            #expect(setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) == 0)
            var part: UInt64 = 1
            while journal.health == .writing, part < 5000 {
                for message in try maker.part(part) { journal.send(message) }
                journal.flush()
                part += 1
            }
            guard case .degraded(let degradation) = journal.health, degradation.cause == .diskFull else {
                Issue.record("\(journal.health)")
                return
            }
            limit.rlim_cur = .max
            #expect(setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) == 0)
            #expect(journal.waits { $0 == .writing })
        }
    }

    /// What stands behind the log's descriptor is exchanged, so that SQLite's own writes and syncs fail.
    @Test(arguments: [("/dev/null", O_RDONLY), ("/proc/self/status", O_RDONLY)])
    func aDiskThatFailsIsForEver(path: String, mode: Int32) async {
        await #expect(processExitsWith: .success) { [path = path as String, mode = mode as Int32] in
            let directory = try TemporaryDirectory()
            let journal = try JournalWriter.open(directory.path)
            var maker = MessageMaker()
            for message in try maker.part(1) { journal.send(message) }
            journal.flush()
            #expect(journal.health == .writing)
            try exchangeDescriptors(of: "journal.sqlite-wal", with: path, mode)
            for message in try maker.part(2) { journal.send(message) }
            journal.flush()
            guard case .failed(let reason) = journal.recordCondition else {
                Issue.record("\(journal.health)")
                return
            }
            #expect(reason.contains("journal cannot be written"), "\(reason)")
            #expect(journal.counts.lost == [.verdict: 1, .result: 1])
            for message in try maker.part(3) { journal.send(message) }
            journal.flush()
            #expect(journal.counts.lost == [.verdict: 2, .result: 2])
            // The disk of the counters is another matter.
            #expect(try journal.reservePartIDs(1) == 1..<2)
            exit(0)  // Without closing what was exchanged.
        }
    }

    @Test(.enabled(if: geteuid() == 0, "mounting a read-only disk needs root"))
    func aReadOnlyDirectoryIsRefused() async {
        await #expect(processExitsWith: .success) {
            let directory = try TemporaryDirectory()
            guard mountOwnDisk(at: directory.path, options: "size=4m") else {
                print("skipped: this sandbox does not allow mounts")
                return
            }
            try JournalStore.open(directory.path, reserve: 1 << 20).close()
            let remount: UInt = 32
            let readOnly: UInt = 1
            #expect(mount("tmpfs", directory.path, "tmpfs", remount | readOnly, nil) == 0, "\(errno)")
            let error = #expect(throws: StationStateError.self) {
                try JournalStore.open(directory.path, reserve: 1 << 20)
            }
            guard case .file(let failure) = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(failure.cause == .readOnlyFileSystem)
            // Reading goes on.
            let reader = try JournalReader(path: JournalFiles(in: directory.path).database)
            #expect(try reader.sessions().count == 1)
        }
    }

    @Test func aDatabaseThatCannotBeOpenedIsRefused() throws {
        let directory = try TemporaryDirectory()
        let path = JournalFiles(in: directory.path).database
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        let error = #expect(throws: JournalError.self) { try JournalWriter.open(directory.path) }
        guard case .fault(path, .inoperable) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }
}

/// Damage at the start and while it runs.
@Suite struct DamagedJournalTests {
    let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private var database: String { JournalFiles(in: directory.path).database }

    private func makeJournal(parts: UInt64) throws {
        let journal = try JournalWriter.open(directory.path)
        _ = try journal.reservePartIDs(100)
        var maker = MessageMaker()
        for part in 1...parts {
            for message in try maker.part(part) { journal.send(message) }
            if part.isMultiple(of: 500) { journal.flush() }
        }
        journal.close()
    }

    private func expectANewJournal(_ journal: JournalWriter) throws {
        #expect(journal.session == 2)
        #expect(try journal.reservePartIDs(1) == 101..<102)
        #expect(journal.health == .writing)
        var maker = MessageMaker(session: 2)
        for message in try maker.part(101) { journal.send(message) }
        journal.flush()
        let reader = try JournalReader(path: database)
        #expect(try reader.sessions().map(\.number) == [2])
        #expect(try reader.entries().count == 2)
        let aside = try directory.names().filter { $0.hasPrefix("journal-damaged-20261121T100000") }
        #expect(aside.contains { $0.hasSuffix("Z.sqlite") }, "\(aside)")
        // Told once, with where it went.
        let events = journal.takeEvents()
        #expect(events.map(\.name) == [.journalQuarantined])
        #expect(aside.contains { events[0].details["path"]?.hasSuffix($0) == true }, "\(events)")
        #expect(journal.takeEvents().isEmpty)
    }

    @Test(arguments: ["garbage", String(repeating: "SQLite format 3\0", count: 1000)])
    func garbageIsMovedAsideAndANewJournalBegins(content: String) throws {
        try makeJournal(parts: 3)
        try Data(content.utf8).write(to: URL(filePath: database))
        try expectANewJournal(try JournalWriter.open(directory.path))
    }

    @Test func damagedPagesAreFoundAtTheStart() throws {
        try makeJournal(parts: 1000)
        var bytes = try Data(contentsOf: URL(filePath: database))
        for page in stride(from: 2 * 4096, to: bytes.count, by: 4096) {
            bytes.replaceSubrange(page..<page + 100, with: Data(repeating: 0xA5, count: 100))
        }
        try bytes.write(to: URL(filePath: database))
        try expectANewJournal(try JournalWriter.open(directory.path))
    }

    @Test func aFileThatIsCutShortIsMovedAside() throws {
        try makeJournal(parts: 1000)
        let bytes = try Data(contentsOf: URL(filePath: database))
        try bytes.prefix(bytes.count / 2).write(to: URL(filePath: database))
        try expectANewJournal(try JournalWriter.open(directory.path))
    }

    @Test func damageThatShowsWhileItRunsCostsTheOldMessagesOnly() throws {
        let journal = try JournalWriter.open(directory.path)
        _ = try journal.reservePartIDs(100)
        var maker = MessageMaker()
        for message in try maker.part(1) { journal.send(message) }
        journal.flush()
        // Another program spoils what every insertion has to read.
        do {
            let queue = try DatabaseQueue(path: database)
            try queue.writeWithoutTransaction { database in
                try database.execute(sql: "PRAGMA writable_schema = ON")
                try database.execute(sql: "UPDATE sqlite_schema SET rootpage = 999999 WHERE name = 'message_by_part'")
                try database.execute(sql: "PRAGMA schema_version = 4711")
            }
        }
        for message in try maker.part(2) { journal.send(message) }
        journal.flush()
        #expect(journal.health == .writing)
        let reader = try JournalReader(path: database)
        #expect(try reader.entries().map(\.sequence) == [2, 2])
        #expect(try reader.sessions().map(\.number) == [1])
        #expect(try journal.reservePartIDs(1) == 101..<102)
        #expect(try directory.names().contains { $0.hasPrefix("journal-damaged-") })
        #expect(journal.takeEvents().map(\.name) == [.journalQuarantined])
    }

    /// A log that was cut or garbled anywhere costs what came after, and nothing before.
    @Test func aDamagedLogCostsNoMoreThanItsTail() throws {
        let journal = try JournalWriter.open(directory.path)
        var maker = MessageMaker()
        for part: UInt64 in 1...20 {
            for message in try maker.part(part) { journal.send(message) }
            journal.flush()
        }
        let log = try Data(contentsOf: URL(filePath: database + "-wal"))
        var generator = SystemRandomNumberGenerator()
        var found: Set<Int> = []
        for cut in Array(stride(from: 0, to: log.count, by: log.count / 23)) + [log.count] {
            for garbled in [false, true] {
                let copy = try TemporaryDirectory()
                for name in ["journal.sqlite", "counters"] {
                    try FileManager.default.copyItem(atPath: directory.file(name), toPath: copy.file(name))
                }
                var damaged = log.prefix(cut)
                if garbled { damaged += Data((0..<5000).map { _ in UInt8.random(in: 0...255, using: &generator) }) }
                try damaged.write(to: URL(filePath: copy.file("journal.sqlite-wal")))
                let after = try JournalWriter.open(copy.path)
                #expect(after.session == 2)
                let verdicts = try JournalReader(path: copy.file("journal.sqlite")).messages(
                    .verdict, of: 1, 1...100, limit: 100)
                #expect(verdicts.map(\.sequence.value) == Array(1...20).prefix(verdicts.count).map(UInt64.init))
                found.insert(verdicts.count)
            }
        }
        #expect(found.contains(20) && found.count > 5, "\(found.sorted())")
    }
}

/// Fills a disk to the last page.
private func fill(_ path: String) {
    let descriptor = open(path, O_WRONLY | O_CREAT, 0o600)
    let page = [UInt8](repeating: 0, count: 4096)
    while write(descriptor, page, page.count) > 0 {}
    close(descriptor)
}

/// Puts another file behind every descriptor of this process whose path ends so.
private func exchangeDescriptors(of name: String, with path: String, _ mode: Int32) throws {
    var count = 0
    for entry in try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd") {
        guard let descriptor = Int32(entry),
            let target = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(entry)"),
            target.hasSuffix("/\(name)")
        else { continue }
        let other = open(path, mode)
        dup2(other, descriptor)
        close(other)
        count += 1
    }
    try #require(count > 0)
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
