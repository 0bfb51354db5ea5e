/// A figure for all defects together, for the two kinds of anomaly of MVTec LOCO AD, and for each defect.
///
/// In JSON `pooled` and `mean_of_two` are null where they do not exist.
public struct DefectBreakdown<Value: Hashable & Sendable & Codable>: Hashable, Sendable, Codable {
    /// All anomalous pictures against the good ones, in one; nil for a measure that nobody pools.
    public var pooled: Value?

    /// Mean of logical and structural anomalies, each against the good pictures: what MVTec LOCO AD's own evaluation
    /// reports (ALGORITHMS §5.2, D24). Nil where the data set does not have both.
    public var meanOfTwo: Value?

    /// Each defect against the good pictures.
    public var perDefect: [String: Value]

    public init(pooled: Value?, meanOfTwo: Value? = nil, perDefect: [String: Value]) {
        self.pooled = pooled
        self.meanOfTwo = meanOfTwo
        self.perDefect = perDefect
    }

    private enum CodingKeys: String, CodingKey {
        case pooled
        case meanOfTwo = "mean_of_two"
        case perDefect = "per_defect"
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(pooled, forKey: .pooled)
        try container.encode(meanOfTwo, forKey: .meanOfTwo)
        try container.encode(perDefect, forKey: .perDefect)
    }
}

/// The two kinds of anomaly of MVTec LOCO AD, by the names of their folders.
struct LogicalAndStructural<Value> {
    var logical: Value
    var structural: Value

    /// Nil unless both are there.
    init?(_ perDefect: [String: Value]) {
        guard let logical = perDefect["logical_anomalies"], let structural = perDefect["structural_anomalies"] else {
            return nil
        }
        self.logical = logical
        self.structural = structural
    }
}
