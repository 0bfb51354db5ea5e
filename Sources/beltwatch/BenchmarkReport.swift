import Foundation
import TensorKernels

/// What `beltwatch benchmark` prints.
struct BenchmarkReport: Encodable {
    /// As Linux calls it; nil where it gives no name, as on ARM.
    let cpu = Self.nameOfCPU()
    let cores = ProcessInfo.processInfo.activeProcessorCount

    /// Of those that the hot loops exist for, what the CPU and its operating system offer.
    let instructionSets = AvailableKernels.instructionSets

    /// The one that is used.
    let path = AvailableKernels.instructionSets.last

    /// The kernels that OpenBLAS has chosen.
    let openblas = AvailableKernels.openBLAS

    var selfCheck: [Path]?
    var frames: FrameTimes?

    /// One way to compute, and how far it is from the definition.
    struct Path: Encodable {
        let path: String
        let isRight: Bool

        /// Root mean square of the difference over that of the definition; nil where a result is no number, or where the
        /// path has no part in the work.
        let forward: Double?
        let inputGradient: Double?
        let weightGradient: Double?
        let scoring: Double?

        init(_ check: KernelSelfCheck) {
            func number(_ error: Double?) -> Double? { error.flatMap { $0.isFinite ? $0 : nil } }
            path = check.path
            isRight = check.isRight
            forward = number(check.forward)
            inputGradient = number(check.inputGradient)
            weightGradient = number(check.weightGradient)
            scoring = number(check.scoring)
        }
    }

    /// How long frames took.
    struct FrameTimes: Encodable {
        let model: String
        let threads: Int
        let frames: Int
        let medianMs: Double
        let minMs: Double
        let maxMs: Double
        let framesPerSecond: Double

        /// - Parameter times: At least one.
        init(_ times: [Duration], model: String, threads: Int) {
            let milliseconds = times.map { $0 / .milliseconds(1) }.sorted()
            self.model = model
            self.threads = threads
            frames = milliseconds.count
            medianMs = (milliseconds[(frames - 1) / 2] + milliseconds[frames / 2]) / 2
            minMs = milliseconds[0]
            maxMs = milliseconds[frames - 1]
            framesPerSecond = 1000 * Double(frames) / milliseconds.reduce(0, +)
        }
    }

    /// Paths that the self-check found wrong.
    var wrongPaths: [String] { (selfCheck ?? []).filter { !$0.isRight }.map(\.path) }

    /// The first CPU's; a box has no two kinds.
    private static func nameOfCPU() -> String? {
        let text = try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)
        let line = text?.split(separator: "\n").first { $0.hasPrefix("model name") }
        return line?.split(separator: ":", maxSplits: 1).last.map { $0.trimmingCharacters(in: .whitespaces) }
    }
}

// MARK: - For people

extension BenchmarkReport {
    var text: String {
        var lines = [
            "CPU               \(cpu ?? "without a name"), \(cores) cores",
            "instruction sets  \(instructionSets.joined(separator: ", "))",
            "runs on           \(path ?? "nothing"), OpenBLAS \(openblas ?? "of an unknown kind")",
        ]
        if let selfCheck {
            lines += ["", "relative error against the definition, at most \(KernelSelfCheck.limit):"]
            lines.append(Self.row("", ["forward", "input gradient", "weight gradient", "scoring"]))
            for path in selfCheck {
                let errors = [path.forward, path.inputGradient, path.weightGradient, path.scoring].map { error in
                    error.map { String(format: "%.1e", $0) } ?? "-"
                }
                lines.append(Self.row(path.path, errors) + (path.isRight ? "  right" : "  WRONG"))
            }
        }
        if let frames {
            lines += [
                "",
                String(
                    format: "%d frames on %d threads: median %.1f ms, min %.1f ms, max %.1f ms, %.2f frames/s",
                    frames.frames, frames.threads, frames.medianMs, frames.minMs, frames.maxMs,
                    frames.framesPerSecond),
            ]
        }
        return lines.joined(separator: "\n")
    }

    private static func row(_ first: String, _ cells: [String]) -> String {
        cells.reduce(first.padding(toLength: 10, withPad: " ", startingAt: 0)) { line, cell in
            line + String(repeating: " ", count: max(1, 17 - cell.count)) + cell
        }
    }
}
