import Foundation
import Testing

@testable import LineLoad

/// The figure as `make load` runs it, in processes of its own; times are the benchmark's business and not asserted.
@Suite struct MeasureTests {
    private struct Ending {
        var status: Int32
        var report: LoadReport?
        var errors: String
    }

    private func run(_ options: [String]) throws -> Ending {
        let tests = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let process = Process()
        process.executableURL = URL(filePath: tests).deletingLastPathComponent().appending(path: "LineLoad")
        process.arguments = options
        let (output, errors) = (Pipe(), Pipe())
        process.standardOutput = output
        process.standardError = errors
        try process.run()
        let text = try output.fileHandleForReading.readToEnd() ?? Data()
        let said = try errors.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return Ending(
            status: process.terminationStatus, report: try? JSONDecoder().decode(LoadReport.self, from: text),
            errors: String(decoding: said, as: UTF8.self))
    }

    /// Issue 5: 5,000 parts at 200 a second, one subscriber stopped and one flooding, nothing missing after replay.
    @Test func everyPartHasOneVerdictAtEverySubscriberAndInTheJournal() throws {
        let ending = try run(["--parts", "5000", "--rounds", "1", "--hostile-only", "--json"])
        let report = try #require(ending.report, "\(ending.errors)")
        let counts = try #require(report.audiences.first).counts
        #expect(ending.status == 0 && report.disagreements.isEmpty, "\(report.disagreements)")
        #expect(counts.triggers == 5000 && counts.verdictsInJournal == 5000 && counts.resultsInJournal == 5000)
        #expect(counts.verdictsAtHealthy == 5000)
        #expect(counts.verdictsAtStopped == 5000 && counts.resultsAtStopped == 5000)
        // It was really stopped, and really flooded.
        #expect(try #require(counts.verdictsAtStoppedBeforeReplay) < 4000)
        let flood = try #require(counts.flood)
        #expect(flood.requests > 1000 && flood.garbage > 1000)
    }

    @Test(arguments: [
        (["--parts", "0"], "--parts must be 1"), (["--rate", "0"], "--rate must be 1"),
        (["--rounds", "3", "--parts", "2"], "--rounds must be 1"), (["--scoring-time=-1"], "--scoring-time must be 0"),
    ])
    func whatCannotBeMeasuredIsRefused(options: [String], reason: String) throws {
        let ending = try run(options)
        #expect(ending.status == 64 && ending.errors.contains(reason), "\(ending.errors)")
    }

    @Test func withoutADirectoryForTheJournalThereIsNoFigure() throws {
        let ending = try run(["--parts", "1", "--rounds", "1", "--directory", "/dev/null"])
        #expect(ending.status == 1 && ending.errors.contains("LineLoad: error: "), "\(ending.errors)")
    }
}
