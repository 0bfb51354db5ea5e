extension ZStatistics {
    /// Mean and population standard deviation of one branch's scores over good parts (ALGORITHMS §4.2).
    ///
    /// - Throws: Where a score is not finite or all are equal: no σ is made up.
    public init(of scores: [Double], branch: Branch) throws(CalibrationError) {
        guard !scores.isEmpty else { throw .noPictures }
        guard scores.allSatisfy(\.isFinite) else { throw .notFinite("a \(branch.rawValue) score") }
        let mean = scores.reduce(0, +) / Double(scores.count)
        let squares = scores.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
        self.init(mean: mean, deviation: (squares / Double(scores.count)).squareRoot())
        // Also compared, not only measured: the mean of equal scores may differ from them by a rounding error.
        guard deviation > 0, scores.contains(where: { $0 != scores[0] }) else {
            throw .noSpread(branch, scoreCount: scores.count)
        }
    }

    /// Standard deviations of `score` above the mean.
    public func z(of score: Double) -> Double { (score - mean) / deviation }
}

/// Fused scores of good parts by statistics that those parts had no share in.
///
/// z-statistics and threshold come from the same held-out parts. Were a part scored by a mean and deviation that it
/// helped to make, its score would be too small and the threshold too low; so the parts are dealt into folds, and each
/// fold is scored by the statistics of the others (ALGORITHMS §4.4).
///
/// - Parameters:
///   - picturable: s_p of every part.
///   - unpicturable: s_u of every part, in the same order.
///   - rule: What the fused score is made of.
///   - folds: At least 2; part i is in fold `i mod folds`. No more folds are made than there are parts.
/// - Throws: Where the parts outside some fold have no spread, as they never have with fewer than three parts.
public func crossFittedScores(
    picturable: [Double], unpicturable: [Double], rule: FusionRule = .sum, folds: Int = 5
) throws(CalibrationError) -> [Double] {
    precondition(picturable.count == unpicturable.count && folds >= 2, "two branches of the same parts, two folds")
    guard !picturable.isEmpty else { throw .noPictures }
    let folds = min(folds, picturable.count)
    var fused = [Double](repeating: 0, count: picturable.count)
    for fold in 0..<folds {
        let others = picturable.indices.filter { $0 % folds != fold }
        guard !others.isEmpty else { throw .noSpread(.picturable, scoreCount: picturable.count) }
        let first = try ZStatistics(of: others.map { picturable[$0] }, branch: .picturable)
        let second = try ZStatistics(of: others.map { unpicturable[$0] }, branch: .unpicturable)
        for part in picturable.indices where part % folds == fold {
            fused[part] = rule.fuse(
                picturable: first.z(of: picturable[part]), unpicturable: second.z(of: unpicturable[part]))
        }
    }
    return fused
}
