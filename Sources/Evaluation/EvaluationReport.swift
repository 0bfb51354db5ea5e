import AnomalyScoring

/// What a model said about one labelled picture.
public struct LabelledScores: Hashable, Sendable {
    /// The defect's name, or nil for a good part.
    public var defect: String?

    /// s_p, s_u and the sum of their z-scores; higher is more anomalous.
    public var picturable: Double
    public var unpicturable: Double
    public var fused: Double

    public init(defect: String?, picturable: Double, unpicturable: Double, fused: Double) {
        self.defect = defect
        self.picturable = picturable
        self.unpicturable = unpicturable
        self.fused = fused
    }
}

/// How well one kind of score tells anomalous pictures from good ones.
public struct ImageAUROC: Hashable, Sendable, Codable {
    /// All anomalous pictures against the good ones, in one.
    public var pooled: Double

    /// Mean of logical and structural anomalies, each against the good pictures: what MVTec LOCO AD's own evaluation
    /// reports. Nil where the data set does not have both.
    public var meanOfTwo: Double?

    /// Each defect against the good pictures.
    public var perDefect: [String: Double]

    enum CodingKeys: String, CodingKey {
        case pooled
        case meanOfTwo = "mean_of_two"
        case perDefect = "per_defect"
    }

    init(_ scores: [LabelledScores], of score: KeyPath<LabelledScores, Double>) throws(EvaluationError) {
        let good = scores.filter { $0.defect == nil }.map { $0[keyPath: score] }
        let anomalous = scores.filter { $0.defect != nil }
        pooled = try areaUnderROC(good: good, anomalous: anomalous.map { $0[keyPath: score] })
        perDefect = [:]
        for defect in Set(anomalous.compactMap(\.defect)) {
            let scores = anomalous.filter { $0.defect == defect }.map { $0[keyPath: score] }
            perDefect[defect] = try areaUnderROC(good: good, anomalous: scores)
        }
        if let logical = perDefect["logical_anomalies"], let structural = perDefect["structural_anomalies"] {
            meanOfTwo = (logical + structural) / 2
        }
    }
}

/// How often something happened, with what so many trials allow to say about how often it happens.
public struct ObservedRate: Hashable, Sendable, Codable {
    public var count: Int

    /// n, how often it could have happened.
    public var trials: Int
    public var rate: Double

    /// Two-sided 95 % interval of Clopper and Pearson: exact, and never too narrow.
    public var lower: Double
    public var upper: Double

    /// - Precondition: `0 ≤ count ≤ trials` and at least one trial.
    init(count: Int, of trials: Int) {
        self.count = count
        self.trials = trials
        rate = Double(count) / Double(trials)
        let interval = ClopperPearson.interval(count: count, trials: trials, confidence: 0.95)
        lower = interval.lowerBound
        upper = interval.upperBound
    }
}

/// What the decision at one threshold gets wrong.
public struct DecisionErrors: Hashable, Sendable, Codable {
    /// Reject where the fused score exceeds this.
    public var threshold: Double

    /// Good parts that are rejected.
    public var falseRejectRate: ObservedRate

    /// Anomalous parts that are accepted.
    public var escapeRate: ObservedRate
    public var escapeRatePerDefect: [String: ObservedRate]

    enum CodingKeys: String, CodingKey {
        case threshold
        case falseRejectRate = "false_reject_rate"
        case escapeRate = "escape_rate"
        case escapeRatePerDefect = "escape_rate_per_defect"
    }

    init(_ scores: [LabelledScores], at threshold: Double) throws(EvaluationError) {
        let good = scores.filter { $0.defect == nil }
        let anomalous = scores.filter { $0.defect != nil }
        guard !good.isEmpty else { throw .noGoodImages }
        guard !anomalous.isEmpty else { throw .noAnomalousImages }
        func escapes(_ scores: [LabelledScores]) -> ObservedRate {
            ObservedRate(count: scores.count { !($0.fused > threshold) }, of: scores.count)
        }
        self.threshold = threshold
        falseRejectRate = ObservedRate(count: good.count { $0.fused > threshold }, of: good.count)
        escapeRate = escapes(anomalous)
        escapeRatePerDefect = Dictionary(grouping: anomalous) { $0.defect ?? "" }.mapValues(escapes)
    }
}

/// How well a model works on labelled pictures.
public struct EvaluationReport: Hashable, Sendable, Codable {
    public var goodCount: Int

    /// Anomalous pictures by defect.
    public var defectCounts: [String: Int]
    public var picturable: ImageAUROC
    public var unpicturable: ImageAUROC
    public var fused: ImageAUROC
    public var decision: DecisionErrors

    /// - Parameter threshold: Of the fused score.
    /// - Throws: Without good or without anomalous pictures, or for a NaN among the scores.
    public init(of scores: [LabelledScores], threshold: Double) throws(EvaluationError) {
        goodCount = scores.count { $0.defect == nil }
        defectCounts = Dictionary(scores.compactMap(\.defect).map { ($0, 1) }, uniquingKeysWith: +)
        picturable = try ImageAUROC(scores, of: \.picturable)
        unpicturable = try ImageAUROC(scores, of: \.unpicturable)
        fused = try ImageAUROC(scores, of: \.fused)
        decision = try DecisionErrors(scores, at: threshold)
    }

    // In JSON, the three AUROCs stand together under the name that papers use.

    private enum CodingKeys: String, CodingKey {
        case goodCount = "good"
        case defectCounts = "defects"
        case imageAUROC = "image_AUROC"
        case decision
    }

    private enum ScoreKeys: String, CodingKey {
        case picturable, unpicturable, fused
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        goodCount = try container.decode(Int.self, forKey: .goodCount)
        defectCounts = try container.decode([String: Int].self, forKey: .defectCounts)
        decision = try container.decode(DecisionErrors.self, forKey: .decision)
        let scores = try container.nestedContainer(keyedBy: ScoreKeys.self, forKey: .imageAUROC)
        picturable = try scores.decode(ImageAUROC.self, forKey: .picturable)
        unpicturable = try scores.decode(ImageAUROC.self, forKey: .unpicturable)
        fused = try scores.decode(ImageAUROC.self, forKey: .fused)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(goodCount, forKey: .goodCount)
        try container.encode(defectCounts, forKey: .defectCounts)
        try container.encode(decision, forKey: .decision)
        var scores = container.nestedContainer(keyedBy: ScoreKeys.self, forKey: .imageAUROC)
        try scores.encode(picturable, forKey: .picturable)
        try scores.encode(unpicturable, forKey: .unpicturable)
        try scores.encode(fused, forKey: .fused)
    }
}
