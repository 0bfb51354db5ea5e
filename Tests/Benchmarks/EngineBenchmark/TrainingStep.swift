import AnomalyScoring
import Archive
import ArgumentParser
import ConvNets
import TensorKernels
import Training

/// Takes training steps on one picture, from a model's student and autoencoder on.
///
/// With a single picture the teacher's features of the unchanged picture come from the cache in every step but the
/// first, as in every epoch of a training but the first.
struct TrainingStep: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "training-step", abstract: "Takes one training step for every line of standard input.")

    @Argument(help: "The model file.")
    var model: String

    @Option(help: "How many threads compute.")
    var threads = 1

    func run() throws {
        keepFreedMemory()
        let engine = WinogradConvolution(threads: threads)
        let model = try ModelFile.load(model).model
        let settings = TrainingSettings()
        let images = [model.selfTest.image]
        let teacher = NormalisedTeacher(
            network: try PatchDescriptionNetwork(parameters: model.teacher), statistics: model.teacherStatistics)
        // Moments and random streams of an untouched run, the networks of the model.
        let untouched = try TrainingRun(settings: settings, images: images, teacher: teacher, on: engine).state
        var tensors = Dictionary(uniqueKeysWithValues: untouched.tensors.map { ($0.name, $0.tensor) })
        for (network, parameters) in [("student", model.student), ("autoencoder", model.autoencoder)] {
            for index in 0..<parameters.count { tensors["\(network).\(parameters.names[index])"] = parameters[index] }
        }
        var run = try TrainingRun(
            settings: settings, images: images, teacher: teacher,
            resuming: try TrainingState(record: untouched.record, tensors: tensors, settings: settings), on: engine)
        // L_hard is the only loss in which no random numbers take part, so it can be compared.
        serve("f32 Winograd, \(engine.instructionSet)") { [run.step().hardFeature] }
    }
}
