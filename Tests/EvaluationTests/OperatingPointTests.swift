import Foundation
import Testing

@testable import Evaluation

@Suite struct OperatingPointTests {
    /// ALGORITHMS §9.10.
    private let scores = Result {
        try ScoresByDefect(
            good: [0.1, 0.2, 0.3, 0.5],
            anomalous: ["logical_anomalies": [0.25, 0.4, 0.6], "structural_anomalies": [0.7, 0.9]])
    }

    @Test func countsWhatAThresholdGetsRightAndWrong() throws {
        let point = OperatingPoint(try scores.get(), at: 0.45)
        #expect((point.falseRejectRate.count, point.falseRejectRate.trials, point.falseRejectRate.rate) == (1, 4, 0.25))
        #expect((point.escapeRate.count, point.escapeRate.trials, point.escapeRate.rate) == (2, 5, 0.4))
        #expect(point.escapeRatePerDefect["logical_anomalies"]?.count == 2)
        #expect(point.escapeRatePerDefect["structural_anomalies"]?.count == 0)
        #expect((point.recall.count, point.recall.trials) == (3, 5))
        #expect(point.precision == ObservedRate(count: 3, of: 4))
        #expect(abs(point.f1 - 2 * 0.75 * 0.6 / (0.75 + 0.6)) < 1e-15)
    }

    @Test func aScoreOnTheThresholdIsAccepted() throws {
        #expect(OperatingPoint(try scores.get(), at: 0.5).falseRejectRate.count == 0)
        #expect(OperatingPoint(try scores.get(), at: 0.9).escapeRate.count == 5)
    }

    @Test func withoutRejectsThereIsNoPrecision() throws {
        let point = OperatingPoint(try scores.get(), at: 1)
        #expect(point.precision == nil)
        #expect(point.f1 == 0 && point.recall.count == 0)
    }

    @Test func theGreatestF1IsFound() throws {
        // Rejecting above 0.3: 4 of 5 caught, 1 of 4 falsely; above 0.2 all are caught with 2 false rejects: 10/12.
        let point = OperatingPoint.f1Optimal(of: try scores.get())
        #expect(point.threshold == 0.2)
        #expect(point.f1 == 10.0 / 12)
    }

    @Test func noThresholdIsBetterForRandomScores() throws {
        var generator = CongruentialGenerator(seed: 4)
        for round in 0..<300 {
            let levels = 1 + generator.below(12)
            func draw() -> [Double] { (0..<1 + generator.below(9)).map { _ in Double(generator.below(levels)) } }
            let scores = try ScoresByDefect(good: draw(), anomalous: ["a": draw(), "b": draw()])
            let best = OperatingPoint.f1Optimal(of: scores)
            for threshold in stride(from: -1.5, to: Double(levels), by: 0.5) {
                let other = OperatingPoint(scores, at: threshold)
                let rejectsFewer = { (p: OperatingPoint) in p.falseRejectRate.count + p.recall.count }
                #expect(other.f1 <= best.f1, "round \(round), \(scores) at \(threshold)")
                #expect(
                    other.f1 < best.f1 || rejectsFewer(other) >= rejectsFewer(best),
                    "round \(round), \(scores) at \(threshold)")
            }
        }
    }

    @Test func theBestCanBeToRejectEverything() throws {
        let scores = try ScoresByDefect(good: [3], anomalous: ["a": [3, 3, 2]])
        let point = OperatingPoint.f1Optimal(of: scores)
        #expect(point.threshold == (2.0).nextDown)
        #expect(point.recall.rate == 1 && point.falseRejectRate.rate == 1)
    }

    @Test func intervalsAreThoseOfClopperAndPearson() {
        // Closed forms: none of n gives 1 − (α/2)^(1/n) above, n of n the mirror image.
        let none = ObservedRate(count: 0, of: 20)
        #expect(none.lower == 0)
        #expect(abs(none.upper - (1 - pow(0.025, 1 / 20))) < 1e-12)
        let all = ObservedRate(count: 20, of: 20)
        #expect(abs(all.lower - pow(0.025, 1 / 20)) < 1e-12)
        #expect(all.upper == 1)
        // By bisection over exact binomial sums, in Python's fractions.
        let some = ObservedRate(count: 3, of: 63)
        #expect(abs(some.lower - 0.0099299512) < 1e-9 && abs(some.upper - 0.1329184007) < 1e-9, "\(some)")
    }
}
