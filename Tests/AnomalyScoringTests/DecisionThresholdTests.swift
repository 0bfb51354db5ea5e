import Foundation
import Testing

@testable import AnomalyScoring

@Suite struct DecisionThresholdTests {
    /// ALGORITHMS §9.11, and a product that is 941 but comes out a rounding error above it.
    @Test(arguments: [
        (60, 0.05, 58), (60, 0.02, 60), (60, 0.01, 61), (99, 0.01, 99), (54, 0.05, 53), (999, 0.059, 941),
    ])
    func rankOfTheThreshold(count: Int, budget: Double, rank: Int) {
        #expect(DecisionThreshold.conformalRank(of: count, falseRejectBudget: budget) == rank)
    }

    @Test func theThresholdIsTheRankedScore() throws {
        let scores = (1...60).map { Double(($0 * 37) % 61) }
        let threshold = try DecisionThreshold.conformal(scores: scores, falseRejectBudget: 0.05)
        #expect(threshold == DecisionThreshold(value: 58, calibrationCount: 60, falseRejectBudget: 0.05))
    }

    @Test func aBudgetBeyondTheCalibrationSetIsRefusedWithTheReachableOne() {
        let error = CalibrationError.budgetTooSmall(0.01, scoreCount: 60)
        #expect(throws: error) {
            try DecisionThreshold.conformal(scores: (1...60).map { Double($0) }, falseRejectBudget: 0.01)
        }
        #expect(String(describing: error).contains("0.01639"))
    }

    @Test func theDefaultBudgetIsOnePercentOrTheSmallestReachable() throws {
        for count in 1...300 {
            let budget = DecisionThreshold.defaultBudget(calibrationCount: count)
            #expect(budget == (count >= 99 ? 0.01 : 1 / Double(count + 1)))
            let rank = DecisionThreshold.conformalRank(of: count, falseRejectBudget: budget)
            #expect(rank <= count && (count > 99 || rank == count), "rank \(rank) of \(count)")
        }
    }

    /// Of n + 1 exchangeable parts any may be the one that is judged by the others: at most α·(n + 1) are rejected.
    @Test func keepsItsPromiseForEveryPartThatMayBeTheNext() throws {
        for (count, budget) in [(9, 0.1), (19, 0.1), (60, 0.05), (60, 1.0 / 61), (99, 0.01), (120, 0.07)] {
            let parts = (0...count).map { Double(($0 * 7919) % 104_729) }
            var rejected = 0
            for next in parts.indices {
                let others = parts.indices.filter { $0 != next }.map { parts[$0] }
                let threshold = try DecisionThreshold.conformal(scores: others, falseRejectBudget: budget)
                if parts[next] > threshold.value { rejected += 1 }
            }
            let allowed = Int((budget * Double(count + 1) + 1e-9).rounded(.down))
            #expect(rejected == allowed, "\(rejected) of \(count + 1) at \(budget)")
        }
    }

    @Test func scoresThatAreNotFiniteAreRefused() {
        #expect(throws: CalibrationError.notFinite("a fused score")) {
            try DecisionThreshold.conformal(scores: [1, .nan, 2], falseRejectBudget: 0.4)
        }
        #expect(throws: CalibrationError.noPictures) {
            try DecisionThreshold.conformal(scores: [], falseRejectBudget: 0.4)
        }
    }
}

@Suite struct ClopperPearsonTests {
    /// ALGORITHMS §9.11.
    @Test(arguments: [(0, 60, 0.0487029133), (1, 60, 0.0766399949), (3, 60, 0.1241872105), (0, 304, 0.0098059872)])
    func upperBound(count: Int, trials: Int, expected: Double) {
        #expect(abs(ClopperPearson.upperBound(count: count, trials: trials) - expected) < 1e-9)
    }

    @Test func withoutEventsTheBoundIsARoot() {
        for trials in [1, 7, 1000, 100_000] {
            let expected = -expm1(log(0.05) / Double(trials))
            #expect(abs(ClopperPearson.upperBound(count: 0, trials: trials) / expected - 1) < 1e-9, "\(trials)")
        }
    }

    @Test func boundsMirrorEachOther() {
        for (count, trials) in [(0, 5), (2, 5), (5, 5), (17, 90)] {
            let upper = ClopperPearson.upperBound(count: count, trials: trials)
            #expect(abs(ClopperPearson.lowerBound(count: trials - count, trials: trials) - (1 - upper)) < 1e-12)
        }
        #expect(ClopperPearson.upperBound(count: 5, trials: 5) == 1)
        #expect(ClopperPearson.lowerBound(count: 0, trials: 5) == 0)
    }

    @Test func theIntervalSharesTheDoubtBetweenItsEnds() {
        let interval = ClopperPearson.interval(count: 3, trials: 60)
        #expect(interval.lowerBound == ClopperPearson.lowerBound(count: 3, trials: 60, confidence: 0.975))
        #expect(interval.upperBound == ClopperPearson.upperBound(count: 3, trials: 60, confidence: 0.975))
        #expect(interval.contains(0.05))
    }
}
