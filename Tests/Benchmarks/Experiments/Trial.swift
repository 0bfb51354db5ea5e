/// One model: how it is trained, and what it is judged on.
struct Trial: Hashable, Sendable {
    /// Where its files lie under the work folder, such as `trays-s/puad`.
    var name: String

    /// A folder in MVTec AD or MVTec LOCO AD layout.
    var dataset: String
    var method: String

    /// `s` or `m`.
    var size: String
    var iterations: Int

    /// Options of `beltwatch train` beyond those.
    var options: [String] = []

    /// The trial whose context extractor this one takes instead of training its own.
    var extractorFrom: String?

    /// The trial whose networks this one measures anew with other options, instead of training.
    var networksFrom: String?

    /// Trials that have to be finished before.
    var needs: Set<String> { Set([extractorFrom, networksFrom].compactMap(\.self)) }
}

/// What a finished trial says.
struct TrialOutcome: Sendable {
    var record: TrialRecord
    var figures: Figures
}

/// What it took to train, over all attempts; lies beside the model.
struct TrialRecord: Codable, Hashable, Sendable {
    /// The options of `beltwatch train`, which must not change from one attempt to the next.
    var options: [String]

    /// Of training and calibration, without the evaluation.
    var wallSeconds = 0.0

    /// Processor time of all threads.
    var processorSeconds = 0.0

    /// The largest resident set of any attempt.
    var peakMemoryBytes = 0

    private enum CodingKeys: String, CodingKey {
        case options
        case wallSeconds = "wall_seconds"
        case processorSeconds = "processor_seconds"
        case peakMemoryBytes = "peak_memory_bytes"
    }
}

/// Why a trial came to no figures.
enum TrialError: Error, Equatable, CustomStringConvertible {
    /// The program ended with this status; its last words.
    case failed(trial: String, step: String, status: Int32, log: String, lastLine: String)

    /// The folder has a trial of this name with other settings.
    case otherSettings(trial: String, found: [String], expected: [String], folder: String)

    /// Another program, or a training that it left behind, works there.
    case inUse(folder: String)
    case unreadable(path: String, reason: String)
    case notWritable(path: String, reason: String)
    case notStarted(program: String, reason: String)
    case interrupted

    var description: String {
        switch self {
        case .failed(let trial, let step, let status, let log, let lastLine):
            "\(trial): \(step) ended with status \(status): \(lastLine) (all of it is in '\(log)')"
        case .otherSettings(let trial, let found, let expected, let folder):
            """
            \(trial): '\(folder)' has it with other settings (\(found.joined(separator: " ")), not \
            \(expected.joined(separator: " "))); give the same as before, or another folder with WORK=
            """
        case .inUse(let folder):
            "somebody works in '\(folder)' already, or a training of theirs still does; wait, or name another folder"
        case .unreadable(let path, let reason):
            "'\(path)' cannot be read: \(reason); remove it, and its step is done again"
        case .notWritable(let path, let reason): "'\(path)' cannot be written: \(reason)"
        case .notStarted(let program, let reason): "'\(program)' cannot be started: \(reason)"
        case .interrupted: "interrupted; the same command goes on from here"
        }
    }

    /// As sysexits.h has it.
    var exitStatus: Int32 {
        switch self {
        case .failed(_, _, let status, _, _): status
        case .otherSettings: 64
        case .inUse: 75
        case .unreadable: 65
        case .notWritable: 73
        case .notStarted: 66
        case .interrupted: 130
        }
    }
}
