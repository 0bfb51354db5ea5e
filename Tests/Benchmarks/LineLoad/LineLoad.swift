import ArgumentParser
import Foundation

/// From capture to the verdict on the wire, under load: the daemon's line between a generator and its subscribers.
///
/// What is measured is `StationLine`, which the daemon runs as well. Not real are the camera, a generator that keeps a
/// fixed schedule, and the networks, a scorer that costs nothing.
@main
struct LineLoad: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "LineLoad",
        abstract: "Measures how long a station takes from capture to verdict on the wire, under load.",
        discussion: "make load and make test-long run it.",
        subcommands: [Measure.self, Reader.self, Flooder.self], defaultSubcommand: Measure.self)
}

/// One line for people; standard output belongs to the figures.
func note(_ line: String) {
    FileHandle.standardError.write(Data((line + "\n").utf8))
}

/// Why there are no figures.
enum LoadError: Error, CustomStringConvertible {
    case notStarted(role: String, reason: String)
    case notReady(role: String)
    case noReport(role: String)
    case lineFailed(reason: String)

    var description: String {
        switch self {
        case .notStarted(let role, let reason): "the \(role) cannot be started: \(reason)"
        case .notReady(let role): "the \(role) heard nothing of the station within a minute"
        case .noReport(let role): "the \(role) did not come to an end with a report"
        case .lineFailed(let reason): "the line failed: \(reason)"
        }
    }
}
