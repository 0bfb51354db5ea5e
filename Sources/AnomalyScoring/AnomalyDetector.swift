import ConvNets
import Imaging
import TensorKernels

/// A trained model, ready to look at pictures.
public struct AnomalyDetector: PartScorer {
    public let model: AnomalyModel

    private let observer: any BranchObserver

    /// Prepares the networks for many pictures, which takes a few tenths of a second.
    ///
    /// - Parameters:
    ///   - threads: How many threads compute at once, the caller included; at least 1.
    ///   - other: A detector whose prepared teacher is used again if it is the same; nil prepares one.
    /// - Throws: `NetworkError` where the weights do not fit their architecture.
    public init(
        model: AnomalyModel, threads: Int, sharingTeacherOf other: AnomalyDetector? = nil
    ) throws(NetworkError) {
        self.model = model
        observer = try BranchNetworks(of: model)
            .fastestObserver(sharingTeacherOf: other?.observer as? BranchProgram, threads: threads)
    }

    /// Computes layer by layer on an engine: the slow obvious way, to hold the other against.
    ///
    /// - Throws: `NetworkError` where the weights do not fit their architecture.
    public init(model: AnomalyModel, engine: any ConvolutionEngine) throws(NetworkError) {
        self.model = model
        observer = LayerwiseObserver(try BranchNetworks(of: model), on: engine)
    }

    /// Both raw scores and the canonical map of one picture (ALGORITHMS §4.1, §4.2).
    ///
    /// - Parameter image: ImageNet-normalised, `[3, 256, 256]`.
    public func score(_ image: Tensor) -> RawScores {
        RawScores(observe(image), of: model)
    }

    /// What the networks see in one picture, for those who want more than scores.
    ///
    /// - Parameter image: ImageNet-normalised, `[3, 256, 256]`.
    public func observe(_ image: Tensor) -> BranchNetworks.Observation {
        observer.observe(image)
    }

    /// Repeats the measurement that was stored with the model.
    ///
    /// - Parameter tolerance: How far a z-score may be off: kernels of other machines sum in another order.
    /// - Throws: Where a z-score differs: the file, the engine or the machine is not to be trusted.
    public func runSelfTest(tolerance: Double = 1e-3) throws(SelfTestError) {
        let raw = score(model.selfTest.image.normalised())
        let measured = [
            (Branch.picturable, model.fusion.picturable.z(of: raw.picturable), model.selfTest.picturableZ),
            (Branch.unpicturable, model.fusion.unpicturable.z(of: raw.unpicturable), model.selfTest.unpicturableZ),
        ]
        // A NaN is not within any tolerance.
        for (branch, z, expected) in measured where !(abs(z - expected) <= tolerance) {
            throw SelfTestError(branch: branch, measured: z, expected: expected)
        }
    }
}

extension BranchNetworks {
    /// - Throws: `NetworkError` where the weights do not fit their architecture.
    public init(of model: AnomalyModel) throws(NetworkError) {
        self.init(
            teacher: NormalisedTeacher(
                network: try PatchDescriptionNetwork(parameters: model.teacher, size: model.size),
                statistics: model.teacherStatistics),
            student: try PatchDescriptionNetwork(parameters: model.student, size: model.size),
            autoencoder: try Autoencoder(parameters: model.autoencoder, design: model.method.autoencoderDesign),
            pooling: try Pooling(of: model))
    }
}

extension BranchNetworks.Pooling {
    /// - Throws: `NetworkError` where the extractor is missing or its weights do not fit the architecture.
    fileprivate init(of model: AnomalyModel) throws(NetworkError) {
        switch model.featureSource {
        case .studentFormerHalf: self = .studentFormerHalf
        case .teacher: self = .teacher
        case .contextExtractor:
            self = .contextExtractor(try ContextExtractor(parameters: model.extractor ?? ParameterSet()))
        }
    }
}

extension RawScores {
    /// Scores what the networks saw by what a model knows about good parts.
    public init(_ observation: BranchNetworks.Observation, of model: AnomalyModel) {
        self.init(
            observation, quantiles: model.mapQuantiles, options: model.mapOptions, gaussian: model.featureGaussian)
    }

    /// The same before a model is complete.
    public init(
        _ observation: BranchNetworks.Observation, quantiles: MapQuantiles, options: MapOptions,
        gaussian: FeatureGaussian
    ) {
        let map = observation.maps.canonical(by: quantiles, options: options)
        // `max()` passes over a NaN, which must reach the fusion as what it is.
        let picturable = map.values.reduce(-Double.infinity) { $1.isNaN || $0.isNaN ? .nan : max($0, Double($1)) }
        self.init(picturable: picturable, unpicturable: gaussian.distance(of: observation.pooledFeatures), map: map)
    }
}

/// A model does not score its own test picture as it did when it was saved.
public struct SelfTestError: Error, Equatable, CustomStringConvertible {
    public let branch: Branch
    public let measured: Double
    public let expected: Double

    public var description: String {
        """
        the model's self-test failed: its \(branch.rawValue) z-score is \(measured), but \(expected) was measured when it \
        was saved; the file or this machine's arithmetic is not to be trusted
        """
    }
}
