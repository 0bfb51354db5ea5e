import ArgumentParser
import Foundation
import Glibc
import InspectionProtocol
import Locking

/// Where a station is heard and asked.
struct StationEndpoints: ParsableArguments {
    @Option(help: "PUB A.", transform: Endpoint.init(_:)) var verdicts: Endpoint
    @Option(help: "PUB B.", transform: Endpoint.init(_:)) var results: Endpoint
    @Option(help: "The recovery endpoint.", transform: Endpoint.init(_:)) var recovery: Endpoint
}

/// A subscriber in a process of its own: this program once more, with the subcommand of a role.
///
/// It says `ready` on a line of its own, and a report when it ends. Its standard input is a pipe of ours, so that it
/// notices when we are gone.
final class Companion: Sendable {
    private struct Output {
        var data = Data()
        var isOver = false
    }

    let role: String
    private let identifier: pid_t
    private let input: FileHandle
    private let output = Monitor(Output())

    init(_ role: String, _ arguments: [String]) throws(LoadError) {
        self.role = role
        let process = Process()
        process.executableURL = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
        process.arguments = [role] + arguments
        let (input, output) = (Pipe(), Pipe())
        process.standardInput = input
        process.standardOutput = output
        do { try process.run() } catch { throw .notStarted(role: role, reason: "\(error)") }
        identifier = process.processIdentifier
        self.input = input.fileHandleForWriting
        let handle = output.fileHandleForReading
        Thread.detachNewThread { [output = self.output] in
            while case let data = handle.availableData, !data.isEmpty { output.withLock { $0.data += data } }
            output.withLock { $0.isOver = true }
        }
    }

    deinit {
        // SIGKILL reaches a stopped process, too.
        if !output.withLock({ $0.isOver }) { kill(identifier, SIGKILL) }
    }

    func waitUntilReady() throws(LoadError) {
        let isReady = output.wait(atMost: .seconds(60)) { output -> Bool? in
            if output.data.starts(with: Data("ready\n".utf8)) { return true }
            return output.isOver ? false : nil
        }
        guard isReady == true else { throw .notReady(role: role) }
    }

    func stop() { kill(identifier, SIGSTOP) }

    func resume() { kill(identifier, SIGCONT) }

    /// Tells a companion to end that does not know by itself when.
    func end() { try? input.close() }

    /// Waits for the end and what is said there.
    func report<Report: Decodable>(_ type: Report.Type, limit: Duration) throws(LoadError) -> Report {
        let data = output.wait(atMost: limit) { $0.isOver ? $0.data : nil }
        guard let data, let report = try? JSONDecoder().decode(type, from: data.dropFirst("ready\n".utf8.count)) else {
            throw .noReport(role: role)
        }
        return report
    }
}

/// One line for the process that started this one.
func say(_ line: String) {
    FileHandle.standardOutput.write(Data((line + "\n").utf8))
}

/// Ends this process, at once, when the one that started it is gone or wants it to.
func endWithParent(_ ending: @escaping @Sendable () -> Void = {}) {
    Thread.detachNewThread {
        _ = try? FileHandle.standardInput.readToEnd()
        ending()
        exit(0)
    }
}
