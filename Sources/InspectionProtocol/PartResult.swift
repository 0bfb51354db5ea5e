/// Everything measured on one part, published on `result/`: the verdict and how it came about.
///
/// In the message the verdict's fields stand beside the others, not nested.
public struct PartResult: Hashable, Sendable {
    public var verdict: Verdict
    public var details: Details

    public init(verdict: Verdict, details: Details) {
        self.verdict = verdict
        self.details = details
    }

    /// What a result says beyond the verdict.
    public struct Details: Hashable, Sendable {
        @ExplicitNull public var picturable: BranchReport?
        @ExplicitNull public var unpicturable: BranchReport?

        /// The branch that contributed more to the score.
        @ExplicitNull public var responsibleBranch: BranchName?

        /// Where the anomaly map stands out; empty where it does not, nil where no map was made.
        @ExplicitNull public var regions: [AnomalousRegion]?
        public var stageDurations: StageDurations
        public var frameIDs: [FrameID]
        public var evidence: Evidence

        /// Whether the score missed the deadline; such a result revises nothing.
        public var late: Bool

        public init(
            picturable: BranchReport?, unpicturable: BranchReport?, responsibleBranch: BranchName?,
            regions: [AnomalousRegion]?, stageDurations: StageDurations, frameIDs: [FrameID], evidence: Evidence,
            late: Bool
        ) {
            self.picturable = picturable
            self.unpicturable = unpicturable
            self.responsibleBranch = responsibleBranch
            self.regions = regions
            self.stageDurations = stageDurations
            self.frameIDs = frameIDs
            self.evidence = evidence
            self.late = late
        }
    }
}

extension PartResult: Codable {
    public init(from decoder: any Decoder) throws {
        verdict = try Verdict(from: decoder)
        details = try Details(from: decoder)
    }

    public func encode(to encoder: any Encoder) throws {
        try verdict.encode(to: encoder)
        try details.encode(to: encoder)
    }
}

extension PartResult.Details: Codable {
    enum CodingKeys: String, CodingKey {
        case picturable
        case unpicturable
        case responsibleBranch = "branch_responsible"
        case regions
        case stageDurations = "stage_us"
        case frameIDs = "frame_ids"
        case evidence
        case late
    }
}

/// One of the two ways to look at a part.
public enum BranchName: String, Codable, Hashable, Sendable {
    case picturable
    case unpicturable
}

/// One branch's score and the statistics of good parts it was compared with: `z = (raw − mean) / deviation`.
public struct BranchReport: Codable, Hashable, Sendable {
    public var raw: Double
    public var mean: Double
    public var deviation: Double
    public var z: Double

    public init(raw: Double, mean: Double, deviation: Double, z: Double) {
        self.raw = raw
        self.mean = mean
        self.deviation = deviation
        self.z = z
    }
}

/// A place where the anomaly map stands out, in source pixels.
public struct AnomalousRegion: Codable, Hashable, Sendable {
    public var x: Int
    public var y: Int
    public var width: Int
    public var height: Int

    /// Pixels inside the region, at most `width · height`.
    public var areaInPixels: Int

    /// Greatest and mean value of the anomaly map inside.
    public var peak: Double
    public var mean: Double

    public init(x: Int, y: Int, width: Int, height: Int, areaInPixels: Int, peak: Double, mean: Double) {
        self.x = x
        self.y = y
        self.width = width
        self.height = height
        self.areaInPixels = areaInPixels
        self.peak = peak
        self.mean = mean
    }

    enum CodingKeys: String, CodingKey {
        case x, y, width, height, peak, mean
        case areaInPixels = "area_px"
    }
}

/// How long each stage worked on the part, in microseconds; nil for a stage that it did not reach.
public struct StageDurations: Codable, Hashable, Sendable {
    @ExplicitNull public var decode: Int64?
    @ExplicitNull public var preprocess: Int64?
    @ExplicitNull public var picturable: Int64?
    @ExplicitNull public var unpicturable: Int64?
    @ExplicitNull public var fuse: Int64?
    @ExplicitNull public var publish: Int64?

    public init(
        decode: Int64? = nil, preprocess: Int64? = nil, picturable: Int64? = nil, unpicturable: Int64? = nil,
        fuse: Int64? = nil, publish: Int64? = nil
    ) {
        self.decode = decode
        self.preprocess = preprocess
        self.picturable = picturable
        self.unpicturable = unpicturable
        self.fuse = fuse
        self.publish = publish
    }
}

/// Where the pictures of a part went.
public struct Evidence: Codable, Hashable, Sendable {
    public enum State: String, Codable, Hashable, Sendable {
        case stored
        case queued
        case dropped

        /// The station keeps no evidence of such parts.
        case off
    }

    @ExplicitNull public var path: String?
    @ExplicitNull public var sha256: String?
    public var state: State

    public init(path: String?, sha256: String?, state: State) {
        self.path = path
        self.sha256 = sha256
        self.state = state
    }

    /// Nothing is kept.
    public static let off = Evidence(path: nil, sha256: nil, state: .off)
}
