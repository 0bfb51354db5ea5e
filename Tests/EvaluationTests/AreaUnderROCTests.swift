import Testing

@testable import Evaluation

@Suite struct AreaUnderROCTests {
    @Test func tiesCountHalf() throws {
        // ALGORITHMS §9.10.
        #expect(try areaUnderROC(good: [0.1, 0.4, 0.4], anomalous: [0.4, 0.8, 0.9, 0.35]) == 0.75)
        #expect(try areaUnderROC(good: [0.4], anomalous: [0.4]) == 0.5)
    }

    @Test func perfectAndPerverseSeparation() throws {
        #expect(try areaUnderROC(good: [1, 2], anomalous: [3, 4, .infinity]) == 1)
        #expect(try areaUnderROC(good: [1, 2], anomalous: [-.infinity, 0]) == 0)
    }

    @Test func isTheShareOfPairsInOrderForRandomTies() throws {
        var generator = Xorshift(seed: 11)
        for round in 0..<200 {
            let levels = Int.random(in: 1...12, using: &generator)
            func scores() -> [Double] {
                (0..<Int.random(in: 1...40, using: &generator)).map { _ in
                    Double(Int.random(in: 0...levels, using: &generator)) / 4
                }
            }
            let good = scores()
            let anomalous = scores()
            var pairs = 0.0
            for a in anomalous { for g in good { pairs += a > g ? 1 : a == g ? 0.5 : 0 } }
            #expect(
                try areaUnderROC(good: good, anomalous: anomalous) == pairs / Double(good.count * anomalous.count),
                "round \(round): \(good) against \(anomalous)")
        }
    }

    @Test func saysWhatIsMissing() {
        #expect(throws: EvaluationError.noGoodImages) { try areaUnderROC(good: [], anomalous: [1]) }
        #expect(throws: EvaluationError.noAnomalousImages) { try areaUnderROC(good: [1], anomalous: []) }
        #expect(throws: EvaluationError.scoreIsNotANumber) { try areaUnderROC(good: [1, .nan], anomalous: [1]) }
        #expect(throws: EvaluationError.scoreIsNotANumber) { try areaUnderROC(good: [1], anomalous: [.nan]) }
    }
}

/// A generator with a fixed seed: Marsaglia's 64-bit xorshift.
private struct Xorshift: RandomNumberGenerator {
    var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state
    }
}
