import AnomalyScoring
import Archive
import ArgumentParser
import Capture
import Evaluation
import Foundation
import Imaging
import TensorKernels

/// `beltwatch evaluate`: how well a model tells good parts from bad ones.
struct Evaluate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Scores the test pictures of a data set and says how well good and bad are told apart.",
        discussion: """
            Examples:

              beltwatch evaluate bottle/ --model bottle.safetensors
              beltwatch evaluate tray/ --model tray.safetensors --maps maps/ --json > tray.json

            The folder is in MVTec AD or MVTec LOCO AD layout. --maps writes the anomaly map of every test picture as \
            float TIFF at the picture's size to maps/<category>/test/<kind>/<id>.tiff, which the official evaluators \
            read, and a heat map for people beside it as PNG.
            """)

    @Argument(help: ArgumentHelp("A data set with a test folder.", valueName: "folder"))
    var folder: String

    @Option(help: ArgumentHelp("The model file.", valueName: "file"))
    var model: String

    @Option(help: ArgumentHelp("Write anomaly maps here.", valueName: "folder"))
    var maps: String?

    @Flag(help: "Refuse unreadable pictures instead of skipping them.")
    var strict = false

    @Option(help: "How many threads compute.")
    var threads = ProcessInfo.processInfo.activeProcessorCount

    @Flag(help: "Print the result as JSON on standard output.")
    var json = false

    func validate() throws {
        guard (1...256).contains(threads) else { throw ValidationError("--threads must be 1 to 256, not \(threads)") }
    }

    func run() throws {
        try reportingErrors {
            let dataset = try DatasetFolder(folder)
            let images = try dataset.testImages()
            if let maps {
                let folder = "\(maps)/\(dataset.category)/test"
                try AtomicFile.createDirectory(folder)
                try AtomicFile.checkReplaceable("\(folder)/map.tiff")
            }
            let loaded = try LoadedDetector(path: model, threads: threads)
            let scores = try score(images, of: dataset, by: loaded)
            let report = try EvaluationReport(of: scores, threshold: loaded.model.fusion.threshold.value)
            if json {
                print(String(decoding: try JSONEncoder.plain.encode(report), as: UTF8.self))
            } else {
                print(report.table)
            }
        }
    }

    private func score(
        _ images: [DatasetImage], of dataset: DatasetFolder, by loaded: LoadedDetector
    ) throws -> [LabelledScores] {
        let interruption = Interruption()
        var progress = ProgressLine("scoring", total: images.count)
        defer { progress.finish() }
        var scores: [LabelledScores] = []
        var skipped = 0
        for (done, image) in images.enumerated() {
            if interruption.isRequested { throw Failure("interrupted after \(done) pictures", .interrupted) }
            let frame: Frame
            do {
                frame = try decodeImage(at: image.path)
            } catch {
                if strict { throw error }
                note("skipped: \(error)")
                skipped += 1
                continue
            }
            let picture = try naming(image.path) { try loaded.model.preprocessing.modelImage(of: frame) }
            let observation = loaded.detector.observe(picture.normalised())
            let raw = RawScores(observation, of: loaded.model)
            let fused = try naming(image.path) { try loaded.model.fusion.fuse(raw) }
            scores.append(
                LabelledScores(
                    defect: image.isGood ? nil : image.kind, picturable: fused.picturable.raw,
                    unpicturable: fused.unpicturable.raw, fused: fused.value))
            if let maps {
                let path = image.mapPath(in: maps, category: dataset.category)
                try TIFFFile.write(loaded.model.localisationMap(of: observation.maps, for: frame), to: path)
                try PNGWriter.write(
                    pixels: HeatMap.overlay(raw.map, on: picture), width: ModelImage.side, height: ModelImage.side,
                    channels: 3, to: URL(filePath: path).deletingPathExtension().path + ".png")
            }
            progress.update(done: done + 1)
        }
        if skipped > 0 {
            note("skipped \(skipped) of \(images.count) pictures that cannot be read; --strict refuses them instead")
        }
        return scores
    }
}

extension AnomalyModel {
    /// The anomaly map at the frame's size, `[1, height, width]`; zero outside the region that the model looks at.
    fileprivate func localisationMap(of maps: AnomalyMaps, for frame: Frame) -> Tensor {
        let region =
            preprocessing.region ?? RegionOfInterest(x: 0, y: 0, width: frame.width, height: frame.height)
        let inside = maps.enlarged(
            by: mapQuantiles, options: mapOptions, width: region.width, height: region.height)
        var whole = Tensor(shape: [1, frame.height, frame.width])
        for y in 0..<region.height {
            let target = (region.y + y) * frame.width + region.x
            whole.values.replaceSubrange(
                target..<target + region.width, with: inside.values[y * region.width..<(y + 1) * region.width])
        }
        return whole
    }
}
