import Foundation

/// The files of one trial: what is there says what is done.
///
/// `<name>.safetensors` with its checkpoint, `<name>.record.json` (`TrialRecord`), `<name>.training.json` and
/// `<name>.evaluation.json` as `beltwatch` printed them, each of these two written whole or not at all, and `<name>.log`.
struct TrialFiles {
    let trial: Trial
    private let folder: String

    init(_ trial: Trial, in folder: String) {
        self.trial = trial
        self.folder = folder
    }

    var model: String { path(of: trial.name, ".safetensors") }
    var checkpoint: String { model + ".checkpoint" }
    var training: String { path(of: trial.name, ".training.json") }
    var evaluation: String { path(of: trial.name, ".evaluation.json") }
    var log: String { path(of: trial.name, ".log") }
    private var recordPath: String { path(of: trial.name, ".record.json") }

    private func path(of trial: String, _ suffix: String) -> String { "\(folder)/\(trial)\(suffix)" }

    /// What the model is made with, but for where the work folder and other trials' files lie.
    private var settings: [String] {
        let inside = folder + "/"
        let dataset = trial.dataset.hasPrefix(inside) ? String(trial.dataset.dropFirst(inside.count)) : trial.dataset
        let common = ["--method", trial.method, "--size", trial.size, "--iterations", "\(trial.iterations)"]
        return ["--good", dataset] + common + trial.options
            + (trial.extractorFrom.map { ["extractor of \($0)"] } ?? [])
            + (trial.networksFrom.map { ["networks of \($0)"] } ?? [])
    }

    /// All options of `beltwatch train`.
    func trainingArguments(threads: Int) -> [String] {
        var arguments = [
            "train", "--good", trial.dataset, "--out", model, "--method", trial.method, "--size", trial.size,
            "--iterations", "\(trial.iterations)", "--threads", "\(threads)", "--json",
        ]
        arguments += trial.options
        if let other = trial.extractorFrom { arguments += ["--extractor", path(of: other, ".safetensors")] }
        if FileManager.default.fileExists(atPath: checkpoint) { arguments.append("--resume") }
        return arguments
    }

    func evaluationArguments(threads: Int) -> [String] {
        ["evaluate", trial.dataset, "--model", model, "--threads", "\(threads)", "--json"]
    }

    /// Makes the folder, and takes over the networks of the trial that this one measures anew.
    func prepare() throws(TrialError) {
        let files = FileManager.default
        do {
            try files.createDirectory(
                atPath: URL(filePath: model).deletingLastPathComponent().path, withIntermediateDirectories: true)
            if let other = trial.networksFrom, !files.fileExists(atPath: checkpoint) {
                // Whole or not at all: half a checkpoint would never resume.
                let partial = checkpoint + ".partial"
                if files.fileExists(atPath: partial) { try files.removeItem(atPath: partial) }
                try files.copyItem(atPath: path(of: other, ".safetensors.checkpoint"), toPath: partial)
                try files.moveItem(atPath: partial, toPath: checkpoint)
            }
        } catch {
            throw .notWritable(path: checkpoint, reason: error.localizedDescription)
        }
    }

    /// What earlier attempts took.
    ///
    /// - Throws: Where they had other settings.
    func record() throws(TrialError) -> TrialRecord {
        guard FileManager.default.fileExists(atPath: recordPath) else { return TrialRecord(options: settings) }
        let record = try read(TrialRecord.self, from: recordPath)
        guard record.options == settings else {
            throw .otherSettings(trial: trial.name, found: record.options, expected: settings, folder: folder)
        }
        return record
    }

    func save(_ record: TrialRecord) throws(TrialError) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        do {
            try encoder.encode(record).write(to: URL(filePath: recordPath), options: .atomic)
        } catch {
            throw .notWritable(path: recordPath, reason: error.localizedDescription)
        }
    }

    var isTrained: Bool { FileManager.default.fileExists(atPath: training) }

    var isEvaluated: Bool { FileManager.default.fileExists(atPath: evaluation) }

    /// - Returns: nil while the trial is not finished.
    func outcome() throws(TrialError) -> TrialOutcome? {
        guard isTrained, isEvaluated else { return nil }
        return TrialOutcome(record: try record(), figures: try read(Figures.self, from: evaluation))
    }

    /// The last line that the running program wrote, without what it says about losses.
    var progress: String {
        guard let file = FileHandle(forReadingAtPath: log), let end = try? file.seekToEnd() else { return "" }
        try? file.seek(toOffset: end - min(end, 1000))
        let text = String(decoding: (try? file.readToEnd()) ?? Data(), as: UTF8.self)
        guard let line = text.split(whereSeparator: \.isNewline).last else { return "" }
        return line.split(separator: "  ").filter { !$0.hasPrefix("loss") }.joined(separator: ", ")
    }

    private func read<Value: Decodable>(_ type: Value.Type, from path: String) throws(TrialError) -> Value {
        do {
            return try JSONDecoder().decode(type, from: Data(contentsOf: URL(filePath: path)))
        } catch {
            throw .unreadable(path: path, reason: "\(error)")
        }
    }
}
