import ConvNets

/// A figure with the interval that the number of pictures allows.
public struct IntervalEstimate: Hashable, Sendable, Codable {
    public var value: Double
    public var lower: Double
    public var upper: Double

    public init(value: Double, lower: Double, upper: Double) {
        self.value = value
        self.lower = lower
        self.upper = upper
    }
}

/// Percentile intervals of the AUROC by the stratified bootstrap (Efron & Tibshirani 1993, chapter 13).
///
/// Each resample draws the good pictures anew from the good ones and each defect's from that defect's, with replacement,
/// so the counts stay as they are. The same seed and counts draw the same pictures for every score and every model, so
/// their resamples are paired. Where every anomalous picture scores above every good one, every resample says so as well:
/// an interval from 1 to 1 means that the pictures are too easy or too few to tell.
public struct StratifiedBootstrap: Hashable, Sendable, Codable {
    /// How often the pictures are drawn; 2,000 leave an error of about 0.3 percentage points in the tails' probability.
    public var resamples = 2000
    public var seed: UInt64 = 1

    /// The probability that the interval leaves half outside on either side.
    public var confidence = 0.95

    public init() {}

    /// The AUROC of one kind of defect (ALGORITHMS §5.2).
    ///
    /// - Throws: As `areaUnderROC(good:anomalous:)` does.
    public func areaUnderROC(good: [Double], anomalous: [Double]) throws(EvaluationError) -> IntervalEstimate {
        guard !anomalous.isEmpty else { throw .noAnomalousImages }
        let scores = try ScoresByDefect(good: good, anomalous: ["": anomalous])
        return imageAUROC(of: scores).perDefect[""] ?? { preconditionFailure("a defect without a figure") }()
    }

    /// Pooled, mean of two and per defect, all from the same resamples.
    func imageAUROC(of scores: ScoresByDefect) -> DefectBreakdown<IntervalEstimate> {
        precondition(resamples >= 1 && confidence > 0 && confidence < 1, "no interval without resamples")
        let ranks = PairRanks(scores)
        let point = ranks.breakdown(goodWeights: ranks.onceEachGood, anomalousWeights: ranks.onceEachAnomalous)
        var stream = RandomStream(seed: seed, stream: .split)
        let resampled = (0..<resamples).map { _ in
            let good = Self.draw(scores.good.count, from: &stream)
            let anomalous = ranks.kinds.map { Self.draw($0.pairs.count, from: &stream) }
            return ranks.breakdown(goodWeights: good, anomalousWeights: anomalous)
        }
        func estimate(_ value: Double, _ resampled: [Double]) -> IntervalEstimate {
            let sorted = resampled.sorted()
            let tail = (1 - confidence) / 2
            return IntervalEstimate(
                value: value, lower: Self.quantile(tail, ofSorted: sorted),
                upper: Self.quantile(1 - tail, ofSorted: sorted))
        }
        return DefectBreakdown(
            pooled: point.pooled.map { estimate($0, resampled.compactMap(\.pooled)) },
            meanOfTwo: point.meanOfTwo.map { estimate($0, resampled.compactMap(\.meanOfTwo)) },
            perDefect: Dictionary(
                uniqueKeysWithValues: point.perDefect.map { kind, value in
                    (kind, estimate(value, resampled.compactMap { $0.perDefect[kind] }))
                }))
    }

    /// How often each of `count` pictures was drawn in `count` draws.
    private static func draw(_ count: Int, from stream: inout RandomStream) -> [Int] {
        var weights = [Int](repeating: 0, count: count)
        for _ in 0..<count { weights[stream.index(below: count)] += 1 }
        return weights
    }

    /// With linear interpolation at rank `q·(n − 1)`, as everywhere here.
    private static func quantile(_ q: Double, ofSorted values: [Double]) -> Double {
        let rank = q * Double(values.count - 1)
        let below = Int(rank)
        let above = min(below + 1, values.count - 1)
        return values[below] + (rank - Double(below)) * (values[above] - values[below])
    }
}

/// Where each anomalous score lies among the good ones: all that the AUROC of any resample needs.
private struct PairRanks {
    /// One kind of defect.
    struct Kind {
        let name: String

        /// Per picture: how many good scores are below, and how many are not above.
        let pairs: [(below: Int, notAbove: Int)]
    }

    /// By name, so that the draws do not depend on a dictionary's order.
    let kinds: [Kind]

    /// The place of each good picture among the sorted good scores.
    private let places: [Int]

    init(_ scores: ScoresByDefect) {
        let order = scores.good.indices.sorted { scores.good[$0] < scores.good[$1] }
        let sorted = order.map { scores.good[$0] }
        var places = [Int](repeating: 0, count: order.count)
        for (place, picture) in order.enumerated() { places[picture] = place }
        self.places = places
        kinds = scores.anomalous.sorted { $0.key < $1.key }.map { name, anomalous in
            Kind(
                name: name,
                pairs: anomalous.map { score in
                    (sorted.count { $0 < score }, sorted.count { $0 <= score })
                })
        }
    }

    var onceEachGood: [Int] { places.map { _ in 1 } }

    var onceEachAnomalous: [[Int]] { kinds.map { $0.pairs.map { _ in 1 } } }

    /// The AUROCs of the pictures, each taken as often as its weight says.
    func breakdown(goodWeights: [Int], anomalousWeights: [[Int]]) -> DefectBreakdown<Double> {
        // How many good pictures there are up to each place.
        var upTo = [Int](repeating: 0, count: places.count + 1)
        for (picture, place) in places.enumerated() { upTo[place + 1] = goodWeights[picture] }
        for i in 0..<places.count { upTo[i + 1] += upTo[i] }
        let goodCount = upTo[places.count]

        var perDefect: [String: Double] = [:]
        var (allHalfPairs, allCount) = (0, 0)
        for (kind, weights) in zip(kinds, anomalousWeights) {
            var (halfPairs, count) = (0, 0)
            for (pair, weight) in zip(kind.pairs, weights) {
                halfPairs += weight * (upTo[pair.below] + upTo[pair.notAbove])
                count += weight
            }
            perDefect[kind.name] = Double(halfPairs) / Double(2 * goodCount * count)
            allHalfPairs += halfPairs
            allCount += count
        }
        return DefectBreakdown(
            pooled: Double(allHalfPairs) / Double(2 * goodCount * allCount),
            meanOfTwo: LogicalAndStructural(perDefect).map { ($0.logical + $0.structural) / 2 }, perDefect: perDefect)
    }
}
