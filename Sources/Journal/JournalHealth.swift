import InspectionProtocol

/// How the journal is getting on.
public enum JournalHealth: Hashable, Sendable {
    /// Everything is kept.
    case writing

    /// Something was not kept, or will not be. Verdicts go on.
    case degraded(Degradation)

    /// Nothing is kept any more, until the next start: after a failed sync nobody knows what is on the disk.
    case failed(reason: String, since: UTCTimestamp)

    public struct Degradation: Hashable, Sendable {
        public var cause: Cause
        public var since: UTCTimestamp

        /// Messages given up since then.
        public var lost: Int
    }

    public enum Cause: String, Hashable, Sendable {
        /// The disk or quota is full, and the reserve is being used up: only verdicts are written.
        case diskFull = "disk_full"

        /// The disk was slower than the line, and a lane of the mailbox overflowed.
        case overload
    }
}

/// What the journal has done since the start.
public struct JournalCounts: Hashable, Sendable {
    public internal(set) var written = 0
    public internal(set) var lost: [MessageKind: Int] = [:]
    public internal(set) var commits = 0

    /// From the moment that a message was handed over to the end of its sync: the slowest of all.
    public internal(set) var slowestCommit = Duration.zero

    public var lostTotal: Int { lost.values.reduce(0, +) }
}
