import AnomalyScoring

/// What a threshold that was set on good parts alone gets right and wrong (ALGORITHMS §4.4, T1).
public struct ConformalPoint: Hashable, Sendable, Codable {
    /// The share of good parts that may be rejected, if they are exchangeable with the calibration parts.
    public var falseRejectBudget: Double

    /// How many good parts the threshold rests on.
    public var calibrationCount: Int
    public var point: OperatingPoint

    init(_ scores: ScoresByDefect, at threshold: DecisionThreshold) {
        falseRejectBudget = threshold.falseRejectBudget
        calibrationCount = threshold.calibrationCount
        point = OperatingPoint(scores, at: threshold.value)
    }

    private enum CodingKeys: String, CodingKey {
        case falseRejectBudget = "false_reject_budget"
        case calibrationCount = "calibration_parts"
        case point
    }
}

/// The conformal operating point of each score.
///
/// The fused score's threshold is the model's own, which a line rejects by. The other two have none in the model; theirs
/// come from good parts that the data set sets aside, and are nil where it has none. The fused one is not measured on those
/// again: the model's z-statistics may come from the same parts, which would make it look tighter than it is.
public struct ConformalPoints: Hashable, Sendable, Codable {
    public var picturable: ConformalPoint?
    public var unpicturable: ConformalPoint?
    public var fused: ConformalPoint

    /// - Parameters:
    ///   - scores: Of the test pictures.
    ///   - threshold: The model's own.
    ///   - calibration: Scores of good parts that nothing was trained on; may be empty. Where they are too few for the
    ///     model's false-reject budget, the smallest that they can promise is taken.
    /// - Throws: `scoreIsNotANumber` for a calibration score that is not finite.
    init(
        _ scores: PerScore<ScoresByDefect>, threshold: DecisionThreshold, calibration: [PerScore<Double>]
    ) throws(EvaluationError) {
        func point(
            _ scores: ScoresByDefect, _ calibration: [Double]
        ) throws(EvaluationError) -> ConformalPoint? {
            guard !calibration.isEmpty else { return nil }
            let budget = max(threshold.falseRejectBudget, 1 / Double(calibration.count + 1))
            do {
                return ConformalPoint(
                    scores, at: try .conformal(scores: calibration, falseRejectBudget: budget))
            } catch {
                throw .scoreIsNotANumber
            }
        }
        picturable = try point(scores.picturable, calibration.map(\.picturable))
        unpicturable = try point(scores.unpicturable, calibration.map(\.unpicturable))
        fused = ConformalPoint(scores.fused, at: threshold)
    }

    private enum CodingKeys: String, CodingKey {
        case picturable, unpicturable, fused
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(picturable, forKey: .picturable)
        try container.encode(unpicturable, forKey: .unpicturable)
        try container.encode(fused, forKey: .fused)
    }
}
