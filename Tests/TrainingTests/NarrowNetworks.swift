import AnomalyScoring
import ConvNets
import Imaging
import TensorKernels

@testable import ConvNets
@testable import Training

/// The full architectures with a few channels each: a step takes milliseconds, and every line of it runs.
enum Narrow {
    static let teacherChannels = 8

    static let engine = ReferenceConvolution(threads: 1)

    static func patchDescriptionNetwork(
        outputChannels: Int, size: NetworkSize = .small, seed: UInt64
    ) throws -> PatchDescriptionNetwork {
        let layers = size == .small ? 4 : 6
        return try PatchDescriptionNetwork(
            parameters: parameters(
                PatchDescriptionNetwork.parameterShapes(outputChannels: outputChannels, size: size),
                widths: [3] + (5..<4 + layers) + [outputChannels], seed: seed), size: size)
    }

    static func autoencoder(seed: UInt64, design: Autoencoder.Design = .plain) throws -> Autoencoder {
        try Autoencoder(
            parameters: parameters(
                Autoencoder.parameterShapes(outputChannels: teacherChannels),
                widths: [3] + Array(repeating: 4, count: 13) + [teacherChannels], seed: seed), design: design)
    }

    /// Six channels in two heads at the attention.
    static func extractor(seed: UInt64) throws -> ContextExtractor {
        var stream = RandomStream(seed: seed, stream: .initialisation)
        let architecture = ContextExtractor.architecture(widths: [3, 4, 6, 5, 5, 7, teacherChannels], heads: 2)
        return try ContextExtractor(parameters: architecture.defaultParameters(using: &stream), heads: 2)
    }

    /// A teacher with the statistics of its own output over `images`.
    static func teacher(over images: [ModelImage], size: NetworkSize = .small) throws -> NormalisedTeacher {
        let network = try patchDescriptionNetwork(outputChannels: teacherChannels, size: size, seed: 1000)
        return NormalisedTeacher(
            network: network, statistics: try Calibration.teacherStatistics(of: network, over: images, on: engine))
    }

    static func state(settings: TrainingSettings) throws -> TrainingState {
        let recipe = Recipe(settings)
        return TrainingState(
            student: try patchDescriptionNetwork(
                outputChannels: 2 * teacherChannels, size: settings.size, seed: settings.seed),
            autoencoder: try autoencoder(seed: settings.seed &+ 1, design: recipe.autoencoderDesign),
            extractor: recipe.trainsExtractor ? try extractor(seed: settings.seed &+ 2) : nil, settings: settings)
    }

    static func run(
        settings: TrainingSettings = TrainingSettings(), images: [ModelImage], penalty: [ModelImage] = [],
        state: TrainingState? = nil
    ) throws -> TrainingRun {
        try TrainingRun(
            settings: settings, images: images, teacher: try teacher(over: images, size: settings.size),
            penalty: penalty, resuming: try state ?? Self.state(settings: settings), on: engine)
    }

    /// The names and kernels of `shapes` with other widths, uniform in ±√(3/inputs of an output).
    private static func parameters(
        _ shapes: [(name: String, shape: [Int])], widths: [Int], seed: UInt64
    ) -> ParameterSet {
        var stream = RandomStream(seed: seed, stream: .initialisation)
        var bound: Float = 1
        return ParameterSet(
            shapes.enumerated().map { position, entry in
                let layer = position / 2
                var shape = entry.shape
                shape[0] = widths[layer + 1]
                if shape.count == 4 {
                    shape[1] = widths[layer]
                    bound = (3 / Float(shape[1] * shape[2] * shape[3])).squareRoot()
                }
                let values = (0..<shape.reduce(1, *)).map { _ in stream.uniform(in: -bound...bound) }
                return (entry.name, Tensor(shape: shape, values: values))
            })
    }
}

extension ModelImage {
    /// Stripes and squares whose colours, places and sizes `seed` decides, with a little noise.
    static func picture(_ seed: UInt64) -> ModelImage {
        var stream = RandomStream(seed: seed, stream: .initialisation)
        let period = 8 + stream.index(below: 24)
        let (left, top) = (stream.index(below: 160), stream.index(below: 160))
        let base = (0..<3).map { _ in 40 + stream.index(below: 80) }
        let square = (0..<3).map { _ in stream.index(below: 160) }
        var pixels: [UInt8] = []
        pixels.reserveCapacity(side * side * 3)
        for y in 0..<side {
            for x in 0..<side {
                let isInside = (left..<left + 90).contains(x) && (top..<top + 90).contains(y)
                for channel in 0..<3 {
                    let stripe = (x + y) / period % 2 * 40
                    let noise = stream.index(below: 16)
                    pixels.append(UInt8((isInside ? square[channel] : base[channel]) + stripe + noise))
                }
            }
        }
        return ModelImage(pixels: pixels)
    }

    static func pictures(_ seeds: Range<UInt64>) -> [ModelImage] { seeds.map(picture) }
}

extension TrainingState {
    /// The value of a stored tensor.
    func tensor(_ name: String) -> Tensor? { tensors.first { $0.name == name }?.tensor }

    /// Whether both go on with the same numbers: same bits in every weight, moment, stream and count.
    func isIdentical(to other: TrainingState) -> Bool {
        record == other.record && zip(tensors, other.tensors).allSatisfy { $0 == $1 }
    }
}
