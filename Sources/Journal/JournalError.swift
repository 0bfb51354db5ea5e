import Archive

/// Why a journal cannot be opened or read.
public enum JournalError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The station's counters, without which no part can have an id.
    case counters(StationStateError)
    case missing(path: String)

    /// A database of something else.
    case foreign(path: String)

    /// Written by a later version of this program.
    case newerVersion(path: String)
    case damaged(path: String, reason: String)
    case fault(path: String, DatabaseFault)

    public var description: String {
        switch self {
        case .counters(let error):
            error.description
        case .missing(let path):
            "there is no journal '\(path)'; it is made by the first start of the station"
        case .foreign(let path):
            "'\(path)' is a database, but no journal of a station; move it away, or name another"
        case .newerVersion(let path):
            "the journal '\(path)' was written by a later version of this program; update, or move the journal away"
        case .damaged(let path, let reason):
            "the journal '\(path)' is damaged: \(reason); a copy is whole only together with its -wal file"
        case .fault(let path, let fault):
            "the journal '\(path)' cannot be used: \(fault)"
        }
    }

    init(_ path: String, _ fault: DatabaseFault) {
        if case .corrupt(let reason) = fault {
            self = .damaged(path: path, reason: reason)
        } else {
            self = .fault(path: path, fault)
        }
    }
}
