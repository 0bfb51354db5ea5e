import AnomalyScoring
import Archive
import ArgumentParser
import Foundation

/// `beltwatch import`: checkpoints of other projects in, a teacher or a model file out.
struct Import: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Reads PyTorch checkpoints of EfficientAD and PUAD, and exports, without running anything in them.",
        discussion: """
            Examples:

              beltwatch import models/teacher_small.pth --out teacher.safetensors
              beltwatch import output/1/trainings/mvtec_ad/bottle --good mvtec/bottle --out bottle.safetensors
              beltwatch import s_size/teacher/teacher.pt s_size/mvtec_loco/juice_bottle --good loco/juice_bottle \\
                  --out juice.safetensors
              beltwatch import last.ckpt --good parts/ --out parts.safetensors
              beltwatch import parts-puad/ --out parts.safetensors

            Takes files of torch.save, and safetensors files with the same names, of nelson1425/EfficientAD, LeapMind/PUAD \
            and anomalib; of a folder every .pth, .pt, .ckpt and .safetensors. A teacher alone becomes a file for \
            train --teacher. Networks become a model by looking at good parts, since none of the projects stores all that \
            a verdict needs: --good is a folder as for train, best the one that they were trained with. Its pictures give \
            the Gaussian, the map quantiles, the z-statistics and the threshold, and where the files lack them the \
            teacher's channel statistics. What beltwatch export wrote needs no pictures and gives the same model again.
            """)

    @Argument(help: ArgumentHelp("Checkpoints of one model.", valueName: "file-or-folder"))
    var checkpoints: [String]

    @Option(help: ArgumentHelp("The model or teacher file to write.", valueName: "file"))
    var out: String

    @Option(
        help: ArgumentHelp(
            "Refuse other names than those of \(CheckpointFormat.allValueStrings.joined(separator: ", "))."))
    var format: CheckpointFormat?

    @Flag(help: "Take the teacher and leave the rest.")
    var teacherOnly = false

    @Option(help: ArgumentHelp("Good parts to calibrate with.", valueName: "folder"))
    var good: String?

    @Option(help: ArgumentHelp("Look only at this part of the picture.", valueName: "x,y,width,height"))
    var region: RegionArgument?

    @Option(help: "How the weights of a calibrated model are stored: f32, or f16 at half the size.")
    var precision = WeightPrecision.float32

    @Option(
        help:
            "Share of good parts that may be rejected; by default 0.01, or the smallest that the pictures can promise.")
    var falseRejectBudget: Double?

    @Option(
        help: """
            Start of the random choice of 15 % of --good that measure, where the folder has no validation/good; by default \
            42.
            """)
    var seed: UInt64?

    @Flag(help: "Refuse a folder with unreadable pictures instead of skipping them.")
    var strict = false

    @Option(help: "How many threads compute.")
    var threads = ProcessInfo.processInfo.activeProcessorCount

    @Flag(help: "Print the result as JSON on standard output.")
    var json = false

    var splitSeed: UInt64 { seed ?? 42 }

    func validate() throws {
        guard !teacherOnly || good == nil else {
            throw ValidationError("--teacher-only needs no pictures; give either it or --good, not both")
        }
        let calibrates = region != nil || falseRejectBudget != nil || precision != .float32 || seed != nil || strict
        guard good != nil || !calibrates else {
            throw ValidationError(
                "--region, --precision, --false-reject-budget, --seed and --strict are about calibrating; give --good")
        }
        guard (1...256).contains(threads) else { throw ValidationError("--threads must be 1 to 256, not \(threads)") }
        if let budget = falseRejectBudget, !(budget > 0 && budget < 1) {
            throw ValidationError("--false-reject-budget must lie between 0 and 1, not \(budget)")
        }
    }

    func run() throws {
        try reportingErrors {
            do {
                try ImportSession(command: self).run()
            } catch let error as CheckpointImportError {
                // A missing file has its own exit status, whoever misses it.
                if let file = error.fileError { throw file }
                throw error
            }
        }
    }
}
