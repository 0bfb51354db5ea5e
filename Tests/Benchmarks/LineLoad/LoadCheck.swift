import Imaging
import InspectionProtocol

/// Whether everybody says the same about every part: the generator's plan, the journal and the subscribers.
///
/// The plan is the oracle; that a run took its time is not an error here.
struct LoadCheck {
    var plan: LoadPlan

    /// When the first part was captured.
    var start: MonotonicInstant
    var kept: KeptMessages
    var healthy: ReaderReport
    var stopped: ReaderReport?

    /// What does not agree, in words; empty where all does.
    var disagreements: [String] {
        let verdicts = kept.verdicts.map { Said(sequence: $0.sequence, partID: $0.partID) }
        let rejects = kept.rejects.map { Said(sequence: $0.sequence, partID: $0.partID) }
        let results = kept.results.map { Said(sequence: $0.sequence, partID: $0.result.verdict.partID.value) }
        let bad = kept.results.count { $0.result.verdict.disposition != .accept }
        var found = Self.order(of: verdicts, "verdicts in the journal", expected: plan.parts)
        found += Self.order(of: rejects, "rejects in the journal", expected: bad)
        found += Self.order(of: results, "results in the journal", expected: plan.parts)
        if Set(results.map(\.partID)) != Set(verdicts.map(\.partID)) {
            found.append("the journal has results of other parts than verdicts")
        }
        found += parts
        // The healthy one does not ask for results.
        for (name, report, kinds) in [("healthy", healthy, 2), ("stopped", stopped, 3)] {
            guard let report else { continue }
            let all = [
                ("verdicts", report.verdicts, verdicts), ("rejects", report.rejects, rejects),
                ("results", report.results, results),
            ]
            for (kind, arrivals, said) in all.prefix(kinds) {
                found += Self.compare(arrivals, with: said, "\(kind) at the \(name) subscriber")
            }
            found += report.lost.map { "lost for good at the \(name) subscriber: \($0)" }
            found += report.unreadable.map { "unreadable at the \(name) subscriber: \($0)" }
        }
        return found
    }

    private struct Said: Hashable {
        var sequence: UInt64
        var partID: UInt64
    }

    /// Sequence numbers from 1 without a hole, and no part twice.
    private static func order(of said: [Said], _ name: String, expected: Int) -> [String] {
        var found: [String] = []
        if said.count != expected { found.append("\(name): \(said.count) instead of \(expected)") }
        if Set(said.map(\.partID)).count != said.count { found.append("\(name): a part twice") }
        if !said.map(\.sequence).sorted().elementsEqual((0..<UInt64(said.count)).map { $0 + 1 }) {
            found.append("\(name): sequence numbers with holes or twice")
        }
        return found
    }

    /// Every trigger once, with the moment of capture and the disposition that the plan has for it.
    private var parts: [String] {
        var found: [String] = []
        let verdicts = kept.results.map(\.result.verdict).sorted { $0.triggerID < $1.triggerID }
        if !verdicts.map(\.triggerID.value).elementsEqual((0..<UInt64(plan.parts)).map { $0 + 1 }) {
            found.append("triggers in the journal are not 1 to \(plan.parts), each once")
        }
        for verdict in verdicts {
            let number = Int(clamping: verdict.triggerID.value) - 1
            // A frame that the gate's mailbox gave up leaves a part without a capture.
            if let captured = verdict.capturedMonotonicMicroseconds,
                captured != plan.due(number, from: start).microseconds
            {
                found.append("part \(verdict.partID) was captured at another time than trigger \(number + 1)")
            }
            let expected: Set<Reason> = LoadPlan.isBad(number) ? [.anomaly] : [.none]
            if !expected.union(LoadPlan.overloadReasons).contains(verdict.reason)
                || (verdict.disposition == .accept) != (verdict.reason == .none)
            {
                found.append(
                    "part \(verdict.partID), trigger \(number + 1): \(verdict.disposition.rawValue)/\(verdict.reason.text)"
                )
            }
        }
        return found.count > 10 ? Array(found.prefix(10)) + ["and \(found.count - 10) more"] : found
    }

    private static func compare(
        _ arrivals: [ReaderReport.Arrival], with said: [Said], _ name: String
    ) -> [String] {
        let heard = arrivals.map { Said(sequence: $0.sequence, partID: $0.partID) }
        let (expected, found) = (Set(said), Set(heard))
        var problems: [String] = []
        if !expected.isSubset(of: found) { problems.append("\(name): \(expected.subtracting(found).count) missing") }
        if !found.isSubset(of: expected) {
            problems.append("\(name): \(found.subtracting(expected).count) that are not in the journal")
        }
        if found.count != heard.count { problems.append("\(name): \(heard.count - found.count) twice") }
        return problems
    }
}
