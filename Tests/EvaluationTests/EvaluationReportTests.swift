import Foundation
import Testing

@testable import Evaluation

@Suite struct EvaluationReportTests {
    /// ALGORITHMS §9.10 as fused scores; the other two are the same upside down, and all equal.
    private let scores =
        [0.1, 0.2, 0.3, 0.5].map { make(nil, $0) } + [0.25, 0.4, 0.6].map { make("logical_anomalies", $0) }
        + [0.7, 0.9].map { make("structural_anomalies", $0) }

    @Test func imageAUROCPooledMeanOfTwoAndPerDefect() throws {
        let report = try EvaluationReport(of: scores, threshold: 0.45)
        #expect(report.fused.pooled == 0.85)
        #expect(report.fused.meanOfTwo == 0.875)
        #expect(report.fused.perDefect == ["logical_anomalies": 0.75, "structural_anomalies": 1])
        #expect(abs(report.picturable.pooled - 0.15) < 1e-15)
        #expect(report.unpicturable.perDefect == ["logical_anomalies": 0.5, "structural_anomalies": 0.5])
        #expect(report.goodCount == 4)
        #expect(report.defectCounts == ["logical_anomalies": 3, "structural_anomalies": 2])
    }

    @Test func meanOfTwoNeedsLogicalAndStructuralAnomalies() throws {
        let others = scores.map { Self.make($0.defect == nil ? nil : "scratch", $0.fused) }
        #expect(try EvaluationReport(of: others, threshold: 0).fused.meanOfTwo == nil)
    }

    @Test func decisionErrorsAtTheThreshold() throws {
        let decision = try EvaluationReport(of: scores, threshold: 0.45).decision
        #expect(decision.falseRejectRate.count == 1)
        #expect(decision.falseRejectRate.trials == 4)
        #expect(decision.falseRejectRate.rate == 0.25)
        #expect(decision.escapeRate.count == 2)
        #expect(decision.escapeRate.trials == 5)
        #expect(decision.escapeRatePerDefect["logical_anomalies"]?.count == 2)
        #expect(decision.escapeRatePerDefect["structural_anomalies"]?.count == 0)
    }

    @Test func aScoreOnTheThresholdIsAccepted() throws {
        #expect(try EvaluationReport(of: scores, threshold: 0.5).decision.falseRejectRate.count == 0)
        #expect(try EvaluationReport(of: scores, threshold: 0.9).decision.escapeRate.count == 5)
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

    @Test func jsonNamesWhatTheLiteratureNames() throws {
        let report = try EvaluationReport(of: scores, threshold: 0.45)
        let json = try JSONEncoder().encode(report)
        #expect(try JSONDecoder().decode(EvaluationReport.self, from: json) == report)
        let top = try #require(try JSONSerialization.jsonObject(with: json) as? [String: Any])
        #expect(top.keys.sorted() == ["decision", "defects", "good", "image_AUROC"])
        let auroc = try #require(top["image_AUROC"] as? [String: [String: Any]])
        #expect(auroc["fused"]?["mean_of_two"] as? Double == 0.875)
        let decision = try #require(top["decision"] as? [String: Any])
        #expect(
            decision.keys.sorted()
                == ["escape_rate", "escape_rate_per_defect", "false_reject_rate", "threshold"])
    }

    @Test func tableNamesEveryNumber() throws {
        let table = try EvaluationReport(of: scores, threshold: 0.45).table
        #expect(
            table == """
                image_AUROC                        n    picturable  unpicturable         fused
                pooled                           4+5        0.1500        0.5000        0.8500
                mean-of-two                      4+5        0.1250        0.5000        0.8750
                logical_anomalies                4+3        0.2500        0.5000        0.7500
                structural_anomalies             4+2        0.0000        0.5000        1.0000

                rejecting where the fused score exceeds 0.4500:
                false_reject_rate                1/4        25.0 %  (95 %: 0.6 % to 80.6 %)
                escape_rate                      2/5        40.0 %  (95 %: 5.3 % to 85.3 %)
                  logical_anomalies              2/3        66.7 %  (95 %: 9.4 % to 99.2 %)
                  structural_anomalies           0/2         0.0 %  (95 %: 0.0 % to 84.2 %)
                """)
    }

    @Test func scoresOfGoodPartsAloneAreRefused() {
        let good = scores.filter { $0.defect == nil }
        #expect(throws: EvaluationError.noAnomalousImages) { try EvaluationReport(of: good, threshold: 0) }
    }

    private static func make(_ defect: String?, _ fused: Double) -> LabelledScores {
        LabelledScores(defect: defect, picturable: -fused, unpicturable: 0, fused: fused)
    }
}
