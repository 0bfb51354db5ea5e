import ConvNets
import TensorKernels

/// The networks behind both branches, before anything is known about good parts' scores.
///
/// Training measures quantiles, Gaussian and z-statistics with it; a detector scores with it.
public struct BranchNetworks: Sendable {
    public let teacher: NormalisedTeacher

    /// 768 output channels.
    public let student: PatchDescriptionNetwork
    public let autoencoder: Autoencoder
    public let pooling: Pooling

    /// What the features are pooled from.
    public enum Pooling: Sendable {
        case studentFormerHalf
        case teacher
        case contextExtractor(ContextExtractor)
    }

    public init(
        teacher: NormalisedTeacher, student: PatchDescriptionNetwork, autoencoder: Autoencoder,
        pooling: Pooling = .studentFormerHalf
    ) {
        precondition(
            student.outputChannels == 2 * teacher.network.outputChannels, "the student needs a half for each branch")
        self.teacher = teacher
        self.student = student
        self.autoencoder = autoencoder
        self.pooling = pooling
    }

    /// What the networks see in one picture.
    public struct Observation: Hashable, Sendable {
        public var maps: AnomalyMaps

        /// GAP of the features that the pooling names, 384 values.
        public var pooledFeatures: [Double]
    }

    /// One forward pass of each network, layer by layer as written; no randomness, so the same picture gives the same
    /// numbers.
    ///
    /// - Parameter image: ImageNet-normalised, `[3, 256, 256]`.
    public func observe(_ image: Tensor, on engine: any ConvolutionEngine) -> Observation {
        let features = teacher.features(of: image, on: engine)
        let both = student.forward(image, on: engine)
        let (former, latter) = both.halves
        let reconstruction = autoencoder.forward(image, on: engine)
        let pooled =
            switch pooling {
            case .studentFormerHalf: former
            case .teacher: features
            case .contextExtractor(let extractor): extractor.forward(image, on: engine)
            }
        return Observation(
            maps: AnomalyMaps(
                studentTeacher: meanSquaredDifferenceMap(features, former),
                autoencoderStudent: meanSquaredDifferenceMap(reconstruction, latter)),
            pooledFeatures: globalAveragePool(pooled))
    }
}

/// Whatever can tell what the networks of a model see in a picture.
public protocol BranchObserver: Sendable {
    /// - Parameter image: ImageNet-normalised, `[3, 256, 256]`.
    func observe(_ image: Tensor) -> BranchNetworks.Observation
}

/// The slow obvious way: networks computed layer by layer on an engine.
public struct LayerwiseObserver: BranchObserver {
    private let networks: BranchNetworks
    private let engine: any ConvolutionEngine

    public init(_ networks: BranchNetworks, on engine: any ConvolutionEngine) {
        self.networks = networks
        self.engine = engine
    }

    public func observe(_ image: Tensor) -> BranchNetworks.Observation { networks.observe(image, on: engine) }
}
