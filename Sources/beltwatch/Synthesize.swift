import Archive
import ArgumentParser
import Capture
import Foundation
import SyntheticLine

/// `beltwatch synthesize`: a conveyor that exists nowhere, for demonstrations, tests and comparisons.
struct Synthesize: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Draws a procedural conveyor: a labelled data set or a recording.",
        discussion: """
            Examples:

              beltwatch synthesize dataset trays/ --logical 240
              beltwatch synthesize recording line.mkv --good 70 --logical 35 --structural 15

            The same seed and counts give the same pixels everywhere.
            """,
        subcommands: [SynthesizeDataset.self, SynthesizeRecording.self])
}

/// `beltwatch synthesize dataset`.
struct SynthesizeDataset: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dataset",
        abstract: "Writes a data set in MVTec LOCO AD layout, with masks and defects_config.json.",
        discussion: """
            Example:

              beltwatch synthesize dataset trays/
              beltwatch train --good trays/ --out trays.safetensors --iterations 1500
            """)

    @Argument(help: ArgumentHelp("Where to write; must not exist yet or be empty.", valueName: "folder"))
    var folder: String

    @Option(help: "Another seed draws other trays.")
    var seed: UInt64 = 1

    @Option(help: "Good parts in train/good.")
    var training = 360

    @Option(help: "Good parts in validation/good.")
    var validation = 60

    @Option(help: "Good parts in test/good.")
    var good = 120

    @Option(help: "Parts in test/logical_anomalies.")
    var logical = 240

    @Option(help: "Parts in test/structural_anomalies.")
    var structural = 120

    func validate() throws {
        guard [training, validation, good, logical, structural].allSatisfy({ (0...100_000).contains($0) }) else {
            throw ValidationError("counts must be 0 to 100000")
        }
    }

    func run() throws {
        try reportingErrors {
            var configuration = SyntheticDataset.Configuration()
            configuration.seed = seed
            configuration.trainingCount = training
            configuration.validationCount = validation
            configuration.goodCount = good
            configuration.logicalCount = logical
            configuration.structuralCount = structural
            try write(SyntheticDataset(configuration))
        }
    }

    private func write(_ dataset: SyntheticDataset) throws {
        let existing = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        guard existing.isEmpty else {
            throw Failure("'\(folder)' is not empty; name a new folder, nothing was overwritten", .outputFailed)
        }
        let interruption = Interruption()
        var progress = ProgressLine("drawing", total: dataset.items.count)
        defer { progress.finish() }
        for (done, item) in dataset.items.enumerated() {
            if interruption.isRequested { throw Failure("interrupted after \(done) pictures", .interrupted) }
            let labelled = item.render()
            try writePNG(labelled.image.pixels, labelled.image.width, labelled.image.height, 3, item.imagePath)
            for (region, mask) in labelled.masks.enumerated() {
                guard let path = item.maskPath(region: region) else { continue }
                try writePNG(mask.pixels, mask.width, mask.height, 1, path)
            }
            progress.update(done: done + 1)
        }
        try AtomicFile.replace(
            "\(folder)/defects_config.json",
            with: Array(try JSONEncoder.plain.encode(SyntheticDataset.defectDefinitions)))
        print("wrote \(dataset.items.count) pictures to \(folder)")
    }

    private func writePNG(_ pixels: [UInt8], _ width: Int, _ height: Int, _ channels: Int, _ name: String) throws {
        let path = "\(folder)/\(name)"
        try AtomicFile.createDirectory(URL(filePath: path).deletingLastPathComponent().path)
        try PNGWriter.write(pixels: pixels, width: width, height: height, channels: channels, to: path)
    }
}

/// `beltwatch synthesize recording`.
struct SynthesizeRecording: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "recording",
        abstract: "Writes a lossless recording of trays at constant pitch, and a manifest beside it.",
        discussion: """
            Example:

              beltwatch synthesize recording line.mkv
              beltwatch replay line.mkv --model trays.safetensors --manifest line.manifest.json

            The manifest names each part's trigger frame, what is wrong with it, and the interval trigger that meets \
            them all.
            """)

    @Argument(help: ArgumentHelp("The recording to write (Matroska, FFV1).", valueName: "file.mkv"))
    var path: String

    @Option(help: "Another seed draws other trays.")
    var seed: UInt64 = 1

    @Option(help: "Good parts.")
    var good = 70

    @Option(help: "Parts with a logical defect.")
    var logical = 35

    @Option(help: "Parts with a structural defect.")
    var structural = 15

    @Option(help: "Frames from part to part.")
    var framesPerPart = 8

    @Option(help: "Frames per second.")
    var framesPerSecond = 30

    func validate() throws {
        guard [good, logical, structural].allSatisfy({ (0...100_000).contains($0) }), good + logical + structural > 0
        else { throw ValidationError("counts must be 0 to 100000, and at least one part") }
        guard (1...1000).contains(framesPerPart), (1...1000).contains(framesPerSecond) else {
            throw ValidationError("--frames-per-part and --frames-per-second must be 1 to 1000")
        }
        guard path.hasSuffix(".mkv") else {
            throw ValidationError("the recording is Matroska; let its name end in .mkv, not '\(path)'")
        }
    }

    func run() throws {
        try reportingErrors {
            var configuration = SyntheticRecording.Configuration()
            configuration.seed = seed
            configuration.goodCount = good
            configuration.logicalCount = logical
            configuration.structuralCount = structural
            configuration.framesPerPart = framesPerPart
            configuration.framesPerSecond = framesPerSecond
            try write(SyntheticRecording(configuration))
        }
    }

    private func write(_ recording: SyntheticRecording) throws {
        let manifest = recording.manifest
        let manifestPath = URL(filePath: path).deletingPathExtension().path + ".manifest.json"
        for existing in [path, manifestPath] where FileManager.default.fileExists(atPath: existing) {
            throw Failure("'\(existing)' exists already; name a new recording, nothing was overwritten", .outputFailed)
        }
        let interruption = Interruption()
        let writer = try RecordingWriter(
            path: path, width: manifest.width, height: manifest.height, framesPerSecond: manifest.framesPerSecond)
        var progress = ProgressLine("drawing", total: manifest.frameCount)
        defer { progress.finish() }
        for number in 0..<manifest.frameCount {
            if interruption.isRequested { throw Failure("interrupted; no recording was left behind", .interrupted) }
            try writer.append(recording.frame(number).pixels)
            progress.update(done: number + 1)
        }
        try writer.finish()
        try AtomicFile.replace(manifestPath, with: Array(try JSONEncoder.plain.encode(manifest)))
        print(
            """
            wrote \(path): \(manifest.parts.count) parts in \(manifest.frameCount) frames, \
            \(manifest.width)×\(manifest.height), \(manifest.framesPerSecond) fps
            wrote \(manifestPath): trigger every \(manifest.trigger.every) frames from frame \(manifest.trigger.offset)
            """)
    }
}

extension JSONEncoder {
    /// For values that name their own keys.
    static var plain: JSONEncoder {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes, .prettyPrinted]
        return encoder
    }
}
