import ArgumentParser
import Foundation
import TensorKernels

/// `beltwatch benchmark`: what can this box do, and does it compute right?
struct Benchmark: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Says which kernels run on this CPU, whether they are right, and how long a frame takes.",
        discussion: """
            Examples:

              beltwatch benchmark --cpu
              beltwatch benchmark --model parts.safetensors
              beltwatch benchmark --model parts.safetensors --threads 4 --duration 1min --json

            --cpu holds the convolutions of every instruction set that this CPU and its operating system offer against \
            their definition; a path that computes wrongly ends with exit status 70. --model scores the model's own test \
            picture again and again, as the line scores a part, after a self-test that the model must pass. Its frames \
            per second are those of one station with the box to itself.
            """)

    @Flag(help: "Hold the kernels of every instruction set against the definition.")
    var cpu = false

    @Option(help: ArgumentHelp("Measure how long this model takes for a frame.", valueName: "file"))
    var model: String?

    @Option(help: "How many threads compute.")
    var threads = ProcessInfo.processInfo.activeProcessorCount

    @Option(help: ArgumentHelp("How long to measure. (default: 10s)", valueName: "time"))
    var duration: DurationArgument?

    @Flag(help: "Print the result as JSON on standard output.")
    var json = false

    func validate() throws {
        guard cpu || model != nil else { throw ValidationError("give --cpu, --model, or both") }
        guard duration == nil || model != nil else {
            throw ValidationError("--duration is how long to measure a --model, and none is given")
        }
        guard (1...256).contains(threads) else { throw ValidationError("--threads must be 1 to 256, not \(threads)") }
    }

    func run() throws {
        try reportingErrors {
            // A model that cannot be used is found before the work.
            let loaded = try model.map { try LoadedDetector(path: $0, threads: threads) }
            var report = BenchmarkReport()
            if cpu { report.selfCheck = KernelSelfCheck.all(threads: threads).map { BenchmarkReport.Path($0) } }
            if let model, let loaded { report.frames = try measure(loaded, path: model) }
            print(json ? String(decoding: try JSONEncoder.sorted.encode(report), as: UTF8.self) : report.text)
            let wrong = report.wrongPaths
            guard wrong.isEmpty else {
                throw Failure(
                    """
                    this machine computes wrongly with \(wrong.joined(separator: ", ")): its verdicts are not to be \
                    trusted
                    """, .internalFailure)
            }
        }
    }

    /// Scores until the time is over; the first frames, which fill caches and memory, do not count.
    private func measure(_ loaded: LoadedDetector, path: String) throws -> BenchmarkReport.FrameTimes {
        let interruption = Interruption()
        var progress = ProgressLine("scoring", total: nil)
        defer { progress.finish() }
        let picture = loaded.model.selfTest.image.normalised()
        for _ in 0..<3 { _ = loaded.detector.score(picture) }
        let clock = ContinuousClock()
        let end = clock.now + (duration?.duration ?? .seconds(10))
        var times: [Duration] = []
        repeat {
            if interruption.isRequested { throw Failure("interrupted after \(times.count) frames", .interrupted) }
            times.append(clock.measure { _ = loaded.detector.score(picture) })
            progress.update(done: times.count, remaining: max(0, clock.now.duration(to: end) / .seconds(1)))
        } while clock.now < end
        return BenchmarkReport.FrameTimes(times, model: path, threads: threads)
    }
}
