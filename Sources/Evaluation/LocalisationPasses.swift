/// How the overlap of anomaly maps with defects is measured, which the data set decides.
public enum OverlapMeasure: Hashable, Sendable {
    /// AUPRO of MVTec AD (ALGORITHMS §5.4): 8-connected regions, each found as a whole; false-positive rates up to 0.3.
    case perRegion

    /// AU-sPRO of MVTec LOCO AD (ALGORITHMS §5.5): annotated defects, found once saturated; false-positive rates up to
    /// 0.05.
    case saturated

    /// The false-positive rate at which the area is cut off.
    public var limit: Double {
        switch self {
        case .perRegion: 0.3
        case .saturated: 0.05
        }
    }
}

/// The first of two passes over the anomaly maps of a test set: it keeps the scores inside the defects.
///
/// Maps come one by one and are not kept; the second pass asks for them again. Every picture of a kind is compared with
/// the good ones, and all of them together, so a defect pixel is held twice: 32 bytes in the second pass, half a gigabyte
/// where 16 million pixels (2 % of 400 pictures of 1600×1280) are defective.
public struct DefectPixelPass: Sendable {
    fileprivate let measure: OverlapMeasure
    fileprivate var all = DefectPixels()
    fileprivate var perDefect: [String: DefectPixels] = [:]

    /// - Parameter truths: What will come, by kind of defect, so that memory is taken once.
    public init(measure: OverlapMeasure, expecting truths: [String: [GroundTruth]]) {
        self.measure = measure
        var whole = 0
        for (kind, truths) in truths {
            let area = truths.reduce(0) { $0 + $1.defectArea }
            perDefect[kind, default: DefectPixels()].reserve(area)
            whole += area
        }
        all.reserve(whole)
    }

    /// Takes the map of a defective picture.
    ///
    /// - Parameters:
    ///   - map: `[height, width]`, of any scale; higher is more anomalous.
    ///   - kind: The defect's name.
    /// - Throws: `mapIsNotANumber` for a NaN.
    /// - Precondition: Map and ground truth have the same size.
    public mutating func add(_ map: Span<Float>, _ truth: GroundTruth, kind: String) throws(EvaluationError) {
        try check(map, truth)
        all.add(map, truth)
        perDefect[kind, default: DefectPixels()].add(map, truth)
    }
}

/// The second pass: it counts the defect-free pixels of the same maps, and of the good ones, in any order.
public struct DefectFreePixelPass: Sendable {
    private let measure: OverlapMeasure
    private var all: PixelSweep
    private var perDefect: [String: PixelSweep]

    /// Sorts what the first pass has kept, which takes a second for ten million pixels.
    ///
    /// - Parameter first: Given away (`consume`), so that its memory is used and not copied.
    /// - Throws: `noAnomalousImages` where it has kept nothing.
    public init(after first: consuming DefectPixelPass) throws(EvaluationError) {
        guard !first.all.words.isEmpty else { throw .noAnomalousImages }
        measure = first.measure
        // In place, one after the other: a copy would be as large again.
        first.all.sort()
        for kind in first.perDefect.keys { first.perDefect[kind]?.sort() }
        all = PixelSweep(over: first.all)
        perDefect = first.perDefect.mapValues { PixelSweep(over: $0) }
    }

    /// Takes the map of a picture; a good one is compared with every kind of defect.
    ///
    /// - Parameter kind: The defect's name; nil for a good part.
    /// - Throws: `mapIsNotANumber` for a NaN, `tooManyPixels` beyond 4 billion.
    /// - Precondition: Map and ground truth have the same size.
    public mutating func add(_ map: Span<Float>, _ truth: GroundTruth, kind: String?) throws(EvaluationError) {
        try check(map, truth)
        let scores = truth.sortedDefectFreeScores(in: map)
        try all.count(scores)
        for other in perDefect.keys where kind == nil || other == kind { try perDefect[other]?.count(scores) }
    }

    /// - Throws: `noDefectFreePixels` where the masks cover every pixel that there is.
    public func metrics() throws(EvaluationError) -> LocalisationMetrics {
        guard all.defectFreeCount > 0, perDefect.values.allSatisfy({ $0.defectFreeCount > 0 }) else {
            throw .noDefectFreePixels
        }
        let overlap = perDefect.mapValues { $0.areaUnderOverlap(upTo: measure.limit) }
        return LocalisationMetrics(
            pixelAUROC: DefectBreakdown(
                pooled: all.areaUnderROC(), perDefect: perDefect.mapValues { $0.areaUnderROC() }),
            regionOverlap: measure == .perRegion
                ? DefectBreakdown(pooled: all.areaUnderOverlap(upTo: measure.limit), perDefect: overlap) : nil,
            saturatedOverlap: measure == .saturated
                ? DefectBreakdown(
                    pooled: nil, meanOfTwo: LogicalAndStructural(overlap).map { ($0.logical + $0.structural) / 2 },
                    perDefect: overlap) : nil)
    }
}

extension GroundTruth {
    /// The `orderedBits` of all pixels outside the defects.
    func sortedDefectFreeScores(in map: Span<Float>) -> [UInt32] {
        var isDefective = [Bool](repeating: false, count: defects.isEmpty ? 0 : map.count)
        for defect in defects { defect.region.paint(into: &isDefective, width: width) }
        var scores: [UInt32] = []
        scores.reserveCapacity(map.count)
        for i in 0..<map.count where isDefective.isEmpty || !isDefective[i] { scores.append(map[i].orderedBits) }
        radixSort(&scores, byBits: 0..<32)
        return scores
    }
}

private func check(_ map: Span<Float>, _ truth: GroundTruth) throws(EvaluationError) {
    precondition(map.count == truth.width * truth.height, "the map is not of the ground truth's size")
    for i in 0..<map.count where map[i].isNaN { throw .mapIsNotANumber }
}
