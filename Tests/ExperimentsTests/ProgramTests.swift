import Foundation
import Testing

@testable import Experiments

/// The program itself, with a stand-in for `beltwatch` (`stand-in.sh`).
@Suite struct ProgramTests {
    private let folder: String

    init() throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "experiments-\(UUID().uuidString)").path
        for category in ["pushpins", "screw_bag"] {
            try FileManager.default.createDirectory(
                atPath: "\(folder)/loco/\(category)/train", withIntermediateDirectories: true)
        }
        try FileManager.default.createDirectory(atPath: folder + "/work", withIntermediateDirectories: true)
        try SampleFigures.json().write(to: URL(filePath: folder + "/work/sample.json"))
    }

    /// - Parameter behaviour: Lines of a shell script, run before a training succeeds.
    private func start(_ options: [String], behaviour: String = "") throws -> (process: Process, output: Pipe) {
        try Data(behaviour.utf8).write(to: URL(filePath: folder + "/work/behaviour"))
        let tests = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let standIn = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "stand-in.sh").path
        let process = Process()
        process.executableURL = URL(filePath: tests).deletingLastPathComponent().appending(path: "Experiments")
        process.arguments =
            ["reproduce", "loco", "--program", standIn, "--work", folder + "/work", "--dataset", folder + "/loco"]
            + ["--jobs", "1", "--iterations", "7"] + options
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        try process.run()
        return (process, output)
    }

    /// What the program wrote until it ended.
    private func result(of running: (process: Process, output: Pipe)) throws -> (status: Int32, text: String) {
        let text = String(decoding: try running.output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        running.process.waitUntilExit()
        return (running.process.terminationStatus, text)
    }

    @Test func everyCategoryIsTrainedAsItsPaperDoesAndPrinted() throws {
        let (status, text) = try result(
            of: start(["--models", "dfsc-s puad-m", "--teachers", "/teachers", "--penalty", "/imagenet"]))
        #expect(status == 0, "\(text)")
        let calls = try String(contentsOfFile: folder + "/work/calls", encoding: .utf8).split(separator: "\n")
        func training(_ name: String) -> String {
            calls.first { $0.hasPrefix("train") && $0.contains("\(name).safetensors") }.map(String.init) ?? ""
        }
        #expect(training("pushpins/dfsc-s").contains("--iterations 7 "))
        #expect(training("pushpins/dfsc-s").contains("--margin 0.4 --teacher /teachers/teacher_small.safetensors"))
        #expect(training("screw_bag/dfsc-s").contains("--margin 2 "))
        #expect(!training("screw_bag/dfsc-s").contains("--penalty-images"))
        #expect(
            training("screw_bag/puad-m").hasSuffix(
                "--teacher /teachers/teacher_medium.safetensors --penalty-images /imagenet"))
        #expect(text.contains("'\(folder)/loco' has no juice_bottle; its line stays empty"))
        #expect(text.contains("| mean                | 87.50 (of 2)"), "\(text)")
    }

    @Test func aSignalEndsTheTrainingInOrderAndTheSameCommandGoesOn() throws {
        // Whoever writes waits for somebody who reads, and the other way round.
        mkfifo(folder + "/at-work", 0o600)
        let behaviour = """
            trap 'echo half > "$model.checkpoint"; exit 130' INT
            echo here > '\(folder)/at-work'
            while :; do sleep 0.01; done
            """
        let options = ["--models", "puad-s", "--categories", "pushpins"]
        let running = try start(options, behaviour: behaviour)
        _ = try FileHandle(forReadingFrom: URL(filePath: folder + "/at-work")).readToEnd()
        kill(running.process.processIdentifier, SIGTERM)
        let (status, text) = try result(of: running)
        #expect(status == 130 && text.contains("interrupted; the same command goes on from here"), "\(text)")

        let (again, _) = try result(of: start(options))
        #expect(again == 0)
        let calls = try String(contentsOfFile: folder + "/work/calls", encoding: .utf8).split(separator: "\n")
        #expect(calls[1].hasSuffix("--resume"))
    }

    /// The lock is the trainings' as well: one that goes on alone keeps others away.
    @Test func aFolderIsUsedByOneProgramAtATime() throws {
        let child: ChildProcess
        do {
            let first = try WorkFolder(folder + "/work")
            #expect(throws: TrialError.inUse(folder: folder + "/work")) { try WorkFolder(folder + "/work") }
            child = try ChildProcess("/bin/sleep", ["60"], output: "/dev/null", log: folder + "/log")
            withExtendedLifetime(first) {}
        }
        let (status, text) = try result(of: start(["--models", "puad-s"]))
        #expect(status == 75 && text.contains("somebody works in"), "\(text)")
        child.interrupt()
        #expect(child.collect().status == 128 + SIGINT)
        _ = try WorkFolder(folder + "/work")
    }

    @Test(arguments: [
        (["--categories", "bottle"], 64, "has no category 'bottle'"), (["--models", "puad"], 64, "no model 'puad'"),
        (["--categories", "juice_bottle"], 66, "juice_bottle/train' is not there"),
    ])
    func whatIsNotThereIsNamed(options: [String], status: Int32, reason: String) throws {
        let (found, text) = try result(of: start(options))
        #expect(found == status && text.contains(reason), "\(text)")
    }
}
