import AnomalyScoring
import Testing

@Suite struct ZStatisticsTests {
    /// ALGORITHMS §9.8.
    @Test func meanAndPopulationDeviation() throws {
        let statistics = try ZStatistics(of: [1, 2, 4, 5], branch: .picturable)
        #expect(statistics.mean == 3)
        #expect(abs(statistics.deviation - 1.5811388301) < 1e-9)
        #expect(abs(statistics.z(of: 6) - 1.8973665961) < 1e-9)
    }

    @Test func refusesABranchWithoutSpread() {
        // The mean of three times 0.1 is not 0.1 in binary.
        for scores in [[2.0], [2, 2], [0.1, 0.1, 0.1]] {
            #expect(throws: CalibrationError.noSpread(.unpicturable, scoreCount: scores.count)) {
                try ZStatistics(of: scores, branch: .unpicturable)
            }
        }
        #expect(throws: CalibrationError.noPictures) { try ZStatistics(of: [], branch: .picturable) }
    }

    @Test(arguments: [Double.nan, .infinity])
    func refusesScoresThatAreNotFinite(score: Double) {
        #expect(throws: CalibrationError.notFinite("a picturable score")) {
            try ZStatistics(of: [1, score, 2], branch: .picturable)
        }
    }
}

@Suite struct CrossFittingTests {
    @Test func everyPartIsScoredByTheOthers() throws {
        // Parts 0 and 2 by those of 2 and 4: mean 3, deviation 1. Parts 1 and 3 by those of 1 and 3: mean 2, deviation 1.
        let scores = try crossFittedScores(picturable: [1, 2, 3, 4], unpicturable: [10, 20, 30, 40], folds: 2)
        #expect(agree(scores, [-4, 0, 0, 4]))
    }

    @Test func theRuleSaysWhichScoresAreCrossFitted() throws {
        let scores = try crossFittedScores(
            picturable: [1, 2, 3, 4], unpicturable: [10, 25, 30, 40], rule: .picturableAlone, folds: 2)
        #expect(agree(scores, [-2, 0, 0, 2]))
    }

    @Test func moreFoldsThanPartsLeaveOneOut() throws {
        let (picturable, unpicturable) = ([1.0, 2, 4], [3.0, 1, 2])
        let scores = try crossFittedScores(picturable: picturable, unpicturable: unpicturable, folds: 5)
        for part in 0..<3 {
            let others = (0..<3).filter { $0 != part }
            let first = try ZStatistics(of: others.map { picturable[$0] }, branch: .picturable)
            let second = try ZStatistics(of: others.map { unpicturable[$0] }, branch: .unpicturable)
            #expect(abs(scores[part] - first.z(of: picturable[part]) - second.z(of: unpicturable[part])) < 1e-12)
        }
    }

    @Test func anOutlierDoesNotHideInItsOwnStatistics() throws {
        let scores = [1.0, 1.1, 0.9, 1.05, 0.95, 3, 1.02, 0.98, 1.01, 0.99]
        let own = try ZStatistics(of: scores, branch: .picturable).z(of: 3)
        let crossFitted = try crossFittedScores(picturable: scores, unpicturable: scores)[5]
        #expect(crossFitted > 5 * 2 * own, "\(crossFitted) against \(2 * own)")
    }

    @Test func tooFewPartsHaveNoSpreadOutsideTheirFold() {
        #expect(throws: CalibrationError.noPictures) { try crossFittedScores(picturable: [], unpicturable: []) }
        #expect(throws: CalibrationError.noSpread(.picturable, scoreCount: 1)) {
            try crossFittedScores(picturable: [1], unpicturable: [2])
        }
        #expect(throws: CalibrationError.noSpread(.picturable, scoreCount: 1)) {
            try crossFittedScores(picturable: [1, 2], unpicturable: [2, 3])
        }
        #expect(throws: CalibrationError.noSpread(.unpicturable, scoreCount: 2)) {
            try crossFittedScores(picturable: [1, 2, 3], unpicturable: [2, 2, 3])
        }
    }
}
