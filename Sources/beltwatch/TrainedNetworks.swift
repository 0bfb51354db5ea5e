import AnomalyScoring
import Archive
import ConvNets
import Training

/// What a training left, rounded as it will be stored.
///
/// Rounded before anything is measured with it, so that the stored model scores exactly as it is calibrated.
struct TrainedNetworks {
    let student: PatchDescriptionNetwork

    /// μ, where the student is the moving average of the weights that were trained.
    let studentMomentum: Float?
    let autoencoder: Autoencoder
    let extractor: ContextExtractor?

    /// - Parameters:
    ///   - averaged: Whether to take the student's average where there is one.
    ///   - extractor: One that was trained elsewhere; nil takes the state's own.
    init(
        of state: TrainingState, averaged: Bool, extractor: ContextExtractor?, precision: WeightPrecision
    ) {
        func rounded<Network: StoredNetwork>(_ network: Network) -> Network {
            var network = network
            network.parameters = precision.rounded(network.parameters)
            return network
        }
        if averaged, let average = state.averagedStudent {
            student = rounded(average.network)
            studentMomentum = average.momentum
        } else {
            student = rounded(state.student)
            studentMomentum = nil
        }
        autoencoder = rounded(state.autoencoder)
        self.extractor = (extractor ?? state.extractor).map { rounded($0) }
    }

    /// The networks behind both branches, with features from `source`.
    func branches(teacher: NormalisedTeacher, featureSource source: FeatureSource) -> BranchNetworks {
        let pooling: BranchNetworks.Pooling
        switch (source, extractor) {
        case (.teacher, _): pooling = .teacher
        case (.contextExtractor, let extractor?): pooling = .contextExtractor(extractor)
        case (.contextExtractor, nil): preconditionFailure("features from an extractor that was not trained")
        case (.studentFormerHalf, _): pooling = .studentFormerHalf
        }
        return BranchNetworks(teacher: teacher, student: student, autoencoder: autoencoder, pooling: pooling)
    }
}

/// Networks whose weights a model stores.
private protocol StoredNetwork {
    var parameters: ParameterSet { get set }
}

extension PatchDescriptionNetwork: StoredNetwork {}
extension Autoencoder: StoredNetwork {}
extension ContextExtractor: StoredNetwork {}

extension TrainingRecipe {
    /// What `objective` and the rest of the command asked for.
    init(objective: Objective, studentMomentum: Float?, penaltyImageCount: Int) {
        self.init()
        switch objective {
        case .efficientAD: break
        case .separated(let margin, let mask):
            separationMargin = margin
            separationMask = mask
        case .aligned(let alpha, _): differenceWeight = alpha
        }
        self.studentMomentum = studentMomentum
        self.penaltyImageCount = penaltyImageCount > 0 ? penaltyImageCount : nil
    }
}
