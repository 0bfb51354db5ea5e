import Foundation
import Glibc

/// Tells a person how far a long task is and when it will be done.
///
/// On a terminal one line is rewritten; in a log file a line appears every ten seconds. Everything goes to standard
/// error, so that standard output stays machine-readable.
struct ProgressLine {
    private let label: String
    private let total: Int?
    private let isTerminal = isatty(STDERR_FILENO) == 1
    private let start = Date()
    private let firstDone: Int
    private var lastShown = Date.distantPast
    private var lastWidth = 0

    /// - Parameters:
    ///   - total: How many steps make the task complete; nil where that is not known.
    ///   - done: How many of them were done before, by a run that is resumed.
    init(_ label: String, total: Int?, done: Int = 0) {
        self.label = label
        self.total = total
        firstDone = done
    }

    /// Shows the state if the last one shown is old enough.
    ///
    /// - Parameter remaining: What is left, in seconds, where the caller knows better than the pace so far.
    mutating func update(done: Int, detail: @autoclosure () -> String = "", remaining: Double? = nil) {
        let now = Date()
        guard now.timeIntervalSince(lastShown) >= (isTerminal ? 0.2 : 10) || done == total else { return }
        lastShown = now
        let elapsed = now.timeIntervalSince(start)
        let pace = Double(done - firstDone) / max(elapsed, 1e-9)
        let left = remaining ?? (pace > 0 ? total.map { Double($0 - done) / pace } : nil)
        var line = "\(label) \(done)" + (total.map { "/\($0)" } ?? "")
        if pace > 0 { line += String(format: "  %.2f/s", pace) }
        let detail = detail()
        if !detail.isEmpty { line += "  \(detail)" }
        if done != total, let left { line += "  ETA \(Self.clock(left))" }
        show(line)
    }

    /// Ends the line, so that what follows starts on its own.
    mutating func finish() {
        if isTerminal, lastWidth > 0 { write("\n") }
        lastWidth = 0
    }

    private mutating func show(_ line: String) {
        if isTerminal {
            let padding = String(repeating: " ", count: max(0, lastWidth - line.count))
            write("\r\(line)\(padding)")
            lastWidth = line.count
        } else {
            write(line + "\n")
        }
    }

    private func write(_ text: String) {
        FileHandle.standardError.write(Data(text.utf8))
    }

    /// Seconds as `h:mm:ss` or `m:ss`.
    static func clock(_ seconds: Double) -> String {
        let whole = Int(seconds.rounded())
        let (hours, minutes, rest) = (whole / 3600, whole / 60 % 60, whole % 60)
        return hours > 0
            ? String(format: "%d:%02d:%02d", hours, minutes, rest) : String(format: "%d:%02d", minutes, rest)
    }
}
