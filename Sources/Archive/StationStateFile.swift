import Crypto
import Foundation
import Glibc
import Locking

/// The file `counters`: two slots of one disk sector each, written in turn and in place.
///
/// Whatever a power cut leaves of the slot that was being written, the other one holds what was last in use. A slot is a
/// line of JSON with the first half of its SHA-256 behind it, so that a person can read it and a torn one is noticed.
final class StationStateFile: Sendable {
    private static let slotSize = 512

    private struct Slot: Codable {
        var schema = 2

        /// Counts the writes; the greater one is the later.
        var generation: UInt64
        var session: UInt64
        var partIDsReservedBelow: UInt64

        enum CodingKeys: String, CodingKey {
            case schema, generation, session
            case partIDsReservedBelow = "part_ids_reserved_below"
        }
    }

    private let file: OpenFile
    private let generation: Lock<UInt64>

    static func path(in directory: String) -> String { "\(directory)/counters" }

    /// Opens the file for writing, and makes a new one of `counters` where there is none that can be read.
    init(in directory: String, adopting counters: StationCounters) throws(StationStateError) {
        let path = Self.path(in: directory)
        var latest = (try? Self.slots(in: directory))?.map(\.generation).max()
        if latest == nil {
            let slot = Self.text(
                of: Slot(
                    generation: 0, session: counters.session, partIDsReservedBelow: counters.partIDsReservedBelow))
            try StationStateError.wrapping { () throws(FileError) in try AtomicFile.replace(path, with: slot + slot) }
            latest = 0
        }
        generation = Lock(latest ?? 0)
        file = try StationStateError.wrapping { () throws(FileError) in try OpenFile(path, O_WRONLY) }
    }

    /// Returns when the counters survive a power cut.
    func write(_ counters: StationCounters) throws(StationStateError) {
        try generation.withLock { (generation) throws(StationStateError) in
            let slot = Slot(
                generation: generation + 1, session: counters.session,
                partIDsReservedBelow: counters.partIDsReservedBelow)
            let bytes = Self.text(of: slot)
            let offset = off_t(Int(slot.generation % 2) * Self.slotSize)
            let written = pwrite(file.descriptor, bytes, bytes.count, offset)
            guard written == bytes.count else {
                throw .file(written < 0 ? .last(.write, file.path) : FileError(.write, file.path, .diskFull))
            }
            try StationStateError.wrapping { () throws(FileError) in try file.synchronise() }
            generation += 1
        }
    }

    /// What the file says; nil where there is none.
    ///
    /// - Throws: `unreadable` where no slot is whole.
    static func counters(in directory: String) throws(StationStateError) -> StationCounters? {
        guard Directory.kind(of: path(in: directory)) != nil else { return nil }
        guard let latest = try slots(in: directory).max(by: { $0.generation < $1.generation }) else {
            throw .unreadable(path: path(in: directory), reason: "neither of its two records is whole")
        }
        return StationCounters(session: latest.session, partIDsReservedBelow: latest.partIDsReservedBelow)
    }

    private static func slots(in directory: String) throws(StationStateError) -> [Slot] {
        let path = path(in: directory)
        let bytes = try StationStateError.wrapping { () throws(FileError) in
            let file = try OpenFile(path, O_RDONLY | O_NONBLOCK)
            return try file.read(min(file.regularFileSize(), 2 * slotSize))
        }
        return [bytes.prefix(slotSize), bytes.dropFirst(slotSize)].compactMap { slot(in: $0) }
    }

    private static func slot(in bytes: ArraySlice<UInt8>) -> Slot? {
        guard bytes.count == slotSize,
            let end = bytes.lastIndex(of: UInt8(ascii: "}"))
        else { return nil }
        let json = bytes[...end]
        let rest = String(decoding: bytes[(end + 1)...], as: UTF8.self)
        guard rest.trimmingCharacters(in: .whitespacesAndNewlines) == checksum(of: Array(json)),
            let slot = try? CanonicalJSON.value(Slot.self, from: String(decoding: json, as: UTF8.self)),
            slot.schema == 2, slot.generation < 1 << 62, isPlausible(slot.session, slot.partIDsReservedBelow)
        else { return nil }
        return slot
    }

    private static func text(of slot: Slot) -> [UInt8] {
        let json: [UInt8]
        do {
            json = Array(try CanonicalJSON.text(of: slot).utf8)
        } catch {
            preconditionFailure("integers are always JSON: \(error)")
        }
        let line = json + Array(" \(checksum(of: json))".utf8)
        return line + Array(repeating: UInt8(ascii: " "), count: slotSize - 1 - line.count) + [UInt8(ascii: "\n")]
    }

    private static func checksum(of bytes: [UInt8]) -> String {
        SHA256.hash(data: bytes).prefix(16).map { String(format: "%02x", $0) }.joined()
    }

    /// Far beyond any station's life, and far enough from the end that counting on cannot overflow.
    private static func isPlausible(_ session: UInt64, _ partIDsReservedBelow: UInt64) -> Bool {
        session < 1 << 62 && (1..<1 << 62).contains(partIDsReservedBelow)
    }

    // MARK: The file of earlier versions

    private struct FormerCounters: Codable {
        var schema: Int
        var session: UInt64
        var partIDsReservedBelow: UInt64

        enum CodingKeys: String, CodingKey {
            case schema, session
            case partIDsReservedBelow = "part_ids_reserved_below"
        }
    }

    private static func formerPath(in directory: String) -> String { "\(directory)/counters.json" }

    /// What versions before the journal kept in `counters.json`; nil where there is none.
    static func formerCounters(in directory: String) throws(StationStateError) -> StationCounters? {
        let path = formerPath(in: directory)
        guard Directory.kind(of: path) != nil else { return nil }
        let bytes = try StationStateError.wrapping { () throws(FileError) in
            let file = try OpenFile(path, O_RDONLY | O_NONBLOCK)
            // It had some 60 bytes; the limit keeps a foreign file out of memory.
            return try file.read(min(file.regularFileSize(), 4096))
        }
        let counters: FormerCounters
        do {
            counters = try CanonicalJSON.value(FormerCounters.self, from: String(decoding: bytes, as: UTF8.self))
        } catch {
            throw .unreadable(path: path, reason: "\(error)")
        }
        guard counters.schema == 1 else {
            throw .unreadable(path: path, reason: "schema \(counters.schema) is not known")
        }
        guard isPlausible(counters.session, counters.partIDsReservedBelow) else {
            throw .unreadable(path: path, reason: "the counters are beyond any that were written")
        }
        return StationCounters(session: counters.session, partIDsReservedBelow: counters.partIDsReservedBelow)
    }

    /// Call once the counters are in the new file.
    static func removeFormerFile(in directory: String) throws(StationStateError) {
        guard unlink(formerPath(in: directory)) == 0 else {
            guard errno == ENOENT else { throw .file(.last(.remove, formerPath(in: directory))) }
            return
        }
        try StationStateError.wrapping { () throws(FileError) in try AtomicFile.synchroniseDirectory(directory) }
    }
}
