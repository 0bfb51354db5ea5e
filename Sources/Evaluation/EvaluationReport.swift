import AnomalyScoring

/// How well a model works on labelled pictures.
///
/// As JSON, where `…` stands for the same again and what does not exist is null:
/// ```
/// good                           how many good test pictures
/// defects.<defect>               how many of each defect
/// image_AUROC                    picturable, unpicturable, fused:
///   .<score>.pooled              all anomalous pictures against the good ones: value, lower, upper
///   .<score>.mean_of_two         logical and structural, each against the good ones; null unless both exist: …
///   .<score>.per_defect.<defect> …
/// bootstrap                      of those intervals: resamples, seed, confidence
/// pixel_AUROC                    pooled, mean_of_two (null), per_defect; null without masks
/// AUPRO@0.3                      pooled, mean_of_two (null), per_defect; null without masks and in MVTec LOCO AD layout
/// sPRO@0.05                      pooled (null), mean_of_two, per_defect; null without masks and in MVTec AD layout
/// conformal                      picturable and unpicturable (both null without 'validation/good'), fused:
///   .<score>.false_reject_budget the share of good parts that may be rejected
///   .<score>.calibration_parts   how many good parts promise it
///   .<score>.point               threshold, F1, and count, trials, rate, lower, upper (95 %, Clopper–Pearson) of:
///                                precision (null where nothing is rejected), recall, false_reject_rate, escape_rate,
///                                escape_rate_per_defect.<defect>
/// f1_optimal                     picturable, unpicturable, fused: a point, chosen on these very pictures
/// ```
public struct EvaluationReport: Hashable, Sendable, Codable {
    public var goodCount: Int

    /// Anomalous pictures by defect.
    public var defectCounts: [String: Int]
    public var imageAUROC: PerScore<DefectBreakdown<IntervalEstimate>>
    public var bootstrap: StratifiedBootstrap

    /// Of the picturable score's maps; nil where the data set has no masks.
    public var localisation: LocalisationMetrics?
    public var conformal: ConformalPoints
    public var f1Optimal: PerScore<OperatingPoint>

    /// - Parameters:
    ///   - threshold: The model's own, of the fused score.
    ///   - calibration: Scores of good parts that the data set sets aside; empty where it does not.
    ///   - localisation: Of the same pictures; nil where the data set has no masks.
    /// - Throws: Without good or without anomalous pictures, or for a NaN among the scores.
    public init(
        of pictures: [LabelledScores], threshold: DecisionThreshold, calibration: [PerScore<Double>] = [],
        localisation: LocalisationMetrics? = nil, bootstrap: StratifiedBootstrap = StratifiedBootstrap()
    ) throws(EvaluationError) {
        let scores = try ScoresByDefect.all(of: pictures)
        goodCount = scores.fused.good.count
        defectCounts = scores.fused.anomalous.mapValues(\.count)
        imageAUROC = scores.map { bootstrap.imageAUROC(of: $0) }
        self.bootstrap = bootstrap
        self.localisation = localisation
        conformal = try ConformalPoints(scores, threshold: threshold, calibration: calibration)
        f1Optimal = scores.map { OperatingPoint.f1Optimal(of: $0) }
    }

    private enum CodingKeys: String, CodingKey {
        case goodCount = "good"
        case defectCounts = "defects"
        case imageAUROC = "image_AUROC"
        case bootstrap
        case conformal
        case f1Optimal = "f1_optimal"
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        goodCount = try container.decode(Int.self, forKey: .goodCount)
        defectCounts = try container.decode([String: Int].self, forKey: .defectCounts)
        imageAUROC = try container.decode(
            PerScore<DefectBreakdown<IntervalEstimate>>.self, forKey: .imageAUROC)
        bootstrap = try container.decode(StratifiedBootstrap.self, forKey: .bootstrap)
        conformal = try container.decode(ConformalPoints.self, forKey: .conformal)
        f1Optimal = try container.decode(PerScore<OperatingPoint>.self, forKey: .f1Optimal)
        localisation = try LocalisationMetrics.ifPresent(in: decoder)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(goodCount, forKey: .goodCount)
        try container.encode(defectCounts, forKey: .defectCounts)
        try container.encode(imageAUROC, forKey: .imageAUROC)
        try container.encode(bootstrap, forKey: .bootstrap)
        try container.encode(conformal, forKey: .conformal)
        try container.encode(f1Optimal, forKey: .f1Optimal)
        try LocalisationMetrics.encode(localisation, to: encoder)
    }
}
