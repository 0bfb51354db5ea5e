import AnomalyScoring
import Evaluation
import Foundation

@testable import Experiments

/// What `beltwatch evaluate --json` prints, of six pictures.
enum SampleFigures {
    /// The fused score: 0.75 for logical anomalies, 1 for structural ones, 0.875 for both ways to take them together. The
    /// picturable score is upside down.
    static func json() throws -> Data {
        func picture(_ defect: String?, _ score: Double) -> LabelledScores {
            LabelledScores(
                defect: defect, scores: PerScore(picturable: -score, unpicturable: 0, fused: score))
        }
        let report = try EvaluationReport(
            of: [
                picture(nil, 0.1), picture(nil, 0.3), picture("logical_anomalies", 0.2),
                picture("logical_anomalies", 0.4), picture("structural_anomalies", 0.6),
                picture("structural_anomalies", 0.7),
            ], threshold: DecisionThreshold(value: 0.5, calibrationCount: 19, falseRejectBudget: 0.05))
        return try JSONEncoder().encode(Output(category: "sample", report: report))
    }

    static func figures() throws -> Figures { try JSONDecoder().decode(Figures.self, from: json()) }

    private struct Output: Encodable {
        let category: String
        let report: EvaluationReport

        private enum CodingKeys: String, CodingKey {
            case category
        }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(category, forKey: .category)
            try report.encode(to: encoder)
        }
    }
}
