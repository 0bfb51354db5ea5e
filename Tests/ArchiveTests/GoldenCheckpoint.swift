import Foundation

/// The checkpoints in `Golden`, which PyTorch wrote.
enum GoldenCheckpoint {
    static let directory = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Golden")

    static func path(_ name: String) -> String { directory.appendingPathComponent(name).path }

    /// Names of all of them, those that have to be refused included.
    static func names() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: directory.path).filter { !$0.hasSuffix(".py") }.sorted()
    }

    /// What `make_checkpoints.py` fills parameter `k` of a network with.
    static func values(_ count: Int, parameter k: Int) -> [Float] {
        (0..<count).map { Float((7 * $0 + 13 * k) % 251 - 125) / 64 }
    }
}

/// A zip archive as tests need it: right in everything that a test does not change.
struct ZipBuilder {
    var entries: [(name: String, bytes: [UInt8])] = []

    /// Writes all numbers of the directory in their zip64 places.
    var isLarge = false

    /// Changes what the directory says about entry `position`: the bytes of its record, signature first.
    var changeDirectory: (_ position: Int, _ record: inout [UInt8]) -> Void = { _, _ in }

    func bytes() -> [UInt8] {
        var file: [UInt8] = []
        var directory: [UInt8] = []
        for (position, (name, bytes)) in entries.enumerated() {
            let offset = file.count
            let checksum = Self.checksum(bytes)
            let name = Array(name.utf8)
            file += Self.number(0x0403_4B50, 4) + [20, 0, 0, 0, 0, 0, 0, 0, 0, 0] + Self.number(checksum, 4)
            file += Self.number(bytes.count, 4) + Self.number(bytes.count, 4)
            file += Self.number(name.count, 2) + [0, 0] + name + bytes
            let none = Int(UInt32.max)
            let places = [bytes.count, bytes.count, offset].flatMap { Self.number($0, 8) }
            let extra = isLarge ? Self.number(1, 2) + Self.number(places.count, 2) + places : []
            var record = Self.number(0x0201_4B50, 4) + [45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]
            record += Self.number(checksum, 4)
            record += Self.number(isLarge ? none : bytes.count, 4) + Self.number(isLarge ? none : bytes.count, 4)
            record += Self.number(name.count, 2) + Self.number(extra.count, 2) + [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
            record += Self.number(isLarge ? none : offset, 4) + name + extra
            changeDirectory(position, &record)
            directory += record
        }
        let start = file.count
        file += directory
        if isLarge {
            let record = file.count
            file += Self.number(0x0606_4B50, 4) + Self.number(44, 8) + [45, 0, 45, 0] + Self.number(0, 8)
            file += [entries.count, entries.count, directory.count, start].flatMap { Self.number($0, 8) }
            file += Self.number(0x0706_4B50, 4) + Self.number(0, 4) + Self.number(record, 8) + Self.number(1, 4)
        }
        let (count, size) = isLarge ? (0xFFFF, 0xFFFF_FFFF) : (entries.count, directory.count)
        file += Self.number(0x0605_4B50, 4) + [0, 0, 0, 0] + Self.number(count, 2) + Self.number(count, 2)
        return file + Self.number(size, 4) + Self.number(isLarge ? size : start, 4) + [0, 0]
    }

    static func number(_ value: Int, _ width: Int) -> [UInt8] {
        (0..<width).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }

    /// CRC-32 bit by bit.
    private static func checksum(_ bytes: [UInt8]) -> Int {
        var sum = UInt32.max
        for byte in bytes {
            sum ^= UInt32(byte)
            for _ in 0..<8 { sum = sum >> 1 ^ (sum & 1 == 0 ? 0 : 0xEDB8_8320) }
        }
        return Int(~sum)
    }
}
