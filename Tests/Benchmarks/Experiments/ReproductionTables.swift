import Evaluation
import Foundation

/// Our figures beside the published ones, in percent, a line per category.
struct ReproductionTables {
    let dataset: PublishedDataset
    let models: [ModelKind]
    let iterations: Int

    /// By category; what is not there stays empty.
    let figures: [String: [ModelKind: Figures]]

    var text: String {
        """
        \(dataset.title), image AUROC in percent, \(iterations) iterations; each column of ours by the protocol of the \
        published one behind it

        EfficientAD

        \(table(dataset.efficientAD, score: .picturable))

        what the methods decide by

        \(table(dataset.decisions, score: .fused))
        """
    }

    private func table(_ published: [PublishedColumn], score: Score) -> String {
        // A model that nobody published stands alone.
        let unpublished = models.filter { kind in
            score == .fused && !published.contains { $0.model == kind }
        }
        let columns = published.filter { models.contains($0.model) }
        var table = MarkdownTable(
            ["category"] + columns.flatMap { ["ours", "\($0.title) (\($0.protocolUsed.rawValue))"] }
                + unpublished.map { "ours, \($0.rawValue) (pooled)" })
        var sums = [Sum](repeating: Sum(), count: columns.count + unpublished.count)
        for category in dataset.categories {
            let ours =
                columns.map { value(score, category, $0.model, $0.protocolUsed) }
                + unpublished.map { value(score, category, $0, .pooled) }
            for (index, value) in ours.enumerated() { sums[index].add(value) }
            let cells = zip(ours, columns).flatMap { [Self.percent($0), Self.percent($1.values[category])] }
            table.append([category] + cells + ours.dropFirst(columns.count).map(Self.percent))
        }
        let means = zip(sums, columns).flatMap { [$0.text, Self.percent($1.mean)] }
        table.append(["mean"] + means + sums.dropFirst(columns.count).map(\.text))
        return table.description
    }

    /// In percent.
    private func value(
        _ score: Score, _ category: String, _ model: ModelKind, _ protocolUsed: AUROCProtocol
    ) -> Double? {
        guard let figures = figures[category]?[model] else { return nil }
        return score.imageAUROC(of: figures, by: protocolUsed).map { 100 * $0.value }
    }

    private static func percent(_ value: Double?) -> String { value.map { String(format: "%.2f", $0) } ?? "" }

    /// A mean that says over how many categories it goes where some are missing.
    private struct Sum {
        var total = 0.0
        var count = 0
        var missing = 0

        mutating func add(_ value: Double?) {
            guard let value else { return missing += 1 }
            total += value
            count += 1
        }

        var text: String {
            guard count > 0 else { return "" }
            return ReproductionTables.percent(total / Double(count)) + (missing > 0 ? " (of \(count))" : "")
        }
    }
}
