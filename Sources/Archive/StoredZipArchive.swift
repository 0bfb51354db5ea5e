import Glibc

/// A zip file whose entries are stored uncompressed, one after the other: the container that `torch.save` writes.
///
/// What the directory says about an entry is held against the entry itself and against the size of the file when the
/// archive is opened; nothing larger than the directory is in memory until an entry is asked for (APPNOTE 6.3, zip64
/// included).
struct StoredZipArchive: ~Copyable {
    /// Most entries that are accepted; the largest checkpoints of this program's networks have a few hundred.
    static let maximumEntryCount = 1 << 14

    /// Longest accepted directory, 4 MiB.
    static let maximumDirectoryByteCount = 4 << 20

    struct Entry: Hashable, Sendable {
        let name: String

        /// Where its bytes lie in the file.
        let range: Range<Int>

        /// CRC-32 of its bytes.
        let checksum: UInt32
    }

    /// In the order of their bytes in the file.
    let entries: [Entry]

    private let positions: [String: Int]
    private let file: OpenFile

    /// Whether a file starts as a zip archive does.
    static func isArchive(firstBytes: [UInt8]) -> Bool { firstBytes.starts(with: [0x50, 0x4B, 0x03, 0x04]) }

    /// Reads and checks the directory.
    ///
    /// - Parameter file: An open file of `byteCount` bytes, which the archive takes over.
    init(taking file: consuming OpenFile, byteCount: Int) throws(StoredZipError) {
        let directory = try Self.locateDirectory(in: file, byteCount: byteCount)
        let bytes = try StoredZipError.wrapping { () throws(FileError) in
            try file.read(directory.range.count, at: directory.range.lowerBound)
        }
        var claims: [Claim] = []
        var reader = LittleEndianReader(bytes)
        while claims.count < directory.entryCount { claims.append(try Claim(parsing: &reader)) }
        guard reader.isAtEnd else { throw .malformedDirectory("it is longer than its entries") }

        var entries: [Entry] = []
        var end = 0
        for claim in claims.sorted(by: { $0.headerOffset < $1.headerOffset }) {
            guard claim.headerOffset >= end else { throw .overlap(claim.name) }
            let entry = try Self.entry(claim, in: file, limit: directory.range.lowerBound)
            end = entry.range.upperBound
            entries.append(entry)
        }
        var positions: [String: Int] = [:]
        for (position, entry) in entries.enumerated() {
            guard positions.updateValue(position, forKey: entry.name) == nil else { throw .duplicateName(entry.name) }
        }
        self.entries = entries
        self.positions = positions
        self.file = file
    }

    func entry(named name: String) -> Entry? { positions[name].map { entries[$0] } }

    /// All bytes of an entry of this archive.
    ///
    /// - Throws: Where their checksum is not the recorded one.
    func bytes(of entry: Entry) throws(StoredZipError) -> [UInt8] {
        let bytes = try StoredZipError.wrapping { () throws(FileError) in
            try file.read(entry.range.count, at: entry.range.lowerBound)
        }
        guard CyclicRedundancyCheck.checksum(of: bytes) == entry.checksum else { throw .checksum(entry.name) }
        return bytes
    }

    // MARK: The end of the file, which says where the directory is

    private struct DirectoryLocation {
        var range: Range<Int>
        var entryCount: Int
    }

    private static func locateDirectory(
        in file: borrowing OpenFile, byteCount: Int
    ) throws(StoredZipError) -> DirectoryLocation {
        let recordSize = 22
        guard byteCount >= recordSize else { throw .noDirectory }
        // A comment of up to 65,535 bytes may follow the record.
        let tailOffset = max(0, byteCount - recordSize - Int(UInt16.max))
        let tail = try read(byteCount - tailOffset, at: tailOffset, of: file)
        let start = stride(from: tail.count - recordSize, through: 0, by: -1).first { start in
            tail[start...].starts(with: [0x50, 0x4B, 0x05, 0x06])
                && start + recordSize + Int(tail[start + 20]) + Int(tail[start + 21]) << 8 == tail.count
        }
        guard let start else { throw .noDirectory }
        var reader = LittleEndianReader(Array(tail[(start + 4)...]))
        let disks = [try reader.integer(UInt16.self), try reader.integer(UInt16.self)]
        guard disks == [0, 0] else { throw .severalDisks }
        _ = try reader.integer(UInt16.self)
        var entryCount = UInt64(try reader.integer(UInt16.self))
        var size = UInt64(try reader.integer(UInt32.self))
        var offset = UInt64(try reader.integer(UInt32.self))
        if entryCount == UInt64(UInt16.max) || size == UInt64(UInt32.max) || offset == UInt64(UInt32.max) {
            (entryCount, size, offset) = try largeDirectory(before: tailOffset + start, in: file)
        }
        guard entryCount <= UInt64(maximumEntryCount) else { throw .tooManyEntries(entryCount) }
        guard size <= UInt64(maximumDirectoryByteCount) else { throw .directoryTooLarge(byteCount: size) }
        guard offset <= UInt64(tailOffset + start), size <= UInt64(tailOffset + start) - offset else {
            throw .malformedDirectory("it ends beyond the record that points to it")
        }
        return DirectoryLocation(range: Int(offset)..<Int(offset + size), entryCount: Int(entryCount))
    }

    /// The directory's numbers where they do not fit the record of small archives.
    private static func largeDirectory(
        before end: Int, in file: borrowing OpenFile
    ) throws(StoredZipError) -> (entryCount: UInt64, size: UInt64, offset: UInt64) {
        let (locatorSize, recordSize) = (20, 56)
        guard end >= locatorSize else { throw .malformedDirectory("its zip64 locator is missing") }
        var locator = LittleEndianReader(try read(locatorSize, at: end - locatorSize, of: file))
        guard try locator.integer(UInt32.self) == 0x0706_4B50 else {
            throw .malformedDirectory("its zip64 locator is missing")
        }
        let disk = try locator.integer(UInt32.self)
        let offset = try locator.integer(UInt64.self)
        guard disk == 0, try locator.integer(UInt32.self) <= 1 else { throw .severalDisks }
        guard offset <= UInt64(end - locatorSize), UInt64(end - locatorSize) - offset >= UInt64(recordSize) else {
            throw .malformedDirectory("its zip64 record lies outside the file")
        }
        var record = LittleEndianReader(try read(recordSize, at: Int(offset), of: file))
        guard try record.integer(UInt32.self) == 0x0606_4B50 else {
            throw .malformedDirectory("its zip64 record is missing")
        }
        // Size and versions of the record, then the numbers of both disks and of the entries on this one.
        try record.skip(8 + 2 + 2 + 4 + 4 + 8)
        return (try record.integer(), try record.integer(), try record.integer())
    }

    // MARK: Entries

    /// What the directory says about an entry.
    private struct Claim {
        let name: String
        let headerOffset: Int
        let byteCount: Int
        let checksum: UInt32

        init(parsing reader: inout LittleEndianReader) throws(StoredZipError) {
            guard try reader.integer(UInt32.self) == 0x0201_4B50 else {
                throw .malformedDirectory("one of its entries has no signature")
            }
            try reader.skip(4)
            let flags = try reader.integer(UInt16.self)
            let method = try reader.integer(UInt16.self)
            try reader.skip(4)
            checksum = try reader.integer()
            var stored = UInt64(try reader.integer(UInt32.self))
            var size = UInt64(try reader.integer(UInt32.self))
            let nameLength = Int(try reader.integer(UInt16.self))
            let extraLength = Int(try reader.integer(UInt16.self))
            let commentLength = Int(try reader.integer(UInt16.self))
            // Disk, and attributes of files.
            try reader.skip(2 + 2 + 4)
            var offset = UInt64(try reader.integer(UInt32.self))
            guard let name = String(validating: try reader.bytes(nameLength), as: UTF8.self) else {
                throw .malformedDirectory("one of its names is no UTF-8 text")
            }
            self.name = name
            var extra = LittleEndianReader(try reader.bytes(extraLength))
            try reader.skip(commentLength)
            while !extra.isAtEnd {
                let kind = try extra.integer(UInt16.self)
                var field = LittleEndianReader(try extra.bytes(Int(try extra.integer(UInt16.self))))
                guard kind == 1 else { continue }
                // zip64: only what does not fit its usual place, in this order.
                if size == UInt64(UInt32.max) { size = try field.integer() }
                if stored == UInt64(UInt32.max) { stored = try field.integer() }
                if offset == UInt64(UInt32.max) { offset = try field.integer() }
            }
            guard flags & 1 == 0 else { throw .encrypted(name) }
            guard method == 0, stored == size else { throw .compressed(name) }
            guard let byteCount = Int(exactly: size), let headerOffset = Int(exactly: offset) else {
                throw .beyondEndOfFile(name)
            }
            self.byteCount = byteCount
            self.headerOffset = headerOffset
        }
    }

    /// An entry whose header, just before its bytes, agrees with the directory.
    private static func entry(
        _ claim: Claim, in file: borrowing OpenFile, limit: Int
    ) throws(StoredZipError) -> Entry {
        let headerSize = 30
        guard claim.headerOffset <= limit - headerSize else { throw .beyondEndOfFile(claim.name) }
        var header = LittleEndianReader(try read(headerSize, at: claim.headerOffset, of: file))
        guard try header.integer(UInt32.self) == 0x0403_4B50 else { throw .headerMismatch(claim.name) }
        try header.skip(headerSize - 4 - 4)
        let nameLength = Int(try header.integer(UInt16.self))
        let extraLength = Int(try header.integer(UInt16.self))
        let nameOffset = claim.headerOffset + headerSize
        let start = nameOffset + nameLength + extraLength
        guard start <= limit, claim.byteCount <= limit - start else { throw .beyondEndOfFile(claim.name) }
        guard try read(nameLength, at: nameOffset, of: file) == Array(claim.name.utf8) else {
            throw .headerMismatch(claim.name)
        }
        return Entry(name: claim.name, range: start..<start + claim.byteCount, checksum: claim.checksum)
    }

    private static func read(
        _ count: Int, at offset: Int, of file: borrowing OpenFile
    ) throws(StoredZipError) -> [UInt8] {
        do { return try file.read(count, at: offset) } catch { throw .file(error) }
    }
}

/// Numbers of a zip file's records, one after the other.
private struct LittleEndianReader {
    private let bytes: [UInt8]
    private var position = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { position == bytes.count }

    mutating func bytes(_ count: Int) throws(StoredZipError) -> [UInt8] {
        guard count <= bytes.count - position else { throw .malformedDirectory("a record ends in its middle") }
        defer { position += count }
        return Array(bytes[position..<position + count])
    }

    mutating func skip(_ count: Int) throws(StoredZipError) { _ = try bytes(count) }

    mutating func integer<Value: FixedWidthInteger & UnsignedInteger>(
        _: Value.Type = Value.self
    ) throws(StoredZipError) -> Value {
        try bytes(Value.bitWidth / 8).reversed().reduce(0) { $0 << 8 | Value($1) }
    }
}

/// CRC-32 of zip files: polynomial 0x04C11DB7, bits reflected.
enum CyclicRedundancyCheck {
    static func checksum(of bytes: [UInt8]) -> UInt32 {
        let table = Self.table
        return ~bytes.reduce(UInt32.max) { sum, byte in
            table[Int(UInt8(truncatingIfNeeded: sum) ^ byte)] ^ sum >> 8
        }
    }

    /// The remainder of each byte.
    private static let table: [UInt32] = (0..<256).map { byte in
        (0..<8).reduce(UInt32(byte)) { remainder, _ in remainder >> 1 ^ (remainder & 1 == 0 ? 0 : 0xEDB8_8320) }
    }
}

/// Which check a zip file failed.
public enum StoredZipError: Error, Hashable, Sendable, CustomStringConvertible {
    case file(FileError)

    /// Nothing at the end of the file says where its directory is.
    case noDirectory
    case malformedDirectory(String)
    case directoryTooLarge(byteCount: UInt64)
    case tooManyEntries(UInt64)
    case severalDisks
    case duplicateName(String)
    case compressed(String)
    case encrypted(String)
    case beyondEndOfFile(String)

    /// The entry's own header is not what the directory says.
    case headerMismatch(String)
    case overlap(String)
    case checksum(String)

    public var description: String {
        switch self {
        case .file(let error): error.description
        case .noDirectory: "the zip archive has no directory at its end; the file is truncated"
        case .malformedDirectory(let reason): "the directory of the zip archive is malformed: \(reason)"
        case .directoryTooLarge(let count):
            "the directory of the zip archive claims \(count) bytes, more than the "
                + "\(StoredZipArchive.maximumDirectoryByteCount) allowed"
        case .tooManyEntries(let count):
            "the zip archive claims \(count) entries, more than the \(StoredZipArchive.maximumEntryCount) allowed"
        case .severalDisks: "the zip archive is one part of several"
        case .duplicateName(let name): "the zip archive has two entries '\(name.legible)'"
        case .compressed(let name):
            """
            entry '\(name.legible)' of the zip archive is compressed, which torch.save never does; save the file anew in \
            PyTorch
            """
        case .encrypted(let name): "entry '\(name.legible)' of the zip archive is encrypted"
        case .beyondEndOfFile(let name):
            "entry '\(name.legible)' of the zip archive does not fit the file; it is truncated"
        case .headerMismatch(let name):
            "entry '\(name.legible)' of the zip archive is not where the directory says; the file is damaged"
        case .overlap(let name): "entry '\(name.legible)' of the zip archive overlaps the one before it"
        case .checksum(let name):
            "entry '\(name.legible)' of the zip archive is damaged: its CRC-32 is not the recorded one; use an undamaged copy"
        }
    }

    /// Runs a file operation whose failure is the failure of the archive.
    fileprivate static func wrapping<Value>(
        _ access: () throws(FileError) -> Value
    ) throws(StoredZipError) -> Value {
        do { return try access() } catch { throw .file(error) }
    }
}
