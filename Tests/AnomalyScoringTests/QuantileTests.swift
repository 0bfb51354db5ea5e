import AnomalyScoring
import Testing

@Suite struct QuantileTests {
    /// ALGORITHMS §9.5.
    @Test(arguments: [(0.5, 5), (0.9, 8.2), (0.995, 8.96), (0.999, 8.992), (0, 1), (1, 9)])
    func interpolatesBetweenRanks(q: Double, expected: Double) {
        #expect(abs(quantile(q, of: [7, 1, 3, 9, 5]) - expected) < 1e-12)
    }

    @Test func selectionAgreesWithSorting() {
        var generator = LinearCongruential(seed: 21)
        for count in [1, 2, 3, 10, 101, 4000] {
            // Few levels make many ties, which partitioning has to survive.
            for levels: Float in [1, 2, 7, 1e6] {
                var values = (0..<count).map { _ in (generator.uniform() * levels).rounded(.down) - 3 }
                for order in 0..<3 {
                    if order == 1 { values.sort() }
                    if order == 2 { values.sort(by: >) }
                    for q in [0, 0.1, 0.5, 0.9, 0.995, 1] {
                        let found = quantile(q, of: values)
                        #expect(found == bySorting(q, values), "\(q) of \(count) in \(levels) levels, order \(order)")
                    }
                }
            }
        }
    }

    private func bySorting(_ q: Double, _ values: [Float]) -> Double {
        let sorted = values.sorted().map { Double($0) }
        let rank = q * Double(sorted.count - 1)
        let (below, above) = (sorted[Int(rank)], sorted[min(Int(rank) + 1, sorted.count - 1)])
        return below + (rank - rank.rounded(.down)) * (above - below)
    }
}
