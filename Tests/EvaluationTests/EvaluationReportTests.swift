import AnomalyScoring
import Foundation
import Testing

@testable import Evaluation

@Suite struct EvaluationReportTests {
    /// ALGORITHMS §9.10 as fused scores; the other two are the same upside down, and all equal.
    private let pictures =
        [0.1, 0.2, 0.3, 0.5].map { make(nil, $0) } + [0.25, 0.4, 0.6].map { make("logical_anomalies", $0) }
        + [0.7, 0.9].map { make("structural_anomalies", $0) }
    private let threshold = DecisionThreshold(value: 0.45, calibrationCount: 19, falseRejectBudget: 0.05)

    @Test func imageAUROCPooledMeanOfTwoAndPerDefect() throws {
        let report = try EvaluationReport(of: pictures, threshold: threshold)
        #expect(report.imageAUROC.fused.pooled?.value == 0.85)
        #expect(report.imageAUROC.fused.meanOfTwo?.value == 0.875)
        #expect(
            report.imageAUROC.fused.perDefect.mapValues(\.value)
                == ["logical_anomalies": 0.75, "structural_anomalies": 1])
        #expect(abs(try #require(report.imageAUROC.picturable.pooled?.value) - 0.15) < 1e-15)
        #expect(report.imageAUROC.unpicturable.pooled?.value == 0.5)
        #expect(report.goodCount == 4)
        #expect(report.defectCounts == ["logical_anomalies": 3, "structural_anomalies": 2])
    }

    @Test func meanOfTwoNeedsLogicalAndStructuralAnomalies() throws {
        let others = pictures.map { Self.make($0.defect == nil ? nil : "scratch", $0.scores.fused) }
        #expect(try EvaluationReport(of: others, threshold: threshold).imageAUROC.fused.meanOfTwo == nil)
    }

    @Test func conformalThresholdsComeFromTheModelAndFromPartsSetAside() throws {
        let without = try EvaluationReport(of: pictures, threshold: threshold).conformal
        #expect(without.picturable == nil && without.unpicturable == nil)
        #expect(without.fused.point.threshold == 0.45)
        #expect((without.fused.calibrationCount, without.fused.falseRejectBudget) == (19, 0.05))

        // Three parts promise 1/4 at the best, by the greatest of their scores.
        let few = [0.3, 0.1, 0.2].map { PerScore<Double>(picturable: $0, unpicturable: -$0, fused: 9) }
        let small = try EvaluationReport(of: pictures, threshold: threshold, calibration: few).conformal
        #expect(small.fused == without.fused)
        let picturable = try #require(small.picturable)
        #expect(
            (picturable.point.threshold, picturable.calibrationCount, picturable.falseRejectBudget) == (0.3, 3, 0.25))
        #expect(small.unpicturable?.point.threshold == -0.1)

        // Of 39 the model's budget of 5 % takes the 38th.
        let many = (1...39).map { PerScore<Double>(picturable: Double($0), unpicturable: 0, fused: 9) }
        let large = try EvaluationReport(of: pictures, threshold: threshold, calibration: many).conformal
        #expect(large.picturable?.point.threshold == 38)
        #expect(large.picturable?.falseRejectBudget == 0.05)

        #expect(throws: EvaluationError.scoreIsNotANumber) {
            try EvaluationReport(
                of: pictures, threshold: threshold,
                calibration: [PerScore(picturable: .infinity, unpicturable: 0, fused: 0)])
        }
    }

    @Test func jsonNamesWhatTheLiteratureNames() throws {
        let report = try EvaluationReport(of: pictures, threshold: threshold, localisation: Self.localisation)
        let json = try Self.json(report)
        #expect(try JSONDecoder().decode(EvaluationReport.self, from: Data(json.utf8)) == report)
        let top = try #require(try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any])
        #expect(
            top.keys.sorted() == [
                "AUPRO@0.3", "bootstrap", "conformal", "defects", "f1_optimal", "good", "image_AUROC", "pixel_AUROC",
                "sPRO@0.05",
            ])
        let auroc = try #require(top["image_AUROC"] as? [String: [String: Any]])
        #expect((auroc["fused"]?["mean_of_two"] as? [String: Double])?["value"] == 0.875)
        #expect((top["bootstrap"] as? [String: Double]) == ["resamples": 2000, "seed": 1, "confidence": 0.95])
        #expect((top["sPRO@0.05"] as? [String: Any])?["mean_of_two"] as? Double == 0.5)
        #expect((top["sPRO@0.05"] as? [String: Any])?["pooled"] is NSNull)
        #expect(top["AUPRO@0.3"] is NSNull)
        let conformal = try #require(top["conformal"] as? [String: Any])
        #expect(conformal["picturable"] is NSNull)
        let fused = try #require(conformal["fused"] as? [String: Any])
        #expect(fused.keys.sorted() == ["calibration_parts", "false_reject_budget", "point"])
        let point = try #require(fused["point"] as? [String: Any])
        #expect(
            point.keys.sorted() == [
                "F1", "escape_rate", "escape_rate_per_defect", "false_reject_rate", "precision", "recall", "threshold",
            ])
    }

    @Test func jsonSaysNullForWhatTheDataSetDoesNotAllow() throws {
        let others = pictures.map { Self.make($0.defect == nil ? nil : "scratch", $0.scores.fused) }
        let report = try EvaluationReport(of: others, threshold: threshold)
        let json = try Self.json(report)
        #expect(try JSONDecoder().decode(EvaluationReport.self, from: Data(json.utf8)) == report)
        for key in ["mean_of_two", "pixel_AUROC", "AUPRO@0.3", "sPRO@0.05"] {
            #expect(json.contains(#""\#(key)":null"#), "\(json)")
        }
    }

    @Test func tableNamesEveryFigure() throws {
        let table = try EvaluationReport(of: pictures, threshold: threshold, localisation: Self.localisation).table
        let lines = table.split(separator: "\n").map { $0.split(separator: " ").joined(separator: " ") }
        for line in [
            "test pictures: 4 good, 3 logical_anomalies, 2 structural_anomalies",
            "n picturable unpicturable fused",
            "pixel_AUROC sPRO@0.05",
            "pooled 0.9000 –",
            "mean-of-two – 0.5000",
            "logical_anomalies 0.8750 0.2500",
            "fused, the model's own: at most 5.0 % false rejects, by 19 good parts",
            "the others: none without 'validation/good'",
            "threshold – – 0.4500",
            "false_reject_rate – – 1/4 25.0 % [0.6, 80.6]",
            "escape_rate – – 2/5 40.0 % [5.3, 85.3]",
            "logical_anomalies – – 2/3 66.7 % [9.4, 99.2]",
            "F1 – – 0.6667",
        ] {
            #expect(lines.contains(line), "\(line) is not in\n\(table)")
        }
        let meanOfTwo = try #require(lines.first { $0.hasPrefix("mean-of-two 4+5") })
        #expect(meanOfTwo.contains(" 0.8750 ["))
    }

    @Test func scoresOfGoodPartsAloneAreRefused() {
        let good = pictures.filter { $0.defect == nil }
        #expect(throws: EvaluationError.noAnomalousImages) { try EvaluationReport(of: good, threshold: threshold) }
        let anomalous = pictures.filter { $0.defect != nil }
        #expect(throws: EvaluationError.noGoodImages) { try EvaluationReport(of: anomalous, threshold: threshold) }
    }

    private static let localisation = LocalisationMetrics(
        pixelAUROC: DefectBreakdown(
            pooled: 0.9, perDefect: ["logical_anomalies": 0.875, "structural_anomalies": 0.9375]),
        regionOverlap: nil,
        saturatedOverlap: DefectBreakdown(
            pooled: nil, meanOfTwo: 0.5, perDefect: ["logical_anomalies": 0.25, "structural_anomalies": 0.75]))

    private static func json(_ report: EvaluationReport) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(report), as: UTF8.self)
    }

    private static func make(_ defect: String?, _ fused: Double) -> LabelledScores {
        LabelledScores(defect: defect, scores: PerScore(picturable: -fused, unpicturable: 0, fused: fused))
    }
}
