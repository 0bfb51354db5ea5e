import Foundation
import Testing

/// A script beside the tests as a process of its own, killed at the end of the scope.
struct PythonScript: ~Copyable {
    private let process = Process()
    private let output = Pipe()
    private var lines: LineReader

    init(_ name: String, _ arguments: [String]) throws {
        let script = URL(filePath: #filePath).deletingLastPathComponent().appending(path: name).path
        process.executableURL = URL(filePath: "/usr/bin/python3")
        process.arguments = [script] + arguments
        process.standardOutput = output
        lines = LineReader(descriptor: output.fileHandleForReading.fileDescriptor)
        try process.run()
    }

    deinit {
        // Children of Dispatch's threads inherit their blocked signals, so that SIGTERM would not arrive.
        kill(process.processIdentifier, SIGKILL)
    }

    func send(_ signal: Int32) {
        kill(process.processIdentifier, signal)
    }

    mutating func nextLine(timeout: Duration) throws -> String? {
        try lines.next(timeout: timeout)
    }
}

func hasPythonZeroMQ() async -> Bool {
    await withCheckedContinuation { continuation in
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/python3")
        process.arguments = ["-c", "import zmq"]
        process.standardError = FileHandle.nullDevice
        process.terminationHandler = { continuation.resume(returning: $0.terminationStatus == 0) }
        do { try process.run() } catch { continuation.resume(returning: false) }
    }
}

/// Lines from a pipe, waited for with a limit.
private struct LineReader {
    let descriptor: Int32
    private var buffer: [UInt8] = []

    init(descriptor: Int32) { self.descriptor = descriptor }

    mutating func next(timeout: Duration) throws -> String? {
        let deadline = SuspendingClock.now + timeout
        while true {
            if let end = buffer.firstIndex(of: UInt8(ascii: "\n")) {
                defer { buffer.removeFirst(end + 1) }
                return String(decoding: buffer[..<end], as: UTF8.self)
            }
            let remaining = max(.zero, SuspendingClock.now.duration(to: deadline))
            var item = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&item, 1, Int32((remaining / .milliseconds(1)).rounded(.up))) > 0 else { return nil }
            var bytes = [UInt8](repeating: 0, count: 4096)
            let count = read(descriptor, &bytes, bytes.count)
            guard count > 0 else { return nil }
            buffer += bytes.prefix(count)
        }
    }
}
