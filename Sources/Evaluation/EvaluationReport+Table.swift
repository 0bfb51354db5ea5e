import Foundation

extension EvaluationReport {
    /// The report for people: a table for each kind of figure, one row per defect in each; '–' where a figure does not exist.
    public var table: String {
        let counts = [goodCount] + defectCounts.sorted { $0.key < $1.key }.map(\.value)
        let names = ["good"] + defects
        let pictures = zip(counts, names).map { "\($0) \($1)" }.joined(separator: ", ")
        var sections = ["test pictures: \(pictures)", imageSection]
        if let localisation { sections.append(section(of: localisation)) }
        let others =
            conformal.picturable.map { "\(Self.promise($0)) of 'validation/good'" } ?? "none without 'validation/good'"
        sections.append(
            section(
                [conformal.picturable?.point, conformal.unpicturable?.point, conformal.fused.point],
                """
                conformal: rejecting above a threshold that was set on good parts alone
                  fused, the model's own: \(Self.promise(conformal.fused))
                  the others: \(others)
                """))
        sections.append(
            section(
                [f1Optimal.picturable, f1Optimal.unpicturable, f1Optimal.fused],
                "f1_optimal: the threshold with the greatest F1, chosen on these very pictures"))
        return sections.joined(separator: "\n\n")
    }

    private var defects: [String] { defectCounts.keys.sorted() }

    private var imageSection: String {
        let all = defectCounts.values.reduce(0, +)
        func row(
            _ name: String, _ count: Int, _ value: (DefectBreakdown<IntervalEstimate>) -> IntervalEstimate?
        ) -> String {
            let scores = [imageAUROC.picturable, imageAUROC.unpicturable, imageAUROC.fused]
            return line(name, ["\(goodCount)+\(count)"] + scores.map { Self.text(value($0)) })
        }
        let rows =
            [row("pooled", all, \.pooled), row("mean-of-two", all, \.meanOfTwo)]
            + defects.map { defect in row(defect, defectCounts[defect] ?? 0) { $0.perDefect[defect] } }
        let title =
            "image_AUROC with \(Self.percent(bootstrap.confidence, digits: 0)) intervals from \(bootstrap.resamples) "
            + "stratified resamples of the pictures"
        return ([title, line("", ["n", "picturable", "unpicturable", "fused"])] + rows).joined(separator: "\n")
    }

    private func section(of metrics: LocalisationMetrics) -> String {
        let measures = [
            ("pixel_AUROC", metrics.pixelAUROC), ("AUPRO@0.3", metrics.regionOverlap),
            ("sPRO@0.05", metrics.saturatedOverlap),
        ].compactMap { name, measure in measure.map { (name, $0) } }
        func row(_ name: String, _ value: (DefectBreakdown<Double>) -> Double?) -> String {
            line(name, [""] + measures.map { value($0.1).map { Self.fixed($0, 4) } ?? "–" })
        }
        let rows =
            [row("pooled", \.pooled), row("mean-of-two", \.meanOfTwo)]
            + defects.map { defect in row(defect) { $0.perDefect[defect] } }
        return (["localisation by the picturable score's maps", line("", [""] + measures.map(\.0))] + rows)
            .joined(separator: "\n")
    }

    private func section(_ points: [OperatingPoint?], _ title: String) -> String {
        func row(_ name: String, _ value: (OperatingPoint) -> String?) -> String {
            line(name, [""] + points.map { $0.flatMap(value) ?? "–" })
        }
        let rows =
            [
                row("threshold") { Self.fixed($0.threshold, 4) },
                row("false_reject_rate") { Self.text($0.falseRejectRate) },
                row("escape_rate") { Self.text($0.escapeRate) },
            ]
            + defects.map { defect in row("  \(defect)") { $0.escapeRatePerDefect[defect].map(Self.text) } }
            + [
                row("precision") { $0.precision.map(Self.text) }, row("recall") { Self.text($0.recall) },
                row("F1") { Self.fixed($0.f1, 4) },
            ]
        return ([title, line("", ["", "picturable", "unpicturable", "fused"])] + rows).joined(separator: "\n")
    }

    // MARK: - Columns

    /// A name, the number of pictures, and wide columns.
    private func line(_ name: String, _ columns: [String]) -> String {
        let width = (defects.map { "  \($0)" } + ["false_reject_rate"]).map(\.count).max() ?? 0
        let first = name.padding(toLength: max(width, name.count), withPad: " ", startingAt: 0)
        let text = zip(columns, [9] + Array(repeating: 30, count: columns.count)).map(Self.right)
        return ([first] + text).joined()
    }

    private static func right(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }

    // MARK: - Numbers

    private static func text(_ estimate: IntervalEstimate?) -> String {
        guard let estimate else { return "–" }
        return "\(fixed(estimate.value, 4)) [\(fixed(estimate.lower, 3)), \(fixed(estimate.upper, 3))]"
    }

    private static func text(_ rate: ObservedRate) -> String {
        "\(rate.count)/\(rate.trials) \(percent(rate.rate)) [\(fixed(100 * rate.lower, 1)), \(fixed(100 * rate.upper, 1))]"
    }

    private static func promise(_ point: ConformalPoint) -> String {
        "at most \(percent(point.falseRejectBudget)) false rejects, by \(point.calibrationCount) good parts"
    }

    private static func percent(_ rate: Double, digits: Int = 1) -> String { "\(fixed(100 * rate, digits)) %" }

    private static func fixed(_ value: Double, _ digits: Int) -> String { String(format: "%.\(digits)f", value) }
}
