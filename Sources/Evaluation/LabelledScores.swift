/// One value for each of a model's scores.
public struct PerScore<Value> {
    /// s_p, what a heat map can show.
    public var picturable: Value

    /// s_u, what no heat map shows.
    public var unpicturable: Value

    /// What decides: the z-scores, fused as the method does.
    public var fused: Value

    public init(picturable: Value, unpicturable: Value, fused: Value) {
        self.picturable = picturable
        self.unpicturable = unpicturable
        self.fused = fused
    }

    func map<Other, Failure: Error>(
        _ transform: (Value) throws(Failure) -> Other
    ) throws(Failure) -> PerScore<Other> {
        PerScore<Other>(
            picturable: try transform(picturable), unpicturable: try transform(unpicturable),
            fused: try transform(fused))
    }
}

extension PerScore: Equatable where Value: Equatable {}
extension PerScore: Hashable where Value: Hashable {}
extension PerScore: Sendable where Value: Sendable {}
extension PerScore: Encodable where Value: Encodable {}
extension PerScore: Decodable where Value: Decodable {}

/// What a model said about one labelled picture; higher is more anomalous.
public struct LabelledScores: Hashable, Sendable {
    /// The defect's name, or nil for a good part.
    public var defect: String?

    public var scores: PerScore<Double>

    public init(defect: String?, scores: PerScore<Double>) {
        self.defect = defect
        self.scores = scores
    }
}

/// One score of all test pictures, sorted out by what is wrong with them; each list keeps the order of the pictures.
struct ScoresByDefect: Hashable, Sendable {
    var good: [Double]

    /// None of the lists is empty.
    var anomalous: [String: [Double]]

    /// - Throws: Without good or without anomalous pictures, or for a NaN among the scores.
    init(good: [Double], anomalous: [String: [Double]]) throws(EvaluationError) {
        guard !good.isEmpty else { throw .noGoodImages }
        guard !anomalous.isEmpty else { throw .noAnomalousImages }
        guard !good.contains(where: \.isNaN), !anomalous.values.joined().contains(where: \.isNaN) else {
            throw .scoreIsNotANumber
        }
        self.good = good
        self.anomalous = anomalous
    }

    /// - Throws: As above.
    static func all(of pictures: [LabelledScores]) throws(EvaluationError) -> PerScore<ScoresByDefect> {
        func one(_ score: KeyPath<PerScore<Double>, Double>) throws(EvaluationError) -> ScoresByDefect {
            var good: [Double] = []
            var anomalous: [String: [Double]] = [:]
            for picture in pictures {
                let value = picture.scores[keyPath: score]
                if let defect = picture.defect {
                    anomalous[defect, default: []].append(value)
                } else {
                    good.append(value)
                }
            }
            return try ScoresByDefect(good: good, anomalous: anomalous)
        }
        return PerScore(
            picturable: try one(\.picturable), unpicturable: try one(\.unpicturable), fused: try one(\.fused))
    }
}
