import Foundation

extension EvaluationReport {
    /// The report for people: a table of AUROCs, one row per defect, and what the threshold gets wrong.
    public var table: String {
        let defects = defectCounts.keys.sorted()
        let anomalousCount = defectCounts.values.reduce(0, +)
        var rows = [("pooled", anomalousCount, auroc { $0.pooled })]
        if picturable.meanOfTwo != nil { rows.append(("mean-of-two", anomalousCount, auroc { $0.meanOfTwo })) }
        for defect in defects { rows.append((defect, defectCounts[defect] ?? 0, auroc { $0.perDefect[defect] })) }

        let width = (rows.map(\.0) + ["false_reject_rate", "image_AUROC"]).map(\.count).max() ?? 0
        var lines = [
            Self.line(width, "image_AUROC", ["n", "picturable", "unpicturable", "fused"].map { Self.right($0, 14) })
        ]
        for (name, count, values) in rows {
            lines.append(
                Self.line(width, name, [Self.right("\(goodCount)+\(count)", 14)] + values.map { Self.right($0, 14) }))
        }
        lines.append("")
        lines.append("rejecting where the fused score exceeds \(Self.fixed(decision.threshold, 4)):")
        lines.append(Self.line(width, "false_reject_rate", [Self.text(decision.falseRejectRate)]))
        lines.append(Self.line(width, "escape_rate", [Self.text(decision.escapeRate)]))
        for (defect, rate) in decision.escapeRatePerDefect.sorted(by: { $0.key < $1.key }) {
            lines.append(Self.line(width, "  \(defect)", [Self.text(rate)]))
        }
        return lines.joined(separator: "\n")
    }

    private func auroc(_ value: (ImageAUROC) -> Double?) -> [String] {
        [picturable, unpicturable, fused].map { value($0).map { Self.fixed($0, 4) } ?? "–" }
    }

    private static func line(_ width: Int, _ name: String, _ columns: [String]) -> String {
        name.padding(toLength: max(width + 2, name.count), withPad: " ", startingAt: 0) + columns.joined()
    }

    private static func right(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }

    private static func text(_ rate: ObservedRate) -> String {
        right("\(rate.count)/\(rate.trials)", 14) + right("\(percent(rate.rate))", 14)
            + "  (95 %: \(percent(rate.lower)) to \(percent(rate.upper)))"
    }

    private static func percent(_ rate: Double) -> String { "\(fixed(100 * rate, 1)) %" }

    private static func fixed(_ value: Double, _ digits: Int) -> String { String(format: "%.\(digits)f", value) }
}
