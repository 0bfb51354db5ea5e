import Glibc
import Locking

/// A station's directory, taken by one process at a time.
///
/// Free again after `giveBack`, or when the value is gone, at the latest with its process.
public struct StationDirectory: ~Copyable, Sendable {
    public let path: String
    private let lockFile: OpenFile

    /// Takes the directory, creating it where it is missing.
    ///
    /// - Throws: `heldByAnotherProcess` for a second instance, before anything is changed; `file` for everything the disk
    ///   says.
    public init(taking path: String) throws(StationStateError) {
        let lockFile = try StationStateError.wrapping { () throws(FileError) in
            try AtomicFile.createDirectory(path)
            return try OpenFile("\(path)/lock", O_RDWR | O_CREAT)
        }
        guard flock(lockFile.descriptor, LOCK_EX | LOCK_NB) == 0 else {
            throw errno == EWOULDBLOCK
                ? .heldByAnotherProcess(directory: path) : .file(.last(.lock, lockFile.path))
        }
        self.path = path
        self.lockFile = lockFile
    }

    borrowing func giveBack() { flock(lockFile.descriptor, LOCK_UN) }
}

/// What must not be forgotten from one start to the next: which session this is, and which part ids are used up.
public struct StationCounters: Hashable, Sendable {
    /// The last session that began; 0 before the first.
    public var session: UInt64

    /// Every id below may have been given to a part.
    public var partIDsReservedBelow: UInt64

    public init(session: UInt64, partIDsReservedBelow: UInt64) {
        self.session = session
        self.partIDsReservedBelow = partIDsReservedBelow
    }

    /// Before the first start.
    public static let none = StationCounters(session: 0, partIDsReservedBelow: 1)

    /// Where counting goes on when both sides may be behind.
    public func combined(with other: StationCounters) -> StationCounters {
        StationCounters(
            session: max(session, other.session),
            partIDsReservedBelow: max(partIDsReservedBelow, other.partIDsReservedBelow))
    }
}

/// The counters of a station, in a small file beside its journal.
///
/// Written and synced before they are used, so that neither a session nor a part id comes twice, whenever the process or
/// the machine dies; ids that were reserved and not used are skipped. The file never grows, so a full disk does not stop a
/// station from giving ids; the journal keeps a copy, and each of the two makes up for the loss of the other.
public final class StationState: Sendable {
    /// What the journal knows about the counters.
    public enum Witness: Hashable, Sendable {
        /// There was no journal.
        case none
        case journal(StationCounters)

        /// There was a journal, and it cannot be read.
        case lostJournal
    }

    /// How far counting jumps where the file is lost: the journal's copy may lag behind it.
    static let margin: UInt64 = 1 << 16

    /// Counts the starts of this station, from 1.
    public let session: UInt64

    private struct Reservation {
        var end: UInt64
        var isClosed = false
    }

    private let reservation: Lock<Reservation>
    private let file: StationStateFile
    private let directory: StationDirectory

    /// Counts this start.
    ///
    /// Goes on above whatever the file, the journal and the file of earlier versions say.
    ///
    /// - Throws: `unreadable` where neither the file nor the journal says which ids are used up; `file` for everything the
    ///   disk says.
    public init(in directory: consuming StationDirectory, journal: Witness) throws(StationStateError) {
        let before = try Self.countersBefore(in: directory.path, journal)
        file = try StationStateFile(in: directory.path, adopting: before)
        let session = before.session + 1
        try file.write(StationCounters(session: session, partIDsReservedBelow: before.partIDsReservedBelow))
        try StationStateFile.removeFormerFile(in: directory.path)
        self.session = session
        reservation = Lock(Reservation(end: before.partIDsReservedBelow))
        self.directory = directory
    }

    private static func countersBefore(
        in directory: String, _ journal: Witness
    ) throws(StationStateError) -> StationCounters {
        var known = StationCounters.none
        if case .journal(let counters) = journal { known = counters }
        // One of an earlier version is still there if that version ran last.
        if let former = try StationStateFile.formerCounters(in: directory) { known = known.combined(with: former) }
        do throws(StationStateError) {
            if let own = try StationStateFile.counters(in: directory) { return known.combined(with: own) }
        } catch {
            guard case .unreadable = error, case .journal = journal else { throw error }
            return StationCounters(
                session: known.session, partIDsReservedBelow: known.partIDsReservedBelow + margin)
        }
        switch journal {
        case .none: return known
        case .journal:
            return StationCounters(
                session: known.session, partIDsReservedBelow: known.partIDsReservedBelow + margin)
        case .lostJournal:
            guard known != .none else {
                throw .unreadable(
                    path: StationStateFile.path(in: directory), reason: "it is gone, and so is what the journal knew")
            }
            return known
        }
    }

    /// What was last reserved and synced.
    public var counters: StationCounters {
        StationCounters(session: session, partIDsReservedBelow: reservation.withLock { $0.end })
    }

    /// Reserves part ids that no start of this station has had or will have, in ascending order from 1.
    ///
    /// Waits for the disk: to be called ahead of need, from a queue that may wait (see `PartIDs`).
    ///
    /// - Parameter count: More means fewer syncs, and more skipped ids after a crash.
    public func reservePartIDs(_ count: UInt64) throws(StationStateError) -> Range<UInt64> {
        precondition((1...1 << 32).contains(count), "\(count) part ids were asked for")
        return try reservation.withLock { (reservation) throws(StationStateError) in
            guard !reservation.isClosed else { throw .givenBack(directory: directory.path) }
            let reserved = reservation.end..<reservation.end + count
            try file.write(StationCounters(session: session, partIDsReservedBelow: reserved.upperBound))
            reservation.end = reserved.upperBound
            return reserved
        }
    }

    /// Gives the directory back to whoever comes next; nothing is reserved afterwards.
    public func close() {
        reservation.withLock { $0.isClosed = true }
        directory.giveBack()
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

    /// The counters are lost, damaged or written by another program; going on could repeat ids.
    case unreadable(path: String, reason: String)
    case file(FileError)

    /// Asked for after `StationState.close`.
    case givenBack(directory: String)

    public var description: String {
        switch self {
        case .heldByAnotherProcess(let directory):
            "the state directory '\(directory)' is held by another process; one station runs once: stop the other "
                + "instance, or give this one a directory of its own"
        case .unreadable(let path, let reason):
            "the counters in '\(path)' cannot be read: \(reason); restore the file from a backup, or move the whole "
                + "directory aside to start again at session 1 and part 1 once nothing refers to the old ids"
        case .file(let error):
            error.description
        case .givenBack(let directory):
            "the state directory '\(directory)' was given back, as another process may hold it now"
        }
    }

    /// Runs a file operation whose failure is the failure of the state.
    static func wrapping<Value: ~Copyable>(
        _ access: () throws(FileError) -> Value
    ) throws(StationStateError) -> Value {
        do { return try access() } catch { throw .file(error) }
    }
}
