import Evaluation
import Foundation

/// The experiment report as Markdown.
struct ReportTables {
    let plan: ReportPlan
    let outcomes: [String: TrialOutcome]

    var text: String {
        let missing = plan.trials.filter { outcomes[$0.name] == nil }.map(\.name)
        return """
            Image AUROC with 95 % bootstrap intervals; every kind of defect against the same good parts. \(counts)

            \(methods)

            Processor time and peak memory are those of training and calibration. EfficientAD and PUAD are one training. \
            On trays, LA-EAD's M model takes the S model's extractor, whose training it does not count. Defects are found on the map as sPRO@0.05 (trays) and AUPRO@0.3 (bottle).

            LA-EAD, S, \(plan.iterations) iterations: the reconstruction difference constraint (RDC) and the extractor, fused score

            \(ablation("with", plan.constraintAndExtractor))

            The unpicturable score alone, by what its features are pooled from

            \(ablation("features of", plan.featureSources))

            DFSC, S, \(plan.iterations) iterations: the margin of the feature separation constraint

            \(ablation("margin", plan.margins))

            DFSC, one checkpoint: sigmoid maps and the student's moving average

            \(ablation("with", plan.sigmoidAndAverage))
            """ + (missing.isEmpty ? "" : "\n\nNot finished: \(missing.joined(separator: ", ")).")
    }

    /// How many pictures of each kind the figures rest on.
    private var counts: String {
        [("trays", plan.traysSmall), ("bottle", plan.bottleSmall)].compactMap { title, rows in
            guard let report = rows.lazy.compactMap({ outcomes[$0.trial.name] }).first?.figures.report else {
                return nil
            }
            let defects = report.defectCounts.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }
            return "\(title): \(report.goodCount) good, \(defects.joined(separator: ", "))."
        }.joined(separator: " ")
    }

    // MARK: - The methods

    private var methods: String {
        var table = MarkdownTable([
            "pictures", "method", "iterations", "logical", "structural", "all", "localisation", "processor time",
            "peak memory",
        ])
        for (title, rows) in [
            ("trays, S", plan.traysSmall), ("trays, M", plan.traysMedium), ("bottle, S", plan.bottleSmall),
        ] {
            for row in rows {
                let outcome = outcomes[row.trial.name]
                table.append(
                    [title, row.title, "\(row.trial.iterations)"]
                        + [Self.logical, Self.structural, nil].map { cell(row, kind: $0) }
                        + [
                            localisation(outcome), outcome.map { Self.time($0.record.processorSeconds) } ?? "",
                            outcome.map { Self.memory($0.record.peakMemoryBytes) } ?? "",
                        ])
            }
        }
        return table.description
    }

    private func localisation(_ outcome: TrialOutcome?) -> String {
        guard let metrics = outcome?.figures.report.localisation else { return "" }
        let value = metrics.saturatedOverlap?.meanOfTwo ?? metrics.regionOverlap?.pooled
        return value.map { String(format: "%.3f", $0) } ?? ""
    }

    // MARK: - Ablations

    private func ablation(_ title: String, _ rows: [ReportPlan.Row]) -> String {
        var table = MarkdownTable([title, "logical", "structural", "all"])
        for row in rows {
            table.append([row.title] + [Self.logical, Self.structural, nil].map { cell(row, kind: $0) })
        }
        return table.description
    }

    private static let logical = "logical_anomalies"
    private static let structural = "structural_anomalies"

    private func cell(_ row: ReportPlan.Row, kind: String?) -> String {
        guard let figures = outcomes[row.trial.name]?.figures,
            let estimate = row.score.imageAUROC(of: figures, kind: kind)
        else { return "" }
        return String(format: "%.3f (%.3f–%.3f)", estimate.value, estimate.lower, estimate.upper)
    }

    static func time(_ seconds: Double) -> String {
        seconds < 6000 ? String(format: "%.0f min", seconds / 60) : String(format: "%.1f h", seconds / 3600)
    }

    private static func memory(_ bytes: Int) -> String { String(format: "%.2f GiB", Double(bytes) / 1_073_741_824) }
}
