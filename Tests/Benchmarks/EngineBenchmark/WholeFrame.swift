import AnomalyScoring
import Archive
import ArgumentParser
import TensorKernels

/// Scores a model's picture again and again: teacher, student, autoencoder, both maps, pooled features, and the scores
/// that come of them.
struct WholeFrame: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "frame", abstract: "Scores one picture for every line of standard input.")

    @Argument(help: "The model file.")
    var model: String

    @Option(help: "How many threads compute.")
    var threads = 1

    @Option(help: "Where to write maps and pooled features, for comparison with the reference.")
    var outputs: String?

    func run() throws {
        let model = try ModelFile.load(model).model
        let detector = try AnomalyDetector(model: model, threads: threads)
        let image = model.selfTest.image.normalised()
        if let outputs { try Self.write(detector.observe(image), to: outputs) }
        serve("f32 Winograd, \(WinogradConvolution(threads: 1).instructionSet)") {
            _ = detector.score(image)
            return []
        }
    }

    private static func write(_ observation: BranchNetworks.Observation, to path: String) throws {
        let maps = observation.maps
        let tensors = [
            StoredTensor("student_teacher_map", shape: maps.studentTeacher.shape, maps.studentTeacher.values),
            StoredTensor(
                "autoencoder_student_map", shape: maps.autoencoderStudent.shape, maps.autoencoderStudent.values),
            StoredTensor("pooled_features", shape: [observation.pooledFeatures.count], observation.pooledFeatures),
        ]
        try SafetensorsFile(tensors: tensors, metadata: [:]).write(to: path)
    }
}
