import Foundation
import Testing

extension CommandTests {
    /// What a box can do, on this CPU and on older ones that qemu-user emulates.
    @Suite struct BenchmarkTests {
        /// What of `beltwatch benchmark --json` is asserted.
        private struct Report: Decodable {
            struct Path: Decodable {
                let path: String
                let isRight: Bool
                let forward: Double
                let inputGradient: Double
                let weightGradient: Double
                let scoring: Double?
            }

            struct FrameTimes: Decodable {
                let frames: Int
                let threads: Int
                let medianMs: Double
                let minMs: Double
                let maxMs: Double
                let framesPerSecond: Double
            }

            let cpu: String?
            let cores: Int
            let instructionSets: [String]
            let path: String
            let openblas: String
            let selfCheck: [Path]?
            let frames: FrameTimes?
        }

        private static let allSets = ["baseline", "AVX2", "AVX-512"]

        /// Which of them the kernel says this CPU has: another witness than CPUID, which the program asks.
        private static let nativeSets: [String] = {
            let text = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
            let line = text.split(separator: "\n").first { $0.hasPrefix("flags") } ?? ""
            let flags = Set(line.split(separator: " "))
            if flags.isSuperset(of: ["avx512f", "avx512bw", "avx512vl", "avx512dq", "fma"]) { return allSets }
            return flags.isSuperset(of: ["avx2", "fma"]) ? Array(allSets.prefix(2)) : ["baseline"]
        }()

        /// A result that did not arrive must not look like one.
        @Test func aResultThatCannotBeWrittenIsAnError() throws {
            let process = Process()
            process.executableURL = RunningCommand.program
            process.arguments = ["benchmark", "--cpu", "--json"]
            process.standardOutput = FileHandle(forWritingAtPath: "/dev/full")
            let errors = Pipe()
            process.standardError = errors
            try process.run()
            let text = String(decoding: try errors.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
            process.waitUntilExit()
            #expect(process.terminationStatus == 73 && text.contains("standard output cannot be written"), "\(text)")
        }

        @Test func aDurationWithoutAModelIsRefused() throws {
            try expectRefusal(
                ["benchmark", "--cpu", "--duration", "3s"], status: 64, saying: "--duration is how long")
        }

        @Test func thisCPUComputesRight() throws {
            try expectRight(try report(of: RunningCommand(["benchmark", "--cpu", "--json"])), sets: Self.nativeSets)
        }

        @Test(
            .enabled(
                if: nativeSets.contains("AVX-512"),
                "this CPU has no AVX-512 and qemu-user emulates none: NOTHING HERE TESTS THE AVX-512 KERNELS"))
        func avx512ComputesRight() throws {
            let report = try report(of: RunningCommand(["benchmark", "--cpu", "--json"]))
            #expect(report.path == "AVX-512")
            #expect(report.selfCheck?.first { $0.path == "AVX-512" }?.isRight == true)
        }

        @Test(arguments: [
            ("Nehalem", ["baseline"], "Nehalem"), ("SandyBridge", ["baseline"], "Sandybridge"),
            ("Haswell", ["baseline", "AVX2"], "Haswell"), ("EPYC", ["baseline", "AVX2"], "Zen"),
        ])
        func anOlderCPUComputesRight(cpu: String, sets: [String], openBLAS: String) throws {
            let report = try report(of: RunningCommand(["benchmark", "--cpu", "--json"], emulating: cpu))
            try expectRight(report, sets: sets)
            #expect(report.openblas == openBLAS)
        }

        @Test func framesAreTimed() throws {
            let model = "\(try Workshop.trained())/model.safetensors"
            let report = try report(
                of: RunningCommand(["benchmark", "--model", model, "--threads", "2", "--duration", "1s", "--json"]))
            let frames = try #require(report.frames)
            #expect(report.selfCheck == nil)
            #expect(frames.frames >= 1 && frames.threads == 2)
            #expect(0 < frames.minMs && frames.minMs <= frames.medianMs && frames.medianMs <= frames.maxMs)
            let mean = 1000 / frames.framesPerSecond
            #expect(frames.minMs <= mean * 1.000_001 && mean <= frames.maxMs * 1.000_001)
        }

        @Test func peopleReadTheSame() throws {
            let model = "\(try Workshop.trained())/model.safetensors"
            let result = try succeedingBeltwatch("benchmark", "--cpu", "--model", model, "--duration", "0s")
            let best = try #require(Self.nativeSets.last)
            for words in ["CPU ", "instruction sets  baseline", "runs on           \(best)", "right", "1 frames on "] {
                #expect(result.output.contains(words), "\(result.output)")
            }
            #expect(!result.output.contains("WRONG"))
            #expect(result.errors.contains("scoring 1"), "\(result.errors)")
        }

        @Test func aModelThatCannotBeUsedIsRefused() throws {
            let directory = try TemporaryDirectory()
            try expectRefusal(
                ["benchmark", "--cpu", "--model", directory.file("absent")], status: 66, saying: "does not exist")
            let text = try directory.write(Data("not a model at all".utf8), to: "text")
            try expectRefusal(["benchmark", "--model", text], status: 65, saying: "no safetensors file")
        }

        private func report(of command: RunningCommand) throws -> Report {
            let result = try command.result()
            try #require(result.status == 0, "\(result.errors)")
            let decoder = JSONDecoder()
            decoder.keyDecodingStrategy = .convertFromSnakeCase
            return try decoder.decode(Report.self, from: Data(result.output.utf8))
        }

        private func expectRight(_ report: Report, sets: [String]) throws {
            #expect(report.instructionSets == sets && report.path == sets.last && report.cores >= 1)
            let checks = try #require(report.selfCheck)
            #expect(checks.map(\.path) == sets + ["OpenBLAS"])
            for check in checks {
                #expect(check.isRight)
                let scoring = check.scoring ?? (check.path == "OpenBLAS" ? 0 : .infinity)
                for error in [check.forward, check.inputGradient, check.weightGradient, scoring] {
                    #expect((0..<1e-5).contains(error), "\(check)")
                }
            }
        }
    }
}
