import AnomalyScoring
import Archive
import ArgumentParser
import Capture
import Evaluation
import Foundation
import Imaging

/// `beltwatch evaluate`: how well a model tells good parts from bad ones, and finds what is wrong with them.
struct Evaluate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Scores the test pictures of a data set and says how well good and bad are told apart.",
        discussion: """
            Examples:

              beltwatch evaluate bottle/ --model bottle.safetensors
              beltwatch evaluate tray/ --model tray.safetensors --maps maps/ --json > tray.json

            The folder is in MVTec AD or MVTec LOCO AD layout. Where it has a ground_truth folder, the anomaly maps are \
            measured too: pixel_AUROC, and AUPRO@0.3 (MVTec AD) or sPRO@0.05 with defects_config.json (MVTec LOCO AD), at \
            every threshold and at the pictures' own size. Where it has a validation folder, its good parts give the \
            picturable and the unpicturable score a threshold of their own; the fused one has the model's.

            --maps writes the anomaly map of every test picture as float TIFF at the picture's size to \
            maps/<category>/test/<kind>/<id>.tiff, which the official evaluators read, and a heat map for people beside it \
            as PNG.

            --json has category, layout and model_sha256, and under good, defects, image_AUROC, pixel_AUROC, AUPRO@0.3, \
            sPRO@0.05, conformal and f1_optimal the figures of the table with their intervals; null is what the data set \
            does not allow to measure.
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
            let interruption = Interruption()
            let session = EvaluationSession(
                detector: try LoadedDetector(path: model, threads: threads), refusesUnreadable: strict,
                interruption: interruption)
            // What is wrong with the masks themselves is found before the long work.
            let truths = try DatasetGroundTruth(of: dataset, interruption: interruption)
            let calibration = try session.score(dataset.validation, label: "calibrating")
            let tested = try session.score(images, label: "scoring") { picture, input in
                try truths?.checkSize(of: picture)
                if let maps { try write(picture, input, of: dataset, to: maps, by: session.model) }
            }
            let report = try EvaluationReport(
                of: tested.map(\.labelled), threshold: session.model.fusion.threshold,
                calibration: calibration.map(\.scores), localisation: try session.localisation(of: tested, in: truths))
            try show(report, of: dataset, by: session)
        }
    }

    private func write(
        _ picture: ScoredPicture, _ input: ModelImage, of dataset: DatasetFolder, to maps: String,
        by model: AnomalyModel
    ) throws {
        let path = picture.image.mapPath(in: maps, category: dataset.category)
        try TIFFFile.write(picture.localisationMap(by: model), to: path)
        let canonical = picture.maps.canonical(by: model.mapQuantiles, options: model.mapOptions)
        try PNGWriter.write(
            pixels: HeatMap.overlay(canonical, options: model.mapOptions, on: input),
            width: ModelImage.side, height: ModelImage.side, channels: 3,
            to: URL(filePath: path).deletingPathExtension().path + ".png")
    }

    private func show(_ report: EvaluationReport, of dataset: DatasetFolder, by session: EvaluationSession) throws {
        if json {
            let output = EvaluationOutput(
                category: dataset.category, layout: dataset.layout.rawValue, modelSHA256: session.detector.sha256,
                report: report)
            print(String(decoding: try JSONEncoder.plain.encode(output), as: UTF8.self))
        } else {
            let model = session.model
            print(
                "\(dataset.category), \(dataset.layout.rawValue) layout, by a model of \(model.method.rawValue), "
                    + "size \(model.size.rawValue)")
            print(report.table)
            if report.localisation == nil {
                print("\nno 'ground_truth' folder, so the maps are not measured")
            }
        }
    }
}

/// What `--json` prints: the report, and what it is about.
private struct EvaluationOutput: Encodable {
    let category: String
    let layout: String
    let modelSHA256: String
    let report: EvaluationReport

    private enum CodingKeys: String, CodingKey {
        case category, layout
        case modelSHA256 = "model_sha256"
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(category, forKey: .category)
        try container.encode(layout, forKey: .layout)
        try container.encode(modelSHA256, forKey: .modelSHA256)
        try report.encode(to: encoder)
    }
}
