import Testing

@testable import Evaluation

@Suite struct StratifiedBootstrapTests {
    @Test func thePointIsTheAUROC() throws {
        var generator = CongruentialGenerator(seed: 8)
        for _ in 0..<50 {
            func scores() -> [Double] { (0..<1 + generator.below(20)).map { _ in Double(generator.below(9)) } }
            let (good, anomalous) = (scores(), scores())
            var bootstrap = StratifiedBootstrap()
            bootstrap.resamples = 10
            let estimate = try bootstrap.areaUnderROC(good: good, anomalous: anomalous)
            #expect(estimate.value == (try areaUnderROC(good: good, anomalous: anomalous)))
            #expect(estimate.lower <= estimate.upper)
        }
    }

    @Test func theIntervalIsThatOfTheBinomialWhereThatIsKnown() throws {
        // One good score with half of 100 anomalous ones above it: a resample's AUROC is a binomial share of 100 draws,
        // whose 2.5 % and 97.5 % quantiles are 0.40 and 0.60.
        let estimate = try StratifiedBootstrap().areaUnderROC(
            good: [0], anomalous: (0..<100).map { $0 < 50 ? -1 : 1 })
        #expect(estimate.value == 0.5)
        #expect(abs(estimate.lower - 0.40) < 0.011 && abs(estimate.upper - 0.60) < 0.011, "\(estimate)")
        // The mirror image: 100 good scores around one anomalous.
        let mirrored = try StratifiedBootstrap().areaUnderROC(
            good: (0..<100).map { $0 < 50 ? -1 : 1 }, anomalous: [0])
        #expect(abs(mirrored.lower - 0.40) < 0.011 && abs(mirrored.upper - 0.60) < 0.011, "\(mirrored)")
    }

    @Test func lessConfidenceIsANarrowerInterval() throws {
        var bootstrap = StratifiedBootstrap()
        let good = (0..<30).map { Double($0 % 11) }
        let anomalous = (0..<40).map { Double($0 % 13) + 2 }
        let wide = try bootstrap.areaUnderROC(good: good, anomalous: anomalous)
        bootstrap.confidence = 0.5
        let narrow = try bootstrap.areaUnderROC(good: good, anomalous: anomalous)
        #expect(wide.lower < narrow.lower && narrow.lower < narrow.value)
        #expect(narrow.value < narrow.upper && narrow.upper < wide.upper)
    }

    @Test func theSameSeedDrawsTheSameResamples() throws {
        var bootstrap = StratifiedBootstrap()
        let (good, anomalous) = ([1.0, 2, 3, 4], [2.0, 3.5, 5])
        let first = try bootstrap.areaUnderROC(good: good, anomalous: anomalous)
        #expect(try bootstrap.areaUnderROC(good: good, anomalous: anomalous) == first)
        // The draws are of pictures, not of ranks: another scale changes nothing.
        let scaled = try bootstrap.areaUnderROC(good: good.map { $0 * 7 - 3 }, anomalous: anomalous.map { $0 * 7 - 3 })
        #expect(scaled == first)
        bootstrap.resamples = 17
        let few = try bootstrap.areaUnderROC(good: good, anomalous: anomalous)
        bootstrap.seed = 2
        #expect(try bootstrap.areaUnderROC(good: good, anomalous: anomalous) != few)
    }

    @Test func everyDefectKeepsItsShare() throws {
        // 'easy' is always above and 'hard' always below the good ones, so a stratified resample cannot vary.
        let scores = try ScoresByDefect(
            good: [1, 2, 3], anomalous: ["easy": [9, 8, 7], "hard": [0]])
        let auroc = StratifiedBootstrap().imageAUROC(of: scores)
        #expect(auroc.pooled == IntervalEstimate(value: 0.75, lower: 0.75, upper: 0.75))
        #expect(auroc.perDefect["hard"] == IntervalEstimate(value: 0, lower: 0, upper: 0))
        #expect(auroc.meanOfTwo == nil)
    }

    @Test func scoresOfOneSideAloneAreRefused() {
        #expect(throws: EvaluationError.noGoodImages) {
            try StratifiedBootstrap().areaUnderROC(good: [], anomalous: [1])
        }
        #expect(throws: EvaluationError.noAnomalousImages) {
            try StratifiedBootstrap().areaUnderROC(good: [1], anomalous: [])
        }
        #expect(throws: EvaluationError.scoreIsNotANumber) {
            try StratifiedBootstrap().areaUnderROC(good: [1], anomalous: [.nan])
        }
    }
}
