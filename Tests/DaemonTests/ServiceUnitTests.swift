import Foundation
import Testing

@Suite struct ServiceUnitTests {
    private static let analyzer = "/usr/bin/systemd-analyze"

    private static var unit: URL {
        URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Systemd/beltwatchd@.service")
    }

    @Test(
        .enabled(
            if: FileManager.default.isExecutableFile(atPath: analyzer),
            "systemd-analyze is not installed: the unit was not verified"))
    func systemdFindsNothingWrong() throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "unit-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        // The program of the unit must exist to be verified, and is not installed here.
        let text = try String(contentsOf: Self.unit, encoding: .utf8)
            .replacing("/usr/bin/beltwatchd", with: RunningDaemon.program.path)
        let copy = directory.appending(path: "beltwatchd@.service")
        try text.write(to: copy, atomically: true, encoding: .utf8)

        let (status, said) = try run(["verify", "--man=no", copy.path])
        #expect(status == 0 && said.isEmpty, "\(said)")
        let (exposure, report) = try run(["security", "--offline=yes", "--threshold=20", copy.path])
        #expect(exposure == 0, "more exposed than 2.0: \(report)")
    }

    private func run(_ arguments: [String]) throws -> (status: Int32, output: String) {
        let process = Process()
        process.executableURL = URL(filePath: Self.analyzer)
        process.arguments = arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return (process.terminationStatus, output)
    }
}
