import AnomalyScoring
import Archive
import ArgumentParser
import ConvNets
import Imaging
import SyntheticLine
import TensorKernels
import Training

/// Writes the networks that all contenders compute, as a model file, and pictures for those who need to calibrate.
struct Export: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Writes the networks for all contenders.")

    @Argument(help: "The model file to write.")
    var model: String

    @Option(help: "Where to write pictures of good parts, as the U8 tensor `pictures` [count, 256, 256, 3].")
    var pictures: String?

    @Option(help: "Which EfficientAD.")
    var size = NetworkSize.small

    func run() throws {
        let images = try Self.drawnTrays(count: 10 + HeldOutSplit.minimumHeldOutCount)
        try ModelFile.save(try Self.untrainedModel(size: size, pictures: images), to: model)
        if let pictures {
            let stored = StoredTensor(
                "pictures", .uint8, shape: [images.count, ModelImage.side, ModelImage.side, 3],
                bytes: images.flatMap(\.pixels))
            try SafetensorsFile(tensors: [stored], metadata: [:]).write(to: pictures)
        }
    }

    private static func drawnTrays(count: Int) throws -> [ModelImage] {
        var configuration = SyntheticDataset.Configuration()
        configuration.trainingCount = count
        return try SyntheticDataset(configuration).items.prefix(count).map { item in
            let frame = item.render().image.frame(number: 0, capturedAt: MonotonicInstant(nanoseconds: 0))
            return try Preprocessing().modelImage(of: frame)
        }
    }

    /// Networks with PyTorch's default start, from a fixed seed, calibrated like trained ones.
    ///
    /// Speed does not depend on the numbers, as long as none are denormal. Measured with the reference engine, so that
    /// the file stays the same while the tuned one changes.
    private static func untrainedModel(size: NetworkSize, pictures: [ModelImage]) throws -> AnomalyModel {
        let engine = ReferenceConvolution(threads: 2)
        var stream = RandomStream(seed: 7, stream: .initialisation)
        let teacher = try PatchDescriptionNetwork(
            parameters: PatchDescriptionNetwork.defaultParameters(
                outputChannels: 384, size: size, using: &stream), size: size)
        let student = try PatchDescriptionNetwork(
            parameters: PatchDescriptionNetwork.defaultParameters(
                outputChannels: 768, size: size, using: &stream), size: size)
        let autoencoder = try Autoencoder(
            parameters: Autoencoder.defaultParameters(outputChannels: 384, using: &stream))
        let (training, heldOut) = (
            Array(pictures.dropLast(HeldOutSplit.minimumHeldOutCount)),
            Array(pictures.suffix(HeldOutSplit.minimumHeldOutCount))
        )
        let statistics = try Calibration.teacherStatistics(of: teacher, over: training, on: engine)
        let calibration = try Calibration(
            of: LayerwiseObserver(
                BranchNetworks(
                    teacher: NormalisedTeacher(network: teacher, statistics: statistics), student: student,
                    autoencoder: autoencoder), on: engine),
            training: training, heldOut: heldOut, falseRejectBudget: nil)
        return AnomalyModel(
            method: .puad, size: size, teacher: teacher.parameters, student: student.parameters,
            autoencoder: autoencoder.parameters, teacherStatistics: statistics, mapOptions: MapOptions(),
            mapQuantiles: calibration.mapQuantiles, featureSource: .studentFormerHalf,
            featureGaussian: calibration.gaussian, fusion: calibration.fusion, preprocessing: Preprocessing(),
            precision: .float32, teacherProvenance: "untrained, for measuring speed",
            trainingRecord: TrainingRecord(
                dataDigest: "", trainingImageCount: training.count, validationImageCount: heldOut.count, seed: 7,
                iterations: 0, finalLoss: 0),
            selfTest: calibration.selfTest)
    }
}
