import ConvNets
import TensorKernels

/// Everything of a training run that changes from step to step.
public struct TrainingState: Sendable {
    /// How many steps are done.
    public private(set) var iteration = 0

    /// 768 output channels: the former half follows the teacher, the latter half the autoencoder.
    public internal(set) var student: PatchDescriptionNetwork
    public internal(set) var autoencoder: Autoencoder

    /// When the learning rate drops; a run on a time budget learns its end only on the way.
    public var schedule: LearningRateSchedule

    var augmentation: RandomStream
    var dropout: RandomStream

    private var order: RandomStream
    private var unseenInThisEpoch: [Int] = []
    // One optimiser for both networks: Adam treats every number alone, so two that step together are the same.
    private var studentOptimizer: Adam
    private var autoencoderOptimizer: Adam

    /// The published networks before their first step.
    init(settings: TrainingSettings) {
        var initialisation = RandomStream(seed: settings.seed, stream: .initialisation)
        let student = PatchDescriptionNetwork.untrained(using: &initialisation)
        self.init(student: student, autoencoder: .untrained(using: &initialisation), settings: settings)
    }

    /// Any networks before their first step, such as the narrow ones of a test.
    init(student: PatchDescriptionNetwork, autoencoder: Autoencoder, settings: TrainingSettings) {
        self.student = student
        self.autoencoder = autoencoder
        var adam = Adam.Configuration()
        adam.weightDecay = settings.weightDecay
        studentOptimizer = Adam(for: student.parameters, configuration: adam)
        autoencoderOptimizer = Adam(for: autoencoder.parameters, configuration: adam)
        schedule = LearningRateSchedule(iterations: settings.iterations, initialRate: settings.learningRate)
        augmentation = RandomStream(seed: settings.seed, stream: .augmentation)
        dropout = RandomStream(seed: settings.seed, stream: .dropout)
        order = RandomStream(seed: settings.seed, stream: .order)
    }

    /// The picture to look at next: shuffled epochs without replacement (ALGORITHMS D27).
    mutating func nextImage(of count: Int) -> Int {
        if unseenInThisEpoch.isEmpty {
            unseenInThisEpoch = Array(0..<count)
            order.shuffle(&unseenInThisEpoch)
        }
        return unseenInThisEpoch.removeLast()
    }

    mutating func update(
        student studentGradients: ParameterSet, autoencoder autoencoderGradients: ParameterSet, threads: Int
    ) {
        let rate = schedule.rate(at: iteration)
        studentOptimizer.step(&student.parameters, against: studentGradients, learningRate: rate, threads: threads)
        autoencoderOptimizer.step(
            &autoencoder.parameters, against: autoencoderGradients, learningRate: rate, threads: threads)
        iteration += 1
    }
}

// MARK: - Leaving and coming back

extension TrainingState {
    /// The small part of a stopped run: everything but its tensors.
    public struct Record: Hashable, Sendable, Codable {
        public var iteration: Int
        public var schedule: LearningRateSchedule
        var augmentation: RandomStream
        var dropout: RandomStream
        var order: RandomStream
        var unseenInThisEpoch: [Int]
    }

    public var record: Record {
        Record(
            iteration: iteration, schedule: schedule, augmentation: augmentation, dropout: dropout, order: order,
            unseenInThisEpoch: unseenInThisEpoch)
    }

    /// Whether every weight and moment is a number.
    ///
    /// A step from finite losses can still end in weights that are not; such a state is not worth keeping.
    public var isFinite: Bool {
        tensors.allSatisfy { $0.tensor.values.allSatisfy(\.isFinite) }
    }

    /// The large part: weights and moments, as `student.conv1.weight`, `student.first_moment.conv1.weight`, ….
    public var tensors: [(name: String, tensor: Tensor)] {
        [
            ("student.", student.parameters),
            ("student.first_moment.", studentOptimizer.firstMoments),
            ("student.second_moment.", studentOptimizer.secondMoments),
            ("autoencoder.", autoencoder.parameters),
            ("autoencoder.first_moment.", autoencoderOptimizer.firstMoments),
            ("autoencoder.second_moment.", autoencoderOptimizer.secondMoments),
        ].flatMap { prefix, parameters in
            parameters.names.indices.map { (prefix + parameters.names[$0], parameters[$0]) }
        }
    }

    /// The state that `record` and `tensors` were taken from.
    ///
    /// - Parameter tensors: By name; others than those of a state are passed over.
    public init(
        record: Record, tensors: [String: Tensor], settings: TrainingSettings
    ) throws(TrainingStateError) {
        self.init(settings: settings)
        try restore(record, tensors: tensors)
    }

    /// Takes on what was stored, where it fits the networks.
    mutating func restore(_ record: Record, tensors: [String: Tensor]) throws(TrainingStateError) {
        guard record.iteration >= 0 else { throw .negativeIteration(record.iteration) }
        func fill(_ parameters: inout ParameterSet, prefix: String) throws(TrainingStateError) {
            for index in 0..<parameters.count {
                let name = prefix + parameters.names[index]
                guard let stored = tensors[name] else { throw .missingTensor(name) }
                guard stored.shape == parameters[index].shape else {
                    throw .wrongShape(name, found: stored.shape, expected: parameters[index].shape)
                }
                parameters[index] = stored
            }
        }
        try fill(&student.parameters, prefix: "student.")
        try fill(&studentOptimizer.firstMoments, prefix: "student.first_moment.")
        try fill(&studentOptimizer.secondMoments, prefix: "student.second_moment.")
        try fill(&autoencoder.parameters, prefix: "autoencoder.")
        try fill(&autoencoderOptimizer.firstMoments, prefix: "autoencoder.first_moment.")
        try fill(&autoencoderOptimizer.secondMoments, prefix: "autoencoder.second_moment.")
        iteration = record.iteration
        studentOptimizer.stepCount = record.iteration
        autoencoderOptimizer.stepCount = record.iteration
        schedule = record.schedule
        augmentation = record.augmentation
        dropout = record.dropout
        order = record.order
        unseenInThisEpoch = record.unseenInThisEpoch
    }
}

/// Why a stored training state cannot be taken up again.
public enum TrainingStateError: Error, Equatable, CustomStringConvertible {
    case missingTensor(String)
    case wrongShape(String, found: [Int], expected: [Int])
    case negativeIteration(Int)

    /// A picture that is still to be seen in this epoch is not among the pictures.
    case unknownPicture(Int, count: Int)

    public var description: String {
        switch self {
        case .missingTensor(let name):
            "the checkpoint has no tensor '\(name)'; it is not from this program's training of this method and size"
        case .wrongShape(let name, let found, let expected):
            "the checkpoint's tensor '\(name)' has shape \(found), expected \(expected)"
        case .negativeIteration(let iteration):
            "the checkpoint claims \(iteration) iterations; it is damaged: train anew"
        case .unknownPicture(let index, let count):
            "the checkpoint waits for picture \(index) of \(count); it was made with other pictures: train anew"
        }
    }
}

extension PatchDescriptionNetwork {
    /// A student before its first step.
    fileprivate static func untrained(using stream: inout RandomStream) -> PatchDescriptionNetwork {
        let parameters = defaultParameters(outputChannels: 768, using: &stream)
        guard let network = try? PatchDescriptionNetwork(parameters: parameters) else {
            preconditionFailure("the default parameters do not fit their own network")
        }
        return network
    }
}

extension Autoencoder {
    /// An autoencoder before its first step.
    fileprivate static func untrained(using stream: inout RandomStream) -> Autoencoder {
        let parameters = defaultParameters(outputChannels: 384, using: &stream)
        guard let network = try? Autoencoder(parameters: parameters) else {
            preconditionFailure("the default parameters do not fit their own network")
        }
        return network
    }
}
