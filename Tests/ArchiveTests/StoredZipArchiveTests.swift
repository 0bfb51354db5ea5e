import Glibc
import Testing

@testable import Archive

@Suite struct StoredZipArchiveTests {
    let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private static let entries: [(name: String, bytes: [UInt8])] = [
        ("a/data.pkl", [1, 2, 3]), ("a/data/0", Array(0...255)), ("a/empty", []),
    ]

    private func open(_ bytes: [UInt8]) throws -> StoredZipArchive {
        let path = try directory.write(bytes, to: "a.zip")
        return try StoredZipArchive(taking: OpenFile(path, O_RDONLY), byteCount: bytes.count)
    }

    @Test(arguments: [false, true])
    func entriesComeBackFromSmallAndLargeArchives(isLarge: Bool) throws {
        let archive = try open(ZipBuilder(entries: Self.entries, isLarge: isLarge).bytes())
        let names = archive.entries.map(\.name)
        #expect(names == Self.entries.map(\.name))
        for (name, bytes) in Self.entries {
            let entry = archive.entry(named: name)
            let found = try archive.bytes(of: #require(entry))
            #expect(found == bytes)
        }
        let absent = archive.entry(named: "b")
        #expect(absent == nil)
    }

    @Test func checksumsAreTheOnesOfTheStandard() {
        #expect(CyclicRedundancyCheck.checksum(of: Array("123456789".utf8)) == 0xCBF4_3926)
        #expect(CyclicRedundancyCheck.checksum(of: []) == 0)
    }

    @Test func aChangedByteOfAnEntryIsFound() throws {
        var bytes = ZipBuilder(entries: Self.entries).bytes()
        // Behind the first entry and the second one's header and name.
        bytes[(30 + 10 + 3) + (30 + 8) + 77] ^= 1
        let archive = try open(bytes)
        let entry = archive.entry(named: "a/data/0")
        let found = try #require(entry)
        #expect(throws: StoredZipError.checksum("a/data/0")) { try archive.bytes(of: found) }
    }

    /// Place and width of a number in the second entry's record of the directory, what it becomes, and what that is.
    static let changes: [(Int, Int, Int, StoredZipError)] = [
        (8, 2, 1, .encrypted("a/data/0")),
        (10, 2, 8, .compressed("a/data/0")),
        (20, 4, 255, .compressed("a/data/0")),
        (42, 4, 0, .overlap("a/data/0")),
        (42, 4, 1, .overlap("a/data/0")),
        (42, 4, 60, .headerMismatch("a/data/0")),
        (42, 4, 0x7FFF_FFFF, .beyondEndOfFile("a/data/0")),
        (46, 1, 0x62, .headerMismatch("b/data/0")),
        (46, 1, 0xFF, .malformedDirectory("one of its names is no UTF-8 text")),
        (0, 4, 0, .malformedDirectory("one of its entries has no signature")),
        (28, 2, 500, .malformedDirectory("a record ends in its middle")),
    ]

    @Test(arguments: changes)
    func refusesByTheNameOfTheFailedCheck(place: Int, width: Int, value: Int, error: StoredZipError) throws {
        let bytes = ZipBuilder(entries: Self.entries) { position, record in
            guard position == 1 else { return }
            record.replaceSubrange(place..<place + width, with: ZipBuilder.number(value, width))
        }.bytes()
        #expect(throws: error) { _ = try open(bytes) }
    }

    @Test func anEntryThatClaimsMoreThanTheFileIsRefusedBeforeItIsRead() throws {
        for claimed in [257, 1 << 30, Int(UInt32.max) - 1] {
            let bytes = ZipBuilder(entries: Self.entries) { position, record in
                if position == 1 {
                    record.replaceSubrange(20..<28, with: [claimed, claimed].flatMap { ZipBuilder.number($0, 4) })
                }
            }.bytes()
            let error = #expect(throws: StoredZipError.self) { _ = try open(bytes) }
            // One byte more reaches into the next entry; the others beyond the directory.
            #expect(error == (claimed == 257 ? .overlap("a/empty") : .beyondEndOfFile("a/data/0")))
        }
        var large = ZipBuilder(entries: Self.entries, isLarge: true)
        large.changeDirectory = { position, record in
            guard position == 1 else { return }
            record.replaceSubrange(record.count - 24..<record.count - 8, with: Array(repeating: 0xFF, count: 16))
        }
        #expect(throws: StoredZipError.beyondEndOfFile("a/data/0")) { _ = try open(large.bytes()) }
    }

    @Test func namesOccurOnce() throws {
        let bytes = ZipBuilder(entries: [("a", [1]), ("a", [2])]).bytes()
        #expect(throws: StoredZipError.duplicateName("a")) { _ = try open(bytes) }
    }

    @Test func aCommentAtTheEndIsPassedOver() throws {
        var bytes = ZipBuilder(entries: Self.entries).bytes()
        bytes.replaceSubrange(bytes.count - 2..<bytes.count, with: [4, 0] + Array("said".utf8))
        let count = try open(bytes).entries.count
        #expect(count == 3)
        #expect(throws: StoredZipError.noDirectory) { _ = try open(bytes + [0]) }
    }

    @Test func refusesAFileCutAnywhere() throws {
        for isLarge in [false, true] {
            let whole = ZipBuilder(entries: Self.entries, isLarge: isLarge).bytes()
            for count in 0..<whole.count {
                #expect(throws: StoredZipError.self, "cut to \(count) bytes") {
                    _ = try open(Array(whole.prefix(count)))
                }
            }
        }
    }
}
