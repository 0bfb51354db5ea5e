import AnomalyScoring

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

/// What the decision at one threshold gets right and wrong.
public struct OperatingPoint: Hashable, Sendable, Codable {
    /// Reject where the score exceeds this.
    public var threshold: Double

    /// Anomalous parts among the rejected; nil where none is rejected. It holds for the test set's mixture of good and
    /// anomalous parts, not for a line's.
    public var precision: ObservedRate?

    /// Anomalous parts that are rejected.
    public var recall: ObservedRate

    /// Harmonic mean of precision and recall, `2·TP/(2·TP + FP + FN)`.
    public var f1: Double

    /// Good parts that are rejected.
    public var falseRejectRate: ObservedRate

    /// Anomalous parts that are accepted.
    public var escapeRate: ObservedRate
    public var escapeRatePerDefect: [String: ObservedRate]

    init(_ scores: ScoresByDefect, at threshold: Double) {
        func rejected(_ scores: [Double]) -> Int { scores.count { $0 > threshold } }
        let anomalousCount = scores.anomalous.values.reduce(0) { $0 + $1.count }
        let caught = scores.anomalous.values.reduce(0) { $0 + rejected($1) }
        let falseRejects = rejected(scores.good)
        self.threshold = threshold
        precision = caught + falseRejects > 0 ? ObservedRate(count: caught, of: caught + falseRejects) : nil
        recall = ObservedRate(count: caught, of: anomalousCount)
        f1 = 2 * Double(caught) / Double(caught + falseRejects + anomalousCount)
        falseRejectRate = ObservedRate(count: falseRejects, of: scores.good.count)
        escapeRate = ObservedRate(count: anomalousCount - caught, of: anomalousCount)
        escapeRatePerDefect = scores.anomalous.mapValues {
            ObservedRate(count: $0.count - rejected($0), of: $0.count)
        }
    }

    /// The threshold with the greatest F1 on these very pictures; of several the one that rejects fewest.
    ///
    /// It is chosen with the answers at hand, so it says what the score could do and not what a line will see.
    static func f1Optimal(of scores: ScoresByDefect) -> OperatingPoint {
        let good = scores.good.map { (score: $0, isAnomalous: false) }
        let anomalous = scores.anomalous.values.joined().map { (score: $0, isAnomalous: true) }
        let pictures = (good + anomalous).sorted { $0.score > $1.score }
        // Nothing is rejected to begin with; TP/(TP + FP + P) is half of F1, compared as fractions without rounding.
        var best = (caught: 0, outOf: 1, threshold: pictures[0].score)
        var (caught, rejected) = (0, 0)
        for (i, picture) in pictures.enumerated() {
            rejected += 1
            if picture.isAnomalous { caught += 1 }
            let next = i + 1 < pictures.count ? pictures[i + 1].score : picture.score.nextDown
            // Pictures of the same score go together.
            guard next < picture.score else { continue }
            let outOf = rejected + anomalous.count
            if caught * best.outOf > best.caught * outOf { best = (caught, outOf, next) }
        }
        return OperatingPoint(scores, at: best.threshold)
    }

    private enum CodingKeys: String, CodingKey {
        case threshold
        case precision
        case recall
        case f1 = "F1"
        case falseRejectRate = "false_reject_rate"
        case escapeRate = "escape_rate"
        case escapeRatePerDefect = "escape_rate_per_defect"
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(threshold, forKey: .threshold)
        try container.encode(precision, forKey: .precision)
        try container.encode(recall, forKey: .recall)
        try container.encode(f1, forKey: .f1)
        try container.encode(falseRejectRate, forKey: .falseRejectRate)
        try container.encode(escapeRate, forKey: .escapeRate)
        try container.encode(escapeRatePerDefect, forKey: .escapeRatePerDefect)
    }
}
