import Foundation
import InspectionProtocol

/// One part in one line, for people.
enum PartLine {
    static func text(of result: PartResult) -> String {
        var line = text(of: result.verdict)
        if let picturable = result.details.picturable, let unpicturable = result.details.unpicturable {
            line += String(format: "  picturable z %6.2f  unpicturable z %6.2f", picturable.z, unpicturable.z)
        }
        if let frame = result.details.frameIDs.first { line += "  frame \(frame.value)" }
        return line
    }

    static func text(of verdict: Verdict) -> String {
        let disposition = verdict.disposition.rawValue.padding(toLength: 6, withPad: " ", startingAt: 0)
        let reason = verdict.reason.text.padding(
            toLength: max(8, verdict.reason.text.count), withPad: " ", startingAt: 0)
        var line = "part \(String(format: "%4ld", Int(clamping: verdict.partID.value)))  \(disposition)  \(reason)"
        if let score = verdict.score, let threshold = verdict.threshold {
            line += String(format: "  score %7.2f  threshold %.2f", score, threshold)
        }
        return line
    }
}
