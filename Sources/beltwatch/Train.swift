import AnomalyScoring
import Archive
import ArgumentParser
import ConvNets
import Foundation
import Glibc
import Imaging
import TensorKernels
import Training

/// `beltwatch train`: good parts in, a model file out.
struct Train: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Trains a model from pictures of good parts alone.",
        discussion: """
            Examples:

              beltwatch train --good bottle/ --out bottle.safetensors --iterations 5000
              beltwatch train --good monday.mkv --from 10s --to 4min --take-every 5 --region 100,40,320,320 \\
                  --out caps.safetensors --time-budget 2h
              beltwatch train --good bottle/ --out bottle.safetensors --iterations 10000 --resume
              beltwatch train --good pushpins/ --method dfsc --margin 0.4 --out pushpins.safetensors
              beltwatch train --good caps/ --method la-ead --size m --out caps.safetensors

            --good is a folder in MVTec AD or MVTec LOCO AD layout (its train/good trains, its validation/good measures), \
            a folder of pictures of good parts, or a recording of good parts. Ctrl-C leaves a checkpoint beside the model \
            that --resume continues from, with the same numbers as if nothing had happened. A finished training can be \
            resumed with more --iterations; its steps are then long again until the last twentieth of them.

            efficient-ad and puad train the same networks; efficient-ad rejects by its map alone, puad by the sum of both \
            scores, as la-ead does. dfsc trains an autoencoder that keeps its distance from the teacher, and rejects by its \
            map alone. --resume with the same --iterations only measures again: another --sigmoid, --ema, or \
            --feature-source needs no new training, nor does puad after efficient-ad.
            """)

    @Option(help: ArgumentHelp("Good parts: a folder of pictures or a recording.", valueName: "folder-or-recording"))
    var good: String

    @Option(help: ArgumentHelp("The model file to write.", valueName: "file"))
    var out: String

    @Option(help: "How the model is trained and scores: efficient-ad, puad, dfsc or la-ead.")
    var method = AnomalyScoring.Method.puad

    @Option(help: "Which networks: s (PDN-S), or m (PDN-M), three times the work.")
    var size = NetworkSize.small

    @OptionGroup(title: "Options of methods") var methodOptions: TrainMethodOptions

    @Option(help: "How often to look at a picture. (default: 70000, as in the papers: many hours)")
    var iterations: Int?

    @Option(help: ArgumentHelp("Train this long instead (90s, 20min, 2h).", valueName: "duration"))
    var timeBudget: DurationArgument?

    @Option(help: "Start of every random draw; the same seed and pictures give the same model.")
    var seed: UInt64 = 42

    @Option(
        help: ArgumentHelp("Pictures of good parts that only measure, instead of 15 % of --good.", valueName: "folder"))
    var calibration: String?

    @Option(
        help: ArgumentHelp(
            "Teacher weights of this size, instead of the ones that come with the program.", valueName: "file"))
    var teacher: String?

    @Option(help: "How the weights are stored: f32, or f16 at half the size.")
    var precision = WeightPrecision.float32

    @Option(
        help:
            "Share of good parts that may be rejected; by default 0.01, or the smallest that the pictures can promise.")
    var falseRejectBudget: Double?

    @Option(help: ArgumentHelp("Look only at this part of the picture.", valueName: "x,y,width,height"))
    var region: RegionArgument?

    @OptionGroup var section: RecordingSection

    @Flag(help: "Refuse a folder with unreadable pictures instead of skipping them.")
    var strict = false

    @Flag(help: "Continue from the checkpoint beside the model.")
    var resume = false

    @Option(
        help: ArgumentHelp(
            "Memory for the penalty's pictures and the teacher's features of the others (512MiB, 4GiB).",
            valueName: "size"))
    var cacheMemory = ByteCountArgument.fourGiB

    @Option(help: "How many threads compute.")
    var threads = ProcessInfo.processInfo.activeProcessorCount

    @Flag(help: "Print the result as JSON on standard output.")
    var json = false

    func validate() throws {
        guard iterations == nil || timeBudget == nil else {
            throw ValidationError("give either --iterations or --time-budget, not both")
        }
        if let iterations, iterations < 1 {
            throw ValidationError("--iterations must be at least 1, not \(iterations)")
        }
        if let timeBudget, timeBudget.duration < .seconds(1) {
            throw ValidationError("--time-budget must be at least 1s")
        }
        guard (1...256).contains(threads) else { throw ValidationError("--threads must be 1 to 256, not \(threads)") }
        if let budget = falseRejectBudget, !(budget > 0 && budget < 1) {
            throw ValidationError("--false-reject-budget must lie between 0 and 1, not \(budget)")
        }
        try methodOptions.validate(for: method)
    }

    func run() throws {
        try reportingErrors {
            yieldToTheLine()
            try TrainingSession(command: self).run()
        }
    }

    /// Training must never cost the line a frame: lowest priority, scheduled as a batch job.
    private func yieldToTheLine() {
        _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 19)
        // SCHED_BATCH of <sched.h>, which the Glibc module does not export.
        let batch: Int32 = 3
        var parameters = sched_param()
        _ = sched_setscheduler(0, batch, &parameters)
    }
}

extension ByteCountArgument {
    static let fourGiB = ByteCountArgument(count: 4 << 30)

    private init(count: Int) { self.count = count }
}

extension NetworkSize: ExpressibleByArgument {}
extension WeightPrecision: ExpressibleByArgument {}
