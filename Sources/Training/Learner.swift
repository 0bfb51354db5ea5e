import ConvNets
import TensorKernels

/// A network whose weights can be trained.
protocol TrainableNetwork: Sendable {
    var parameters: ParameterSet { get set }
}

extension PatchDescriptionNetwork: TrainableNetwork {}
extension Autoencoder: TrainableNetwork {}
extension ContextExtractor: TrainableNetwork {}

/// A network on its way: its weights with the optimiser's moments.
///
/// Adam treats every number alone, so a learner for each network is the same as one optimiser for all.
struct Learner<Network: TrainableNetwork>: Sendable {
    var network: Network
    private var optimizer: Adam

    init(_ network: Network, configuration: Adam.Configuration) {
        self.network = network
        optimizer = Adam(for: network.parameters, configuration: configuration)
    }

    mutating func step(against gradients: ParameterSet, learningRate: Float, threads: Int) {
        optimizer.step(&network.parameters, against: gradients, learningRate: learningRate, threads: threads)
    }

    /// Weights and moments, as `<name>.conv1.weight`, `<name>.first_moment.conv1.weight`, ….
    func tensors(named name: String) -> [(name: String, tensor: Tensor)] {
        network.parameters.tensors(prefix: "\(name).")
            + optimizer.firstMoments.tensors(prefix: "\(name).first_moment.")
            + optimizer.secondMoments.tensors(prefix: "\(name).second_moment.")
    }

    /// Takes on what `tensors(named:)` gave after `stepCount` steps.
    mutating func restore(
        named name: String, from tensors: [String: Tensor], stepCount: Int
    ) throws(TrainingStateError) {
        try network.parameters.fill(from: tensors, prefix: "\(name).")
        try optimizer.firstMoments.fill(from: tensors, prefix: "\(name).first_moment.")
        try optimizer.secondMoments.fill(from: tensors, prefix: "\(name).second_moment.")
        optimizer.stepCount = stepCount
    }
}

extension ParameterSet {
    /// Every tensor under its name behind a prefix.
    func tensors(prefix: String) -> [(name: String, tensor: Tensor)] {
        names.indices.map { (prefix + names[$0], self[$0]) }
    }

    /// Takes on the stored values of every tensor, where the shapes are the same.
    mutating func fill(from tensors: [String: Tensor], prefix: String) throws(TrainingStateError) {
        for index in 0..<count {
            let name = prefix + names[index]
            guard let stored = tensors[name] else { throw .missingTensor(name) }
            guard stored.shape == self[index].shape else {
                throw .wrongShape(name, found: stored.shape, expected: self[index].shape)
            }
            self[index] = stored
        }
    }
}
