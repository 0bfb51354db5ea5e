import Foundation
import Glibc
import Locking
import Testing

/// The `beltwatch` program, run as a person or a script would: the one that was built beside the tests.
final class RunningCommand: Sendable {
    struct Result {
        /// Negative where a signal ended the process.
        let status: Int32
        let output: String
        let errors: String
    }

    private struct Heard {
        var output = ""
        var errors = ""
        var endedStreams = 0
        var status: Int32?
    }

    /// Far beyond what any command here takes, because trainings run at the lowest priority.
    private static let limit: Duration = .seconds(600)

    /// Where SwiftPM puts executables: the directory that the test bundle itself runs from.
    static var program: URL {
        let tests = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        return URL(filePath: tests ?? CommandLine.arguments[0]).deletingLastPathComponent().appending(path: "beltwatch")
    }

    private let process: Lock<Process>
    private let heard: Monitor<Heard>
    private let processID: pid_t
    private let arguments: [String]

    /// - Parameter cpu: A CPU that qemu-user emulates, as `qemu-x86_64 -cpu help` calls it; nil runs on this one.
    init(_ arguments: [String], in directory: String? = nil, emulating cpu: String? = nil) throws {
        let process = Process()
        process.executableURL = cpu == nil ? Self.program : URL(filePath: "/usr/bin/qemu-x86_64")
        process.arguments = (cpu.map { ["-cpu", $0, Self.program.path] } ?? []) + arguments
        process.standardInput = FileHandle.nullDevice
        // Help as it is on a wide terminal, where no example is wrapped.
        var environment = ProcessInfo.processInfo.environment.merging(["COLUMNS": "400"]) { $1 }
        // What is set for this CPU would have OpenBLAS take kernels that the emulated one lacks.
        if cpu != nil { environment["OPENBLAS_CORETYPE"] = nil }
        process.environment = environment
        if let directory { process.currentDirectoryURL = URL(filePath: directory) }
        let heard = Monitor(Heard())
        self.heard = heard
        self.arguments = arguments
        for (stream, place) in [(Pipe(), \Heard.output), (Pipe(), \Heard.errors)]
            as [(Pipe, WritableKeyPath<Heard, String> & Sendable)]
        {
            if place == \Heard.output { process.standardOutput = stream } else { process.standardError = stream }
            let handle = stream.fileHandleForReading
            Thread.detachNewThread {
                while case let data = handle.availableData, !data.isEmpty {
                    let text = String(decoding: data, as: UTF8.self)
                    heard.withLock { $0[keyPath: place] += text }
                }
                heard.withLock { $0.endedStreams += 1 }
            }
        }
        process.terminationHandler = { process in
            let status = process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus
            heard.withLock { $0.status = status }
        }
        try process.run()
        processID = process.processIdentifier
        self.process = Lock(process)
    }

    deinit {
        // A test that failed half-way leaves no process behind.
        if heard.withLock({ $0.status == nil }) { kill(processID, SIGKILL) }
    }

    func signal(_ number: Int32) { kill(processID, number) }

    /// Waits until the command has written `text` to standard error.
    func waitForErrors(containing text: String) throws {
        let found = heard.wait(atMost: Self.limit) { heard -> Bool? in
            if heard.errors.contains(text) { return true }
            return heard.status == nil ? nil : false
        }
        try #require(found == true, "\(arguments) did not say '\(text)': \(heard.withLock { $0.errors })")
    }

    /// Waits for the end of the process and of what it says.
    func result() throws -> Result {
        let result = heard.wait(atMost: Self.limit) { heard -> Result? in
            guard let status = heard.status, heard.endedStreams == 2 else { return nil }
            return Result(status: status, output: heard.output, errors: heard.errors)
        }
        return try #require(
            result, "\(arguments) did not end; it said: \(heard.withLock { $0.output + $0.errors })")
    }
}

/// Runs a command to its end.
func beltwatch(_ arguments: String..., in directory: String? = nil) throws -> RunningCommand.Result {
    try RunningCommand(arguments, in: directory).result()
}

/// Runs a command that must succeed.
@discardableResult
func succeedingBeltwatch(_ arguments: String...) throws -> RunningCommand.Result {
    let result = try RunningCommand(arguments).result()
    try #require(result.status == 0, "\(arguments): \(result.errors)")
    return result
}

/// Runs a command that must refuse, and expects its exit status and words of its message.
func expectRefusal(
    _ arguments: [String], status: Int32, saying words: String..., sourceLocation: SourceLocation = #_sourceLocation
) throws {
    let result = try RunningCommand(arguments).result()
    #expect(result.status == status, "\(arguments): \(result.errors)", sourceLocation: sourceLocation)
    for word in words {
        #expect(result.errors.contains(word), "\(arguments): \(result.errors)", sourceLocation: sourceLocation)
    }
}
