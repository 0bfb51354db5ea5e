/// AUROC = P(s_anomalous > s_good) + ½·P(s_anomalous = s_good): Mann–Whitney, ties counted half (ALGORITHMS §5.2).
///
/// Equal to scikit-learn's `roc_auc_score`. Sorting makes it O(n log n); the pairs are counted in integers, so the result
/// does not depend on the order of the scores.
///
/// - Returns: 0…1; 0.5 is guessing.
/// - Throws: Without a score on either side, or for a score that is NaN; infinities compare as they should.
public func areaUnderROC(good: [Double], anomalous: [Double]) throws(EvaluationError) -> Double {
    guard !good.isEmpty else { throw .noGoodImages }
    guard !anomalous.isEmpty else { throw .noAnomalousImages }
    guard !good.contains(where: \.isNaN), !anomalous.contains(where: \.isNaN) else { throw .scoreIsNotANumber }
    let good = good.sorted()
    let anomalous = anomalous.sorted()

    // Both indices only move forward: `below` is the first good score that is not less, `above` the first that is greater.
    var below = 0
    var above = 0
    var halfPairs = 0
    for score in anomalous {
        while below < good.count, good[below] < score { below += 1 }
        while above < good.count, good[above] <= score { above += 1 }
        halfPairs += below + above
    }
    return Double(halfPairs) / Double(2 * good.count * anomalous.count)
}
