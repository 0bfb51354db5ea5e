import ArgumentParser
import Foundation

/// `make reproduce-loco` and `make reproduce-mvtec`: the papers' full protocol, our column beside theirs.
struct Reproduce: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Trains as long as the papers do, category by category, and prints our figures beside the published.",
        discussion: """
            Examples:

              make reproduce-loco DATASET=/data/mvtec_loco_anomaly_detection
              make reproduce-mvtec DATASET=/data/mvtec_ad CATEGORIES="bottle cable" MODELS=puad-s
              make reproduce-loco DATASET=/data/loco TEACHERS=/data/teachers PENALTY=/data/imagenet

            A full training takes hours per category and model on a few processors. The tables are printed again after \
            every category; interrupted, the same command goes on. The published figures come from teachers that were \
            distilled on ImageNet and, but for DFSC and LA-EAD, from a penalty with ImageNet's pictures; TEACHERS names a \
            folder with such teachers (teacher_small.safetensors, teacher_medium.safetensors), PENALTY one with pictures. \
            Without them ours start from the teacher that we ship.
            """)

    @Argument(help: "Which protocol: loco or mvtec.")
    var protocolName: PublishedDataset

    @OptionGroup var workbench: WorkbenchOptions

    @Option(help: ArgumentHelp("Where the categories' folders are.", valueName: "folder"))
    var dataset: String

    @Option(help: ArgumentHelp("Only these, separated by spaces.", valueName: "names"))
    var categories: String?

    @Option(
        help: ArgumentHelp(
            "Which to train, of \(ModelKind.allCases.map(\.rawValue).joined(separator: ", ")), separated by spaces.",
            valueName: "names"))
    var models: String?

    @Option(help: "Fewer than the papers', to see it work.")
    var iterations = 70_000

    @Option(help: ArgumentHelp("Distilled teachers instead of ours.", valueName: "folder"))
    var teachers: String?

    @Option(help: ArgumentHelp("Pictures of anything, for all models that had the penalty.", valueName: "folder"))
    var penalty: String?

    func validate() throws {
        guard iterations >= 1 else { throw ValidationError("--iterations is at least 1, not \(iterations)") }
        _ = try chosenModels()
    }

    func run() throws {
        let chosen = try chosenCategories()
        let models = try chosenModels()
        note("\(chosen.count) categories, \(models.count) models each, \(iterations) iterations a model")
        let folder = try workbench.reporting { () throws(TrialError) in try WorkFolder(workbench.work) }
        defer { withExtendedLifetime(folder) {} }
        for category in chosen {
            try workbench.run(models.map { trial(of: category, $0) })
            try show(upTo: chosen, models)
        }
    }

    private func chosenModels() throws -> [ModelKind] {
        guard let models else { return protocolName.models }
        return try models.split(separator: " ").map { name in
            guard let kind = ModelKind(rawValue: String(name)) else {
                throw ValidationError(
                    "there is no model '\(name)', only \(ModelKind.allCases.map(\.rawValue).joined(separator: ", "))")
            }
            return kind
        }
    }

    /// - Throws: Where a category that was asked for is not there, or none is.
    private func chosenCategories() throws -> [String] {
        func isThere(_ category: String) -> Bool {
            FileManager.default.fileExists(atPath: "\(dataset)/\(category)/train")
        }
        if let categories {
            let names = categories.split(separator: " ").map(String.init)
            for name in names {
                guard protocolName.categories.contains(name) else {
                    throw ValidationError(
                        """
                        \(protocolName.title) has no category '\(name)', only \
                        \(protocolName.categories.joined(separator: ", "))
                        """)
                }
                guard isThere(name) else { throw missing("'\(dataset)/\(name)/train' is not there") }
            }
            return names
        }
        let present = protocolName.categories.filter(isThere)
        guard !present.isEmpty else {
            throw missing(
                "no category of \(protocolName.title) is in '\(dataset)'; DATASET names the folder of categories")
        }
        for category in protocolName.categories where !present.contains(category) {
            note("'\(dataset)' has no \(category); its line stays empty")
        }
        return present
    }

    private func missing(_ what: String) -> ExitCode {
        note("experiments: error: \(what)")
        return ExitCode(66)
    }

    func trial(of category: String, _ kind: ModelKind) -> Trial {
        var trial = Trial(
            name: "\(protocolName.rawValue)/\(category)/\(kind.rawValue)", dataset: "\(dataset)/\(category)",
            method: kind.method, size: kind.size, iterations: iterations)
        if kind.method == "dfsc", let margin = protocolName.margin(of: category) {
            trial.options += ["--margin", margin]
        }
        if let teachers {
            trial.options += ["--teacher", "\(teachers)/teacher_\(kind.size == "s" ? "small" : "medium").safetensors"]
        }
        if let penalty, kind.method == "puad" { trial.options += ["--penalty-images", penalty] }
        return trial
    }

    private func show(upTo categories: [String], _ models: [ModelKind]) throws {
        var figures: [String: [ModelKind: Figures]] = [:]
        for category in categories {
            for kind in models {
                figures[category, default: [:]][kind] = try workbench.outcome(of: trial(of: category, kind))?.figures
            }
        }
        let text = ReproductionTables(
            dataset: protocolName, models: models, iterations: iterations, figures: figures
        ).text
        print(text)
        let path = "\(workbench.work)/\(protocolName.rawValue).md"
        try Data((text + "\n").utf8).write(to: URL(filePath: path), options: .atomic)
        note("the tables are in '\(path)'")
    }
}

extension PublishedDataset: ExpressibleByArgument {}
