import AnomalyScoring
import Archive
import ConvNets
import Foundation
import Imaging
import TensorKernels

/// A directory with a station's file, a model and a place for its state, removed with its last reference.
final class StationFixture: Sendable {
    let directory: String
    var configuration: String { "\(directory)/station.yaml" }

    /// - Parameters:
    ///   - source: The lines below `source:`.
    ///   - model: A path; the shared model by default.
    ///   - recovery: The recovery endpoint; none by default. `ipc` is one in the fixture's directory.
    ///   - more: Further lines of the file.
    ///   - overflow: What a full mailbox does.
    init(
        source: [String], model: String? = nil, budget: String = "60s", recovery: String? = nil, more: [String] = [],
        overflow: String = "wait"
    ) throws {
        directory = FileManager.default.temporaryDirectory.appending(path: "beltwatchd-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o750])
        let recovery = recovery == "ipc" ? "ipc://\(directory)/recovery" : recovery
        let lines =
            [
                "station: line1", "model: \(try model ?? SharedModel.path.get())", "state_directory: state",
                "latency_budget: \(budget)", "source:",
            ]
            + source.map { "  \($0)" }
            + ["endpoints:", "  verdicts: tcp://127.0.0.1:*", "  results: tcp://127.0.0.1:*"]
            + (recovery.map { ["  recovery: \($0)"] } ?? [])
            // A busy test machine is neither an overload nor a hung stage.
            + ["stall_limit: 10min", "mailboxes:"]
            + ["gate", "preprocess", "score", "fuse"].map { "  \($0): {capacity: 1, overflow: \(overflow)}" } + more
        try (lines.joined(separator: "\n") + "\n").write(toFile: configuration, atomically: true, encoding: .utf8)
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }
}

/// Models of seeded random weights that score their own test picture as z = 0: enough for a daemon to run with.
enum SharedModel {
    /// Accepts everything.
    static let path = Result { () throws -> String in
        let path = file("accepting")
        try ModelFile.save(make(threshold: 1000), to: path)
        atexit { unlink(SharedModel.file("accepting")) }
        return path
    }

    /// Rejects everything.
    static let rejecting = Result { () throws -> String in
        let path = file("rejecting")
        try ModelFile.save(make(threshold: -1000), to: path)
        atexit { unlink(SharedModel.file("rejecting")) }
        return path
    }

    private static func file(_ name: String) -> String {
        FileManager.default.temporaryDirectory.appending(path: "beltwatchd-tests-\(getpid())-\(name).safetensors").path
    }

    private static func make(threshold: Double) throws -> AnomalyModel {
        var generator = RandomStream(seed: 1, stream: .initialisation)
        let features = 384
        let identity = (0..<features * features).map { $0 % (features + 1) == 0 ? 1.0 : 0.0 }
        let picture = ModelImage(
            pixels: (0..<ModelImage.side * ModelImage.side * 3).map { UInt8(truncatingIfNeeded: $0 / 7) })
        var model = AnomalyModel(
            method: .puad, size: .small,
            teacher: PatchDescriptionNetwork.orthogonalParameters(outputChannels: features, using: &generator),
            student: PatchDescriptionNetwork.defaultParameters(outputChannels: 2 * features, using: &generator),
            autoencoder: Autoencoder.defaultParameters(outputChannels: features, using: &generator),
            teacherStatistics: ChannelStatistics(
                mean: Array(repeating: 0, count: features), deviation: Array(repeating: 1, count: features)),
            mapOptions: MapOptions(),
            mapQuantiles: MapQuantiles(
                studentTeacher: .init(lower: 0, upper: 1), autoencoderStudent: .init(lower: 0, upper: 1)),
            featureSource: .studentFormerHalf,
            featureGaussian: FeatureGaussian(
                mean: Array(repeating: 0, count: features), choleskyFactor: identity, shrinkage: 0.1),
            fusion: ScoreFusion(
                picturable: ZStatistics(mean: 0, deviation: 1), unpicturable: ZStatistics(mean: 0, deviation: 1),
                threshold: DecisionThreshold(value: threshold, calibrationCount: 99, falseRejectBudget: 0.01)),
            preprocessing: Preprocessing(), precision: .float32, teacherProvenance: "random, for a test",
            trainingRecord: TrainingRecord(
                dataDigest: "00", trainingImageCount: 99, validationImageCount: 99, seed: 1, iterations: 1, finalLoss: 1
            ),
            selfTest: SelfTest(image: picture, picturableZ: 0, unpicturableZ: 0))
        let raw = try AnomalyDetector(model: model, threads: 2).score(
            picture.normalised())
        model.fusion.picturable.mean = raw.picturable
        model.fusion.unpicturable.mean = raw.unpicturable
        return model
    }
}
