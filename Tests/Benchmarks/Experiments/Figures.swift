import Evaluation
import Foundation

/// What `beltwatch evaluate --json` says about a model.
struct Figures: Decodable, Sendable {
    var category: String
    var report: EvaluationReport

    private enum CodingKeys: String, CodingKey {
        case category
    }

    init(from decoder: any Decoder) throws {
        category = try decoder.container(keyedBy: CodingKeys.self).decode(String.self, forKey: .category)
        report = try EvaluationReport(from: decoder)
    }
}

/// Which of a model's scores a row of a table is about.
enum Score: Hashable, Sendable {
    case picturable
    case unpicturable

    /// What the method decides by.
    case fused

    /// Logical or structural anomalies, or any other kind of defect, against the good parts; nil: all of them together.
    func imageAUROC(of figures: Figures, kind: String? = nil) -> IntervalEstimate? {
        guard let kind else { return imageAUROC(of: figures, by: .pooled) }
        return breakdown(of: figures).perDefect[kind]
    }

    func imageAUROC(of figures: Figures, by protocolUsed: AUROCProtocol) -> IntervalEstimate? {
        switch protocolUsed {
        case .pooled: breakdown(of: figures).pooled
        case .meanOfTwo: breakdown(of: figures).meanOfTwo
        }
    }

    private func breakdown(of figures: Figures) -> DefectBreakdown<IntervalEstimate> {
        let scores = figures.report.imageAUROC
        return switch self {
        case .picturable: scores.picturable
        case .unpicturable: scores.unpicturable
        case .fused: scores.fused
        }
    }
}
