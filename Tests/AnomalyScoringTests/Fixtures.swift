import AnomalyScoring
import ConvNets
import Imaging
import TensorKernels

/// Knuth's MMIX linear congruential generator; `make_ledoit_wolf.py` draws the same numbers.
struct LinearCongruential: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state
    }

    mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }

    mutating func tensor(_ shape: [Int], in range: ClosedRange<Float>) -> Tensor {
        Tensor(shape: shape, values: (0..<shape.reduce(1, *)).map { _ in uniform(in: range) })
    }

    mutating func picture() -> ModelImage {
        ModelImage(pixels: (0..<256 * 256 * 3).map { _ in UInt8(next() >> 56) })
    }

    /// Convolutions of the given widths and kernel sides, uniform in ±√(3/inputs of an output).
    mutating func parameters(names: [String], widths: [Int], kernelSides: [Int]) -> ParameterSet {
        var parameters = ParameterSet()
        for (i, name) in names.enumerated() {
            let shape = [widths[i + 1], widths[i], kernelSides[i], kernelSides[i]]
            let bound = (3 / Float(shape[1] * shape[2] * shape[3])).squareRoot()
            parameters.append("\(name).weight", tensor(shape, in: -bound...bound))
            parameters.append("\(name).bias", tensor([shape[0]], in: -0.1...0.1))
        }
        return parameters
    }

    /// PDN-S with four, five and six channels inside, or PDN-M with seven and eight as well.
    mutating func patchDescription(outputChannels: Int, size: NetworkSize = .small) -> ParameterSet {
        let kernelSides = size == .small ? [4, 4, 3, 4] : [4, 4, 1, 3, 4, 1]
        return parameters(
            names: kernelSides.indices.map { "conv\($0 + 1)" },
            widths: [3] + (4..<3 + kernelSides.count) + [outputChannels], kernelSides: kernelSides)
    }

    /// The context extractor with four channels inside and eight at the attention, one for each head.
    mutating func extractor(outputChannels: Int) -> ParameterSet {
        var shapes = ContextExtractor.parameterShapes(outputChannels: outputChannels)
        for index in shapes.indices {
            // 512 channels become 8 at the attention, all others 4; windows and image keep theirs.
            let isAttention = shapes[index].name.contains("attention")
            func narrow(_ width: Int, output: Bool) -> Int {
                switch width {
                case 1024: 16
                case 512:
                    isAttention || shapes[index].name.contains(output ? "conv2." : "conv3.") ? 8 : 4
                case 256: 4
                default: width
                }
            }
            shapes[index].shape[0] = narrow(shapes[index].shape[0], output: true)
            if shapes[index].shape.count == 4 { shapes[index].shape[1] = narrow(shapes[index].shape[1], output: false) }
        }
        var parameters = ParameterSet()
        for (name, shape) in shapes {
            let bound = shape.count == 4 ? (3 / Float(shape[1] * shape[2] * shape[3])).squareRoot() : 0.1
            parameters.append(name, tensor(shape, in: -bound...bound))
        }
        return parameters
    }

    /// The autoencoder for 256×256 pixels with four channels inside.
    mutating func autoencoder(outputChannels: Int, codeChannels: Int = 4) -> ParameterSet {
        let encoder = [3, 4, 4, 4, 4, codeChannels]
        let decoder = Array(repeating: codeChannels, count: 3) + Array(repeating: 4, count: 5)
        return parameters(
            names: (1...6).map { "encoder.enconv\($0)" } + (1...8).map { "decoder.deconv\($0)" },
            widths: encoder + decoder + [outputChannels],
            kernelSides: [4, 4, 4, 4, 4, 8, 4, 4, 4, 4, 4, 4, 3, 3])
    }
}

extension AnomalyModel {
    /// A narrow model with teacher features of `channels` channels and made-up statistics.
    static func narrow(channels: Int = 3, size: NetworkSize = .small, seed: UInt64 = 1) -> AnomalyModel {
        var generator = LinearCongruential(seed: seed)
        return AnomalyModel(
            method: .puad, size: size, teacher: generator.patchDescription(outputChannels: channels, size: size),
            student: generator.patchDescription(outputChannels: 2 * channels, size: size),
            autoencoder: generator.autoencoder(outputChannels: channels),
            teacherStatistics: ChannelStatistics(
                mean: (0..<channels).map { 0.1 * Float($0) }, deviation: (0..<channels).map { 0.5 + 0.25 * Float($0) }),
            mapOptions: MapOptions(),
            mapQuantiles: MapQuantiles(
                studentTeacher: .init(lower: 0.2, upper: 0.7), autoencoderStudent: .init(lower: 0.1, upper: 0.4)),
            featureSource: .studentFormerHalf,
            featureGaussian: FeatureGaussian(
                mean: Array(repeating: 0.05, count: channels),
                choleskyFactor: (0..<channels * channels).map { $0 % (channels + 1) == 0 ? 0.5 : 0 }, shrinkage: 0.1),
            fusion: ScoreFusion(
                picturable: ZStatistics(mean: 0.3, deviation: 0.2),
                unpicturable: ZStatistics(mean: 0.4, deviation: 0.1),
                threshold: DecisionThreshold(value: 3, calibrationCount: 60, falseRejectBudget: 0.05)),
            preprocessing: Preprocessing(), precision: .float32, teacherProvenance: "random",
            trainingRecord: TrainingRecord(
                dataDigest: "", trainingImageCount: 0, validationImageCount: 0, seed: seed, iterations: 0, finalLoss: 0),
            selfTest: SelfTest(image: generator.picture(), picturableZ: 0, unpicturableZ: 0))
    }
}

/// Whether `found` and `expected` agree to 1e-9, the tolerance of formulas in `Double` (ALGORITHMS §9).
func agree(_ found: [Double], _ expected: [Double], within tolerance: Double = 1e-9) -> Bool {
    found.count == expected.count && zip(found, expected).allSatisfy { abs($0 - $1) <= tolerance }
}
