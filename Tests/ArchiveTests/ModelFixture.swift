import AnomalyScoring
import ConvNets
import Imaging
import TensorKernels

@testable import Archive

/// A model of random values in the right shapes: fit for files, not for pictures.
enum ModelFixture {
    static let float32 = make(.float32)
    static let float16 = make(.float16)

    /// The file of `float16`, for tests that change a thing or two.
    static let encodedFloat16: SafetensorsFile = {
        do { return try ModelFile.encode(float16) } catch { preconditionFailure("the fixture is no model: \(error)") }
    }()

    static func make(_ precision: WeightPrecision) -> AnomalyModel {
        var generator = Xorshift(seed: 7)
        let features = NetworkArchitecture.featureCount
        var factor = [Double](repeating: 0, count: features * features)
        for row in 0..<features {
            for column in 0..<row { factor[row * features + column] = .random(in: -1...1, using: &generator) }
            factor[row * features + row] = .random(in: 0.1...2, using: &generator)
        }
        var options = MapOptions()
        options.padMaps = false
        let quantiles = MapQuantiles(
            studentTeacher: .init(lower: 0.1, upper: 1 / 3), autoencoderStudent: .init(lower: -0.7, upper: .pi))
        return AnomalyModel(
            method: .puad, size: .small,
            teacher: precision.rounded(parameters(of: .teacher(.small), using: &generator)),
            student: precision.rounded(parameters(of: .student(.small), using: &generator)),
            autoencoder: precision.rounded(parameters(of: .autoencoder, using: &generator)),
            teacherStatistics: ChannelStatistics(
                mean: (0..<features).map { _ in .random(in: -1...1, using: &generator) },
                // The first channel is dead.
                deviation: (0..<features).map { $0 == 0 ? 0 : .random(in: 0.1...1, using: &generator) }),
            mapOptions: options, mapQuantiles: quantiles, featureSource: .studentFormerHalf,
            featureGaussian: FeatureGaussian(
                mean: (0..<features).map { _ in .random(in: -1...1, using: &generator) }, choleskyFactor: factor,
                shrinkage: 0.1 + 0.2),
            fusion: ScoreFusion(
                picturable: ZStatistics(mean: 1 / 7, deviation: 1e-300),
                unpicturable: ZStatistics(mean: -0.0, deviation: 3),
                threshold: DecisionThreshold(value: 2.0.squareRoot(), calibrationCount: 99, falseRejectBudget: 0.01)),
            preprocessing: Preprocessing(region: RegionOfInterest(x: 0, y: 10, width: 300, height: 200)),
            precision: precision, teacherProvenance: "made \"here\", by µs\n\\ / line two",
            trainingRecord: TrainingRecord(
                dataDigest: "00ff", trainingImageCount: 10, validationImageCount: 3, seed: .max, iterations: 70_000,
                finalLoss: 0.1),
            selfTest: SelfTest(
                image: ModelImage(
                    pixels: (0..<ModelImage.side * ModelImage.side * 3).map { _ in
                        .random(in: 0...255, using: &generator)
                    }),
                picturableZ: -1 / 3, unpicturableZ: .leastNonzeroMagnitude))
    }

    /// Random bits, as long as they are a finite number below the largest half: subnormal numbers and −0 among them.
    private static func parameters(
        of architecture: NetworkArchitecture, using generator: inout Xorshift
    ) -> ParameterSet {
        ParameterSet(
            architecture.parameters.map { name, shape in
                let values = (0..<shape.reduce(1, *)).map { _ in
                    let value = Float(bitPattern: UInt32(truncatingIfNeeded: generator.next()))
                    return abs(value) < 60_000 ? value : -0.0
                }
                return (name, Tensor(shape: shape, values: values))
            })
    }
}
