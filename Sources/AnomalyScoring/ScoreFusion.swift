import TensorKernels

/// One of the two ways to look at a part.
public enum Branch: String, Codable, Sendable, CaseIterable {
    /// What a heat map can show: s_p, the maximum of the anomaly map.
    case picturable

    /// What no heat map shows: s_u, the Mahalanobis distance of pooled features.
    case unpicturable
}

/// What a model's networks say about one picture, before any comparison with good parts.
public struct RawScores: Sendable {
    /// s_p, maximum of the canonical map.
    public var picturable: Double

    /// s_u, Mahalanobis distance of the pooled features.
    public var unpicturable: Double

    /// The canonical anomaly map, `[1, 256, 256]`, normalised so that 0.1 is the 0.995 quantile of good parts.
    public var map: Tensor

    public init(picturable: Double, unpicturable: Double, map: Tensor) {
        self.picturable = picturable
        self.unpicturable = unpicturable
        self.map = map
    }
}

/// Whatever can look at a picture and give raw scores: a trained detector, or a stand-in in tests of the line.
public protocol PartScorer: Sendable {
    /// - Parameter image: ImageNet-normalised, `[3, 256, 256]`.
    func score(_ image: Tensor) throws -> RawScores
}

/// Mean and population standard deviation of one branch's scores over good parts.
public struct ZStatistics: Hashable, Sendable, Codable {
    public var mean: Double

    /// Greater than zero.
    public var deviation: Double

    public init(mean: Double, deviation: Double) {
        self.mean = mean
        self.deviation = deviation
    }
}

/// The fused score above which a part is rejected, and what it promises (ALGORITHMS §4.4, T1).
public struct DecisionThreshold: Hashable, Sendable, Codable {
    /// Reject if the fused z exceeds this.
    public var value: Double

    /// How many good parts it was computed from.
    public var calibrationCount: Int

    /// The false-reject rate it keeps, if parts are exchangeable with the calibration parts.
    public var falseRejectBudget: Double

    public init(value: Double, calibrationCount: Int, falseRejectBudget: Double) {
        self.value = value
        self.calibrationCount = calibrationCount
        self.falseRejectBudget = falseRejectBudget
    }
}

/// What becomes of both z-scores.
public enum FusionRule: String, Hashable, Sendable, Codable, CaseIterable {
    /// Their sum decides (PUAD §3.4).
    case sum

    /// The picturable one decides; the other is measured and reported.
    case picturableAlone = "picturable"

    /// The score that decides.
    ///
    /// - Parameters: z-scores.
    public func fuse(picturable: Double, unpicturable: Double) -> Double {
        switch self {
        case .sum: picturable + unpicturable
        case .picturableAlone: picturable
        }
    }
}

/// Turns two raw scores into one: `z_p = (s_p − μ_p)/σ_p`, `z_u = (s_u − μ_u)/σ_u`, and what the rule makes of them.
public struct ScoreFusion: Hashable, Sendable, Codable {
    public var picturable: ZStatistics
    public var unpicturable: ZStatistics
    public var rule: FusionRule
    public var threshold: DecisionThreshold

    public init(
        picturable: ZStatistics, unpicturable: ZStatistics, rule: FusionRule = .sum, threshold: DecisionThreshold
    ) {
        self.picturable = picturable
        self.unpicturable = unpicturable
        self.rule = rule
        self.threshold = threshold
    }

    /// - Throws: `ScoringError.notFinite` where a raw score is NaN or infinite: unknown is never accept.
    public func fuse(_ raw: RawScores) throws(ScoringError) -> FusedScore {
        let picturable = try branchScore(.picturable, raw.picturable, against: picturable)
        let unpicturable = try branchScore(.unpicturable, raw.unpicturable, against: unpicturable)
        return FusedScore(
            picturable: picturable, unpicturable: unpicturable, rule: rule, threshold: threshold.value)
    }

    private func branchScore(
        _ branch: Branch, _ raw: Double, against statistics: ZStatistics
    ) throws(ScoringError) -> BranchScore {
        let z = statistics.z(of: raw)
        guard z.isFinite else { throw .notFinite(branch) }
        return BranchScore(raw: raw, mean: statistics.mean, deviation: statistics.deviation, z: z)
    }
}

/// One branch's score beside the statistics it was compared with.
public struct BranchScore: Hashable, Sendable {
    public var raw: Double
    public var mean: Double
    public var deviation: Double

    /// Standard deviations above the mean of good parts; never clamped.
    public var z: Double

    public init(raw: Double, mean: Double, deviation: Double, z: Double) {
        self.raw = raw
        self.mean = mean
        self.deviation = deviation
        self.z = z
    }
}

/// The score that decides, with what it is made of.
public struct FusedScore: Hashable, Sendable {
    public var picturable: BranchScore
    public var unpicturable: BranchScore
    public var rule: FusionRule
    public var threshold: Double

    public init(
        picturable: BranchScore, unpicturable: BranchScore, rule: FusionRule = .sum, threshold: Double
    ) {
        self.picturable = picturable
        self.unpicturable = unpicturable
        self.rule = rule
        self.threshold = threshold
    }

    /// What the rule makes of both z-scores.
    public var value: Double { rule.fuse(picturable: picturable.z, unpicturable: unpicturable.z) }

    public var isAnomalous: Bool { value > threshold }

    /// The branch that contributed more, of those that contribute.
    public var responsibleBranch: Branch {
        rule == .picturableAlone || picturable.z >= unpicturable.z ? .picturable : .unpicturable
    }
}

/// Why a picture has no score.
public enum ScoringError: Error, Equatable, CustomStringConvertible {
    /// The branch gave NaN or infinity.
    case notFinite(Branch)

    public var description: String {
        switch self {
        case .notFinite(let branch):
            "the \(branch.rawValue) score is not a finite number; the part counts as rejected"
        }
    }
}
