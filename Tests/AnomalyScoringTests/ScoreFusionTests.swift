import AnomalyScoring
import TensorKernels
import Testing

@Suite struct ScoreFusionTests {
    private let fusion = ScoreFusion(
        picturable: ZStatistics(mean: 2, deviation: 0.5), unpicturable: ZStatistics(mean: 10, deviation: 4),
        threshold: DecisionThreshold(value: 3, calibrationCount: 60, falseRejectBudget: 0.05))

    private func raw(_ picturable: Double, _ unpicturable: Double) -> RawScores {
        RawScores(picturable: picturable, unpicturable: unpicturable, map: Tensor(shape: [1, 1, 1]))
    }

    @Test func addsTheStandardDeviationsAboveBothMeans() throws {
        let fused = try fusion.fuse(raw(2.5, 18))
        #expect(fused.picturable == BranchScore(raw: 2.5, mean: 2, deviation: 0.5, z: 1))
        #expect(fused.unpicturable == BranchScore(raw: 18, mean: 10, deviation: 4, z: 2))
        #expect(fused.value == 3)
        #expect(fused.responsibleBranch == .unpicturable)
    }

    /// EfficientAD and DFSC: the other branch is reported, and decides nothing.
    @Test func wherePicturableDecidesAloneTheOtherOnlyInforms() throws {
        var alone = fusion
        alone.rule = .picturableAlone
        let fused = try alone.fuse(raw(2.5, 1000))
        #expect(fused.value == 1 && !fused.isAnomalous)
        #expect(fused.unpicturable.raw == 1000 && fused.responsibleBranch == .picturable)
        #expect(try alone.fuse(raw(4, 0)).isAnomalous)
    }

    @Test func onlyAScoreAboveTheThresholdIsAnomalous() throws {
        #expect(try !fusion.fuse(raw(2.5, 18)).isAnomalous)
        #expect(try fusion.fuse(raw(2.5, 18.001)).isAnomalous)
    }

    @Test func aVeryGoodBranchMayOutweighABadOne() throws {
        let fused = try fusion.fuse(raw(0, 18))
        #expect(fused.picturable.z == -4 && fused.value == -2)
    }

    @Test func aTieIsThePicturableBranchs() throws {
        #expect(try fusion.fuse(raw(2, 10)).responsibleBranch == .picturable)
    }

    @Test(arguments: [Double.nan, .infinity, -.infinity])
    func unknownIsNeverAccepted(score: Double) {
        #expect(throws: ScoringError.notFinite(.picturable)) { try fusion.fuse(raw(score, 10)) }
        #expect(throws: ScoringError.notFinite(.unpicturable)) { try fusion.fuse(raw(2, score)) }
        // Even where it does not decide: networks that give no number are not to be trusted.
        var alone = fusion
        alone.rule = .picturableAlone
        let withoutSum = alone
        #expect(throws: ScoringError.notFinite(.unpicturable)) { try withoutSum.fuse(raw(2, score)) }
    }
}
