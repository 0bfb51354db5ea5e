import Foundation

/// The figures of a whole invocation, for people and for programs.
struct LoadReport: Codable, Sendable {
    var parts: Int
    var rate: Double
    var scoringMilliseconds: Double
    var transport: String
    var processors: Int
    var audiences: [LoadFigures]

    /// p99.9 at the healthy subscriber with the two others attached, over the same without them; nil without comparison.
    var slowdown: Double?

    init(_ plan: LoadPlan, over transport: LineSettings.Transport, _ audiences: [LoadFigures]) {
        parts = plan.parts
        rate = plan.rate
        scoringMilliseconds = plan.scoringTime / .milliseconds(1)
        self.transport = transport.rawValue
        processors = ProcessInfo.processInfo.activeProcessorCount
        self.audiences = audiences
        func p999(_ audience: Audience) -> Double? {
            audiences.first { $0.audience == audience }?.captureToArrivalWithoutScoring.map { Double($0.p999) }
        }
        if let quiet = p999(.quiet), let hostile = p999(.hostile) { slowdown = hostile / quiet }
    }

    enum CodingKeys: String, CodingKey {
        case parts, transport, processors, audiences, slowdown
        case rate = "parts_per_second"
        case scoringMilliseconds = "scoring_ms"
    }

    var disagreements: [String] { audiences.flatMap(\.disagreements) }

    var text: String {
        var lines = [
            "\(parts) parts before each audience, \(rate.formatted(2)) a second, open loop; scorer "
                + "\(scoringMilliseconds.formatted(2)) ms; verdicts over \(transport); \(processors) processors"
        ]
        for figures in audiences { lines += [""] + figures.lines }
        if let slowdown {
            lines += ["", "p99.9 before the hostile audience over that before the quiet one: \(slowdown.formatted(2))"]
        }
        lines +=
            [""] + (disagreements.isEmpty ? ["counts agree: nothing is missing, nothing came twice"] : disagreements)
        return lines.joined(separator: "\n")
    }
}

extension LoadFigures {
    fileprivate var lines: [String] {
        let title =
            switch audience {
            case .quiet: "quiet audience: one subscriber"
            case .hostile: "hostile audience: one subscriber, one stopped, one flooding"
            }
        var lines = [title, Self.row("milliseconds", ["p50", "p99", "p99.9", "worst", "its part"])]
        let rows = [
            ("capture to verdict on the wire", captureToArrival),
            ("  without the scorer", captureToArrivalWithoutScoring), ("capture to verdict made", captureToVerdict),
            ("  until the frame was taken", generator), ("  preprocessing", preprocessing), ("  scorer", scoring),
        ]
        for (name, distribution) in rows {
            guard let distribution else { continue }
            let times = [distribution.p50, distribution.p99, distribution.p999, distribution.worst]
            lines.append(
                Self.row(name, times.map { (Double($0) / 1000).formatted(2) } + ["\(distribution.worstPart)"]))
        }
        lines += [
            "journal: slowest commit \(slowestCommit.formatted(1)) ms; memory "
                + "\(memoryBegin / 1_000_000) MB at the beginning, \(memoryEnd / 1_000_000) MB at the end",
            "triggers \(counts.triggers); verdicts in the journal \(counts.verdictsInJournal), at the healthy "
                + "subscriber \(counts.verdictsAtHealthy) (\(counts.recoveredAtHealthy) by replay); too slow for "
                + "\(counts.overloaded)",
        ]
        if let verdicts = counts.verdictsAtStopped, let before = counts.verdictsAtStoppedBeforeReplay,
            let results = counts.resultsAtStopped, let resultsBefore = counts.resultsAtStoppedBeforeReplay
        {
            lines.append(
                "at the stopped subscriber: \(before) verdicts before replay, \(verdicts) after; results "
                    + "\(resultsBefore) and \(results)")
        }
        if let flood = counts.flood {
            lines.append(
                "the flooding subscriber: \(flood.requests) requests, \(flood.garbage) pieces of garbage over "
                    + "\(flood.connections) connections; answered \(counts.requestsAnswered), of these malformed "
                    + "\(counts.requestsMalformed)")
        }
        return lines
    }

    private static func row(_ name: String, _ cells: [String]) -> String {
        name.padding(toLength: 32, withPad: " ", startingAt: 0)
            + cells.map { String(repeating: " ", count: max(1, 10 - $0.count)) + $0 }.joined()
    }
}

extension Double {
    fileprivate func formatted(_ digits: Int) -> String { String(format: "%.\(digits)f", self) }
}
