import ConvNets
import TensorKernels

/// Everything of a training run that changes from step to step.
public struct TrainingState: Sendable {
    /// How many steps are done.
    public private(set) var iteration = 0

    /// When the learning rate changes; a run on a time budget learns its end only on the way.
    public var schedule: LearningRateSchedule

    var augmentation: RandomStream
    var dropout: RandomStream
    var penalty: RandomStream

    private var order: RandomStream
    private var unseenInThisEpoch: [Int] = []

    private var studentLearner: Learner<PatchDescriptionNetwork>
    private var autoencoderLearner: Learner<Autoencoder>
    private var extractorLearner: Learner<ContextExtractor>?
    private var studentAverage: ExponentialMovingAverage?

    /// The published networks before their first step.
    init(settings: TrainingSettings) {
        let recipe = Recipe(settings)
        var initialisation = RandomStream(seed: settings.seed, stream: .initialisation)
        // In this order, so that all methods of a size start with the same student and autoencoder.
        let student = PatchDescriptionNetwork.untrained(size: settings.size, using: &initialisation)
        let autoencoder = Autoencoder.untrained(design: recipe.autoencoderDesign, using: &initialisation)
        let extractor = recipe.trainsExtractor ? ContextExtractor.untrained(using: &initialisation) : nil
        self.init(student: student, autoencoder: autoencoder, extractor: extractor, settings: settings)
    }

    /// Any networks before their first step, such as the narrow ones of a test.
    ///
    /// - Precondition: There is an extractor exactly where the objective trains one.
    init(
        student: PatchDescriptionNetwork, autoencoder: Autoencoder, extractor: ContextExtractor? = nil,
        settings: TrainingSettings
    ) {
        let recipe = Recipe(settings)
        precondition(
            (extractor != nil) == recipe.trainsExtractor, "the objective decides whether there is an extractor")
        precondition(autoencoder.design == recipe.autoencoderDesign, "the objective decides the autoencoder's design")
        studentLearner = Learner(student, configuration: recipe.optimizer)
        autoencoderLearner = Learner(autoencoder, configuration: recipe.optimizer)
        extractorLearner = extractor.map { Learner($0, configuration: recipe.optimizer) }
        studentAverage = recipe.averagesStudent ? ExponentialMovingAverage(of: student.parameters) : nil
        schedule = LearningRateSchedule(
            iterations: settings.iterations, initialRate: settings.learningRate, finalShare: recipe.finalShare,
            warmUp: recipe.warmUp)
        augmentation = RandomStream(seed: settings.seed, stream: .augmentation)
        dropout = RandomStream(seed: settings.seed, stream: .dropout)
        penalty = RandomStream(seed: settings.seed, stream: .penalty)
        order = RandomStream(seed: settings.seed, stream: .order)
    }

    /// 768 output channels: the former half follows the teacher, the latter half the autoencoder.
    public internal(set) var student: PatchDescriptionNetwork {
        get { studentLearner.network }
        _modify { yield &studentLearner.network }
    }

    public internal(set) var autoencoder: Autoencoder {
        get { autoencoderLearner.network }
        _modify { yield &autoencoderLearner.network }
    }

    /// Nil where the objective trains none.
    public var extractor: ContextExtractor? { extractorLearner?.network }

    /// The moving average of the student, as DFSC measures and scores with it, and its μ; nil for other objectives.
    public var averagedStudent: (network: PatchDescriptionNetwork, momentum: Float)? {
        guard let studentAverage else { return nil }
        var network = student
        network.parameters = studentAverage.average
        return (network, studentAverage.momentum)
    }

    /// The picture to look at next: shuffled epochs without replacement (ALGORITHMS D27).
    mutating func nextImage(of count: Int) -> Int {
        if unseenInThisEpoch.isEmpty {
            unseenInThisEpoch = Array(0..<count)
            order.shuffle(&unseenInThisEpoch)
        }
        return unseenInThisEpoch.removeLast()
    }

    /// Where an iteration's gradients start.
    var zeroGradients: Gradients {
        Gradients(
            student: student.parameters.zeros, autoencoder: autoencoder.parameters.zeros,
            extractor: extractor?.parameters.zeros)
    }

    /// Moves every network once.
    mutating func update(against gradients: Gradients, threads: Int) {
        let rate = schedule.rate(at: iteration)
        studentLearner.step(against: gradients.student, learningRate: rate, threads: threads)
        autoencoderLearner.step(against: gradients.autoencoder, learningRate: rate, threads: threads)
        if let own = gradients.extractor { extractorLearner?.step(against: own, learningRate: rate, threads: threads) }
        let moved = student.parameters
        studentAverage?.follow(moved, threads: threads)
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
        var penalty: RandomStream
        var order: RandomStream
        var unseenInThisEpoch: [Int]
    }

    public var record: Record {
        Record(
            iteration: iteration, schedule: schedule, augmentation: augmentation, dropout: dropout, penalty: penalty,
            order: order, unseenInThisEpoch: unseenInThisEpoch)
    }

    /// Whether every weight and moment is a number.
    ///
    /// A step from finite losses can still end in weights that are not; such a state is not worth keeping.
    public var isFinite: Bool {
        tensors.allSatisfy { $0.tensor.values.allSatisfy(\.isFinite) }
    }

    /// The large part: weights and moments, as `student.conv1.weight`, `student.first_moment.conv1.weight`, …, and where
    /// there is one the student's average, as `student.average.conv1.weight`, ….
    public var tensors: [(name: String, tensor: Tensor)] {
        studentLearner.tensors(named: "student") + autoencoderLearner.tensors(named: "autoencoder")
            + (extractorLearner?.tensors(named: "extractor") ?? [])
            + (studentAverage?.average.tensors(prefix: Self.averagePrefix) ?? [])
    }

    private static let averagePrefix = "student.average."

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
        let steps = record.iteration
        try studentLearner.restore(named: "student", from: tensors, stepCount: steps)
        try autoencoderLearner.restore(named: "autoencoder", from: tensors, stepCount: steps)
        try extractorLearner?.restore(named: "extractor", from: tensors, stepCount: steps)
        try studentAverage?.average.fill(from: tensors, prefix: Self.averagePrefix)
        iteration = record.iteration
        schedule = record.schedule
        augmentation = record.augmentation
        dropout = record.dropout
        penalty = record.penalty
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
    fileprivate static func untrained(size: Size, using stream: inout RandomStream) -> PatchDescriptionNetwork {
        let parameters = defaultParameters(outputChannels: 768, size: size, using: &stream)
        guard let network = try? PatchDescriptionNetwork(parameters: parameters, size: size) else { defaultsDoNotFit() }
        return network
    }
}

extension Autoencoder {
    /// An autoencoder before its first step.
    fileprivate static func untrained(design: Design, using stream: inout RandomStream) -> Autoencoder {
        let parameters = defaultParameters(outputChannels: 384, using: &stream)
        guard let network = try? Autoencoder(parameters: parameters, design: design) else { defaultsDoNotFit() }
        return network
    }
}

extension ContextExtractor {
    /// An extractor before its first step.
    fileprivate static func untrained(using stream: inout RandomStream) -> ContextExtractor {
        let parameters = defaultParameters(outputChannels: 384, using: &stream)
        guard let network = try? ContextExtractor(parameters: parameters) else { defaultsDoNotFit() }
        return network
    }
}

private func defaultsDoNotFit() -> Never {
    preconditionFailure("the default parameters do not fit their own network")
}
