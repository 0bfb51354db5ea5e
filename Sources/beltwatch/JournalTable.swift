import Foundation
import InspectionProtocol
import Journal

/// Entries of a journal for people: one line each, under a heading.
struct JournalTable {
    private static let partHeading =
        "time (UTC)                 session       part  kind     disposition  reason                      score  threshold"
        + "    latency"
    private static let eventHeading =
        "time (UTC)                 session       part  kind     severity     what happened"

    private(set) var isEmpty = true

    /// The line of a message, after the heading of its like if it is the first.
    mutating func lines(of message: Message) -> String {
        defer { isEmpty = false }
        let heading = message.body.kind == .event ? Self.eventHeading : Self.partHeading
        return (isEmpty ? heading + "\n" : "") + Self.line(of: message) + "\n"
    }

    private static func line(of message: Message) -> String {
        var line = String("\(message.envelope.sentAt)".prefix(23)).replacing("T", with: " ")
        line += left("\(message.envelope.session)", 11)
        if case .event(let event) = message.body {
            let part = event.partID.map { "\($0)" } ?? "-"
            line += left(part, 11) + "  " + right("event", 9) + right(event.severity.rawValue, 13)
            return line + text(of: event)
        }
        guard let verdict = message.verdict else { return "" }
        line += left("\(verdict.partID)", 11) + "  "
        line += right(message.body.kind.rawValue, 9) + right(verdict.disposition.rawValue, 13)
        line += right(verdict.reason.text, 24)
        line += left(verdict.score.map { String(format: "%.2f", $0) } ?? "-", 9)
        line += left(verdict.threshold.map { String(format: "%.2f", $0) } ?? "-", 11)
        line += left(verdict.latencyMicroseconds.map { String(format: "%.1f ms", Double($0) / 1000) } ?? "-", 11)
        if case .result(let result) = message.body, let picturable = result.details.picturable,
            let unpicturable = result.details.unpicturable
        {
            line += String(format: "  picturable z %.2f  unpicturable z %.2f", picturable.z, unpicturable.z)
        }
        line += message.evidence.map(text) ?? ""
        return line + (verdict.simulated ? "  simulated" : "")
    }

    /// What happened, and at whose wish.
    static func text(of event: StationEvent) -> String {
        let count = event.details["count"].map { ", \($0) times" } ?? ""
        return "\(event.name.rawValue): \(event.message)" + count + (event.peer.map { " (by \($0))" } ?? "")
    }

    /// Where the pictures were to go; what became of them is an event.
    private static func text(of evidence: Evidence) -> String {
        switch evidence.state {
        case .off: ""
        case .dropped: "  pictures dropped"
        case .queued, .stored: evidence.path.map { "  pictures in \($0)" } ?? ""
        }
    }

    private static func right(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(1, width - text.count))
    }

    private static func left(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(1, width - text.count)) + text
    }

    /// The sums, and what they rest on.
    static func text(of summary: JournalSummary) -> String {
        guard let sessions = summary.sessions, let period = summary.period else {
            return "no verdicts in the journal fit\n"
        }
        let number =
            sessions.count == 1
            ? "session \(sessions.lowerBound)" : "sessions \(sessions.lowerBound) to \(sessions.upperBound)"
        var text = "\(number), \(short(period.lowerBound)) to \(short(period.upperBound)) UTC\n\n"
        let (accepted, review, rejected) = (
            summary.count(of: .accept), summary.count(of: .review), summary.count(of: .reject)
        )
        text += "\(summary.seen) parts seen = \(accepted) accepted + \(review) review + \(rejected) rejected\n"
        for line in summary.lines where line.disposition != .accept {
            text += "  \(line.disposition.rawValue) for \(line.reason): \(line.count)\n"
        }
        if let missing = summary.missing?.filter({ $0.value > 0 }) {
            let lost = missing.sorted { $0.key.rawValue < $1.key.rawValue }.map { "\($0.value) \($0.key.rawValue)" }
            text += lost.isEmpty ? "no message is missing\n" : "missing in between: \(lost.joined(separator: ", "))\n"
        }
        return text
    }

    private static func short(_ time: UTCTimestamp) -> String {
        String("\(time)".prefix(19)).replacing("T", with: " ")
    }
}

extension ClosedRange<SessionNumber> {
    fileprivate var count: UInt64 { upperBound.value - lowerBound.value + 1 }
}

extension Message {
    /// What a result says about pictures; nil for other messages.
    var evidence: Evidence? { if case .result(let result) = body { result.details.evidence } else { nil } }

    /// What the message says about its part; nil where it is about none.
    var verdict: Verdict? {
        switch body {
        case .verdict(let verdict), .reject(let verdict): verdict
        case .result(let result): result.verdict
        case .event, .heartbeat, .state, .health: nil
        }
    }
}
