/// How a station is getting on, published on `health/` once a second: counts since the start of the session, all of one
/// moment, so that they can be added up.
public struct HealthReport: Hashable, Sendable {
    public var frames: FrameTally
    public var parts: PartTally
    public var latency: LatencyReport
    public var queues: [QueueReport]
    public var camera: CameraReport
    public var bus: BusReport

    /// How the journal is getting on; nil where nothing is kept, as in replay.
    @ExplicitNull public var journal: JournalReport?

    /// Parts whose pictures were kept or lost; nil where none are kept.
    @ExplicitNull public var evidence: EvidenceTally?

    /// Memory of the process that is in RAM.
    @ExplicitNull public var residentBytes: Int?

    /// Files and sockets that the process holds open.
    @ExplicitNull public var openFiles: Int?

    /// What is left to the daemon on the disk of its state directory.
    @ExplicitNull public var freeDiskBytes: Int?

    public init(
        frames: FrameTally, parts: PartTally, latency: LatencyReport, queues: [QueueReport], camera: CameraReport,
        bus: BusReport, journal: JournalReport?, evidence: EvidenceTally?, residentBytes: Int?, openFiles: Int?,
        freeDiskBytes: Int?
    ) {
        self.frames = frames
        self.parts = parts
        self.latency = latency
        self.queues = queues
        self.camera = camera
        self.bus = bus
        self.journal = journal
        self.evidence = evidence
        self.residentBytes = residentBytes
        self.openFiles = openFiles
        self.freeDiskBytes = freeDiskBytes
    }
}

extension HealthReport: Codable {
    enum CodingKeys: String, CodingKey {
        case frames
        case parts
        case latency = "latency_us"
        case queues
        case camera
        case bus
        case journal
        case evidence
        case residentBytes = "rss_bytes"
        case openFiles = "open_files"
        case freeDiskBytes = "disk_free_bytes"
    }
}

/// What became of every frame: `received = not_triggered + scored + dropped + corrupt + stale + unhealthy + failed`, but
/// for those that are on their way.
public struct FrameTally: Codable, Hashable, Sendable {
    public var received: Int

    /// Missing in the source's numbering, so not among the received.
    public var gap: Int
    public var notTriggered: Int
    public var scored: Int

    /// Given up by a full mailbox.
    public var dropped: Int
    public var corrupt: Int
    public var stale: Int
    public var unhealthy: Int
    public var failed: Int

    public init(
        received: Int, gap: Int, notTriggered: Int, scored: Int, dropped: Int, corrupt: Int, stale: Int, unhealthy: Int,
        failed: Int
    ) {
        self.received = received
        self.gap = gap
        self.notTriggered = notTriggered
        self.scored = scored
        self.dropped = dropped
        self.corrupt = corrupt
        self.stale = stale
        self.unhealthy = unhealthy
        self.failed = failed
    }

    enum CodingKeys: String, CodingKey {
        case received, gap, scored, dropped, corrupt, stale, unhealthy, failed
        case notTriggered = "not_triggered"
    }
}

/// Verdicts of the session: `seen = accepted + review + rejected`, and `rejected` is the sum of `rejected_by_reason`.
public struct PartTally: Codable, Hashable, Sendable {
    public var seen: Int
    public var accepted: Int
    public var review: Int
    public var rejected: Int

    /// Of the rejected, those whose reason says so.
    public var uninspected: Int
    public var late: Int

    /// By `Reason.text`.
    public var rejectedByReason: [String: Int]

    public init(_ counts: PartCounts, rejectedByReason: [Reason: Int]) {
        seen = counts.seen
        accepted = counts.accepted
        review = counts.review
        rejected = counts.rejected
        uninspected = rejectedByReason[.uninspected] ?? 0
        late = rejectedByReason[.late] ?? 0
        self.rejectedByReason = Dictionary(
            rejectedByReason.map { ($0.key.text, $0.value) }, uniquingKeysWith: +)
    }

    enum CodingKeys: String, CodingKey {
        case seen, accepted, review, rejected, uninspected, late
        case rejectedByReason = "rejected_by_reason"
    }
}

/// From capture to verdict, in microseconds, over all parts of the session that a frame shows; nil before the first.
public struct LatencyReport: Codable, Hashable, Sendable {
    @ExplicitNull public var p50: Int64?
    @ExplicitNull public var p90: Int64?
    @ExplicitNull public var p99: Int64?

    /// Of a thousand parts, the one that waited longest but one.
    @ExplicitNull public var p999: Int64?
    @ExplicitNull public var longest: Int64?
    @ExplicitNull public var worstPartID: PartID?

    public init(p50: Int64?, p90: Int64?, p99: Int64?, p999: Int64?, longest: Int64?, worstPartID: PartID?) {
        self.p50 = p50
        self.p90 = p90
        self.p99 = p99
        self.p999 = p999
        self.longest = longest
        self.worstPartID = worstPartID
    }

    enum CodingKeys: String, CodingKey {
        case p50, p90, p99, p999
        case longest = "max"
        case worstPartID = "worst_part_id"
    }
}

/// A stage and its mailbox.
public struct QueueReport: Codable, Hashable, Sendable {
    public var name: String

    /// Elements that wait now.
    public var depth: Int
    public var capacity: Int
    public var processed: UInt64
    public var dropped: UInt64

    public init(name: String, depth: Int, capacity: Int, processed: UInt64, dropped: UInt64) {
        self.name = name
        self.depth = depth
        self.capacity = capacity
        self.processed = processed
        self.dropped = dropped
    }
}

/// The source of the frames.
public struct CameraReport: Codable, Hashable, Sendable {
    public enum State: String, Codable, Hashable, Sendable {
        /// Not opened yet, or no frame yet.
        case opening
        case streaming

        /// Gone, and opened again and again.
        case lost

        /// No more frames are asked for.
        case closed
    }

    public var state: State

    /// How often it came back after it was lost.
    public var reconnects: Int
    @ExplicitNull public var lastError: String?

    public init(state: State, reconnects: Int, lastError: String?) {
        self.state = state
        self.reconnects = reconnects
        self.lastError = lastError
    }

    enum CodingKeys: String, CodingKey {
        case state, reconnects
        case lastError = "last_error"
    }
}

/// What the recovery endpoint has done; zeros where there is none.
public struct BusReport: Codable, Hashable, Sendable {
    /// Requests answered, those among them that were none, and commands that a peer may not give.
    public var answered: UInt64
    public var malformed: UInt64
    public var denied: UInt64

    /// Messages sent again.
    public var replays: UInt64

    /// Answers that nobody took.
    public var dropped: UInt64

    public init(
        answered: UInt64 = 0, malformed: UInt64 = 0, denied: UInt64 = 0, replays: UInt64 = 0, dropped: UInt64 = 0
    ) {
        self.answered = answered
        self.malformed = malformed
        self.denied = denied
        self.replays = replays
        self.dropped = dropped
    }
}

/// Parts whose pictures are on the disk, and parts whose pictures are lost.
public struct EvidenceTally: Codable, Hashable, Sendable {
    public var stored: Int
    public var dropped: Int

    public init(stored: Int, dropped: Int) {
        self.stored = stored
        self.dropped = dropped
    }
}

/// What the journal has done.
public struct JournalReport: Codable, Hashable, Sendable {
    /// Messages written and synced.
    public var written: Int

    /// Messages given up, by kind.
    public var lost: [String: Int]

    /// From a message's coming to the end of its sync, in microseconds: the slowest of all.
    public var slowestCommitMicroseconds: Int64

    public init(written: Int, lost: [MessageKind: Int], slowestCommitMicroseconds: Int64) {
        self.written = written
        self.lost = Dictionary(lost.map { ($0.key.rawValue, $0.value) }, uniquingKeysWith: +)
        self.slowestCommitMicroseconds = slowestCommitMicroseconds
    }

    enum CodingKeys: String, CodingKey {
        case written, lost
        case slowestCommitMicroseconds = "slowest_commit_us"
    }
}
