import Glibc
import Locking

/// What a station remembers from one start to the next: which session this is, and which part ids are used up.
///
/// One directory per station, held by one process at a time. The counters are written before they are used, aside,
/// synced and renamed, so that neither a session nor a part id comes twice, whenever the process or the machine dies; ids
/// that were reserved and not used are skipped.
public final class StationState: Sendable {
    /// Counts the starts of this station, from 1.
    public let session: UInt64

    public let directory: String

    private let reservedEnd: Lock<UInt64>
    private let lockFile: OpenFile

    /// Takes the directory, creating it where it is missing, and counts this start.
    ///
    /// The directory is free again when the state is gone, at the latest with its process.
    ///
    /// - Throws: `heldByAnotherProcess` for a second instance, before anything is changed; `unreadable` where the counters
    ///   are not what this program wrote, since going on could repeat ids; `file` for everything the disk says.
    public init(directory: String) throws(StationStateError) {
        self.directory = directory
        lockFile = try StationStateError.wrapping { () throws(FileError) in
            try AtomicFile.createDirectory(directory)
            return try OpenFile("\(directory)/lock", O_RDWR | O_CREAT)
        }
        guard flock(lockFile.descriptor, LOCK_EX | LOCK_NB) == 0 else {
            throw errno == EWOULDBLOCK
                ? .heldByAnotherProcess(directory: directory) : .file(.last(.lock, lockFile.path))
        }
        var counters = try Self.read(from: directory)
        counters.session += 1
        try Self.write(counters, to: directory)
        session = counters.session
        reservedEnd = Lock(counters.partIDsReservedBelow)
    }

    /// Reserves part ids that no start of this station has had or will have, in ascending order from 1.
    ///
    /// Waits for the disk: to be called ahead of need, from a queue that may wait (see `PartIDs`).
    ///
    /// - Parameter count: More means fewer syncs, and more skipped ids after a crash.
    public func reservePartIDs(_ count: UInt64) throws(StationStateError) -> Range<UInt64> {
        precondition((1...1 << 32).contains(count), "\(count) part ids were asked for")
        return try reservedEnd.withLock { (end) throws(StationStateError) in
            let reserved = end..<end + count
            try Self.write(Counters(session: session, partIDsReservedBelow: reserved.upperBound), to: directory)
            end = reserved.upperBound
            return reserved
        }
    }

    // MARK: The file

    private struct Counters: Codable {
        var schema = 1
        var session: UInt64
        var partIDsReservedBelow: UInt64

        enum CodingKeys: String, CodingKey {
            case schema
            case session
            case partIDsReservedBelow = "part_ids_reserved_below"
        }
    }

    private static func path(in directory: String) -> String { "\(directory)/counters.json" }

    /// The counters of the last start; of a station that never started, where there is no file.
    private static func read(from directory: String) throws(StationStateError) -> Counters {
        let path = path(in: directory)
        guard Directory.kind(of: path) != nil else { return Counters(session: 0, partIDsReservedBelow: 1) }
        let bytes = try StationStateError.wrapping { () throws(FileError) in
            let file = try OpenFile(path, O_RDONLY | O_NONBLOCK)
            // Ours has some 60 bytes; the limit keeps a foreign file out of memory.
            return try file.read(min(file.regularFileSize(), 4096))
        }
        do {
            let counters = try CanonicalJSON.value(Counters.self, from: String(decoding: bytes, as: UTF8.self))
            guard counters.schema == 1 else {
                throw StationStateError.unreadable(path: path, reason: "schema \(counters.schema) is not known")
            }
            // Far beyond any station's life, and far enough from the end that counting on cannot overflow.
            guard counters.session < 1 << 62, (1..<1 << 62).contains(counters.partIDsReservedBelow) else {
                throw StationStateError.unreadable(path: path, reason: "the counters are beyond any that were written")
            }
            return counters
        } catch let error as StationStateError {
            throw error
        } catch {
            throw .unreadable(path: path, reason: "\(error)")
        }
    }

    private static func write(_ counters: Counters, to directory: String) throws(StationStateError) {
        let path = path(in: directory)
        do {
            let text = try CanonicalJSON.text(of: counters)
            try AtomicFile.replace(path, with: Array("\(text)\n".utf8))
        } catch let error as FileError {
            throw .file(error)
        } catch {
            preconditionFailure("three integers are always JSON")
        }
    }
}

/// Part ids at hand: given out one by one without waiting, refilled from reservations before they run out.
public struct PartIDs: Sendable {
    private var ranges: [Range<UInt64>] = []

    public init() {}

    /// How many are left.
    public var count: UInt64 { ranges.reduce(0) { $0 + UInt64($1.count) } }

    /// The next id, or nil where none is left.
    public mutating func next() -> UInt64? {
        guard let first = ranges.first else { return nil }
        let rest = first.lowerBound + 1..<first.upperBound
        if rest.isEmpty { ranges.removeFirst() } else { ranges[0] = rest }
        return first.lowerBound
    }

    /// Adds a reservation behind those at hand.
    public mutating func add(_ reserved: Range<UInt64>) {
        if !reserved.isEmpty { ranges.append(reserved) }
    }
}

/// Why a station's state cannot be used.
public enum StationStateError: Error, Hashable, Sendable, CustomStringConvertible {
    case heldByAnotherProcess(directory: String)

    /// The counters are damaged or written by another program.
    case unreadable(path: String, reason: String)
    case file(FileError)

    public var description: String {
        switch self {
        case .heldByAnotherProcess(let directory):
            "the state directory '\(directory)' is held by another process; one station runs once: stop the other "
                + "instance, or give this one a directory of its own"
        case .unreadable(let path, let reason):
            "the counters in '\(path)' cannot be read: \(reason); restore the file from a backup, or remove it to start "
                + "again at session 1 and part 1 once nothing refers to the old ids"
        case .file(let error):
            error.description
        }
    }

    /// Runs a file operation whose failure is the failure of the state.
    fileprivate static func wrapping<Value: ~Copyable>(
        _ access: () throws(FileError) -> Value
    ) throws(StationStateError) -> Value {
        do { return try access() } catch { throw .file(error) }
    }
}
