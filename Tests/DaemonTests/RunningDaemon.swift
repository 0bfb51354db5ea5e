import Foundation
import Glibc
import InspectionProtocol
import Locking
import Messaging
import Testing

/// A `beltwatchd` of its own for one test: the program that was built beside the tests.
final class RunningDaemon: Sendable {
    private struct Output {
        var text = ""
        var errors = ""
        var endedStreams = 0
        var exitStatus: Int32?
    }

    private let process: Lock<Process>
    private let output: Monitor<Output>
    let processID: pid_t

    /// Where SwiftPM puts executables: the directory that the test bundle itself runs from.
    static var program: URL {
        let tests = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        return URL(filePath: tests ?? CommandLine.arguments[0]).deletingLastPathComponent().appending(
            path: "beltwatchd")
    }

    /// - Parameter disk: A directory in which the daemon, and nobody else, finds a RAM disk of 16 MiB.
    init(_ arguments: [String], environment: [String: String] = [:], disk: String? = nil) throws {
        let process = Process()
        process.executableURL = disk == nil ? Self.program : URL(filePath: "/usr/bin/unshare")
        let mount = "mount -t tmpfs -o size=16m none \"$1\" && shift && exec \"$@\""
        process.arguments =
            (disk.map { ["-Urm", "/bin/sh", "-c", mount, "sh", $0, Self.program.path] } ?? []) + arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        let output = Monitor(Output())
        self.output = output
        for (stream, place) in [(Pipe(), \Output.text), (Pipe(), \Output.errors)]
            as [(Pipe, WritableKeyPath<Output, String> & Sendable)]
        {
            if place == \Output.text { process.standardOutput = stream } else { process.standardError = stream }
            let handle = stream.fileHandleForReading
            Thread.detachNewThread {
                while case let data = handle.availableData, !data.isEmpty {
                    let text = String(decoding: data, as: UTF8.self)
                    output.withLock { $0[keyPath: place] += text }
                }
                output.withLock { $0.endedStreams += 1 }
            }
        }
        process.terminationHandler = { process in
            let status = process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus
            output.withLock { $0.exitStatus = status }
        }
        try process.run()
        processID = process.processIdentifier
        self.process = Lock(process)
    }

    deinit {
        // A test that failed half-way leaves no daemon behind.
        if output.withLock({ $0.exitStatus == nil }) { kill(processID, SIGKILL) }
    }

    var errors: String { output.withLock { $0.errors } }

    func signal(_ number: Int32) { kill(processID, number) }

    /// Waits for the end of the process and of what it says; negative where a signal ended it.
    func exitStatus(limit: Duration = .seconds(240)) throws -> Int32 {
        try #require(
            output.wait(atMost: limit) { $0.endedStreams == 2 ? $0.exitStatus : nil },
            "beltwatchd did not end; it said: \(errors)")
    }

    /// Waits until the daemon publishes or is over, and says whether it is over.
    func hasEndedBeforePublishing() -> Bool {
        output.wait(atMost: .seconds(60)) { output -> Bool? in
            if output.text.contains("publishing ") { return false }
            return output.endedStreams == 2 && output.exitStatus != nil ? true : nil
        } ?? false
    }

    /// Waits until the daemon has said where it publishes.
    func endpoint(of key: String) throws -> Endpoint {
        let prefix = key == "recovery" ? "answering recovery on " : "publishing \(key) on "
        let text = output.wait(atMost: .seconds(60)) { output -> String? in
            if output.exitStatus != nil { return "" }
            let line = output.text.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
                .first { $0.hasPrefix(prefix) }
            return line.map { String($0.dropFirst(prefix.count)) }
        }
        let found = try #require(text, "beltwatchd did not say where it publishes \(key): \(errors)")
        try #require(!found.isEmpty, "beltwatchd ended: \(errors)")
        return try Endpoint(found)
    }

    /// A subscriber to both sockets.
    func subscriber() throws -> Subscriber {
        try Subscriber(
            connecting: [try endpoint(of: "verdicts"), try endpoint(of: "results")], to: [.everything], in: Context())
    }
}

extension Subscriber {
    /// Receives until `condition` holds for all that came, at most a minute.
    mutating func receive(until condition: ([Message]) -> Bool) throws -> [Message] {
        let deadline = SuspendingClock.now + .seconds(60)
        var messages: [Message] = []
        while !condition(messages) {
            try #require(
                SuspendingClock.now < deadline, "what was waited for did not come among \(messages.count) messages")
            if let received = try receive(timeout: .milliseconds(200)) { messages.append(received.message) }
        }
        return messages
    }
}

extension Message {
    var verdict: Verdict? { if case .verdict(let verdict) = body { verdict } else { nil } }
    var result: PartResult? { if case .result(let result) = body { result } else { nil } }
    var heartbeat: Heartbeat? { if case .heartbeat(let heartbeat) = body { heartbeat } else { nil } }
    var event: StationEvent? { if case .event(let event) = body { event } else { nil } }
    var health: HealthReport? { if case .health(let health) = body { health } else { nil } }
    var state: StateReport? { if case .state(let report) = body { report } else { nil } }
}

/// The datagram socket of a service manager, at an abstract address of its own.
final class NotifySocket {
    let address = "@beltwatch-\(UUID().uuidString)"
    private let descriptor: Int32

    init() throws {
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        var socketAddress = sockaddr_un()
        socketAddress.sun_family = sa_family_t(AF_UNIX)
        let bytes = [0] + address.utf8.dropFirst()
        withUnsafeMutableBytes(of: &socketAddress.sun_path) { $0.copyBytes(from: bytes) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
        let result = withUnsafePointer(to: &socketAddress) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, length) }
        }
        try #require(result == 0, "cannot bind \(address): \(String(cString: strerror(errno)))")
        var limit = timeval(tv_sec: 60, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(descriptor) }

    /// Receives until a message comes, and returns all up to it.
    func receive(until wanted: String) throws -> [String] {
        var messages: [String] = []
        while messages.last != wanted {
            var bytes = [UInt8](repeating: 0, count: 4096)
            let count = recv(descriptor, &bytes, bytes.count, 0)
            try #require(count > 0, "\(wanted) never came; what came was \(messages)")
            messages.append(String(decoding: bytes[..<count], as: UTF8.self))
        }
        return messages
    }
}
