import AnomalyScoring
import ConvNets
import Imaging
import TensorKernels

/// The training of one EfficientAD student and autoencoder from pictures of good parts, step by step.
///
/// `L = L_hard + L_AE + L_STAE`, equal weights, batch 1, one optimiser (EfficientAD; ALGORITHMS §3.1–3.3). PUAD trains the
/// same networks and differs only in what is measured afterwards.
///
/// The run is a value: a copy is a snapshot, and `state` with the settings and the pictures is enough to go on later
/// with the very same numbers.
public struct TrainingRun: Sendable {
    /// What one step cost, before the weights moved.
    public struct Losses: Hashable, Sendable {
        /// L_hard, the hardest thousandth of the student's distance to the teacher.
        public var hardFeature: Double

        /// L_AE, the autoencoder's mean squared distance to the teacher.
        public var autoencoder: Double

        /// L_STAE, the student's mean squared distance to the autoencoder.
        public var studentAutoencoder: Double

        public var total: Double { hardFeature + autoencoder + studentAutoencoder }
    }

    public let settings: TrainingSettings

    /// Student, autoencoder, optimiser moments, random streams and position: what changes from step to step.
    public private(set) var state: TrainingState

    private let images: [ModelImage]
    private let teacher: NormalisedTeacher
    private let engine: any ConvolutionEngine
    private var cache: FeatureCache

    /// Starts a run, or goes on with `state` where one is given.
    ///
    /// - Parameters:
    ///   - images: Pictures of good parts, at least one; their order matters for resuming.
    ///   - teacher: The frozen teacher with its statistics over `images`.
    /// - Throws: Where `state` is about other pictures than these.
    public init(
        settings: TrainingSettings, images: [ModelImage], teacher: NormalisedTeacher,
        resuming state: TrainingState? = nil,
        on engine: any ConvolutionEngine
    ) throws(TrainingStateError) {
        precondition(!images.isEmpty, "nothing to train with")
        let state = state ?? TrainingState(settings: settings)
        precondition(
            state.student.outputChannels == 2 * teacher.network.outputChannels
                && state.autoencoder.outputChannels == teacher.network.outputChannels,
            "the student needs a half for each of teacher and autoencoder")
        if let stray = state.record.unseenInThisEpoch.first(where: { !images.indices.contains($0) }) {
            throw .unknownPicture(stray, count: images.count)
        }
        self.settings = settings
        self.images = images
        self.teacher = teacher
        self.engine = engine
        self.state = state
        cache = FeatureCache(capacity: settings.featureCacheCapacity)
    }

    /// Moves the end of the run, and with it the drop of the learning rate.
    public mutating func finish(at iteration: Int) {
        state.schedule = LearningRateSchedule(iterations: iteration, initialRate: settings.learningRate)
    }

    /// Ends a run of which nineteen twentieths of the time are over: the rest are the small steps that settle it.
    ///
    /// Counted from where this time began: a run that was resumed late is not kept up by the steps of its past.
    ///
    /// - Parameter start: How many iterations were done when the time began.
    /// - Returns: The iteration that the run now ends at, at least one away.
    public mutating func settle(since start: Int) -> Int {
        let end = state.iteration + max(1, (state.iteration - start) / 19)
        finish(at: end)
        return end
    }

    /// Looks at one picture and moves the weights once (ALGORITHMS §3.3).
    public mutating func step() -> Losses {
        let index = state.nextImage(of: images.count)
        let unitRange = images[index].unitRange()
        let image = ModelImage.normalise(unitRange)
        let augmented = ModelImage.normalise(Augmentation.random(using: &state.augmentation).applied(to: unitRange))
        let (teacher, engine) = (teacher, engine)
        let teacherFeatures = cache.features(of: index) { teacher.features(of: image, on: engine) }
        let teacherFeaturesOfAugmented = teacher.features(of: augmented, on: engine)

        let channels = teacher.network.outputChannels

        // The former half of the student learns the teacher on the picture as it is.
        let follower = state.student.forwardRecording(image, channels: 0..<channels, on: engine)
        let hardFeature = HardFeatureLoss()(prediction: follower.output, target: teacherFeatures)
        var studentGradients = state.student.parameters.zeros
        state.student.backward(
            hardFeature.gradient, through: follower.tape, accumulatingInto: &studentGradients, on: engine)

        // The autoencoder learns the teacher, and the latter half of the student the autoencoder, on the augmented one.
        let reconstruction = state.autoencoder.forwardRecording(augmented, dropout: &state.dropout, on: engine)
        let imitation = state.student.forwardRecording(augmented, channels: channels..<(2 * channels), on: engine)
        let autoencoderLoss = MeanSquaredError(
            prediction: reconstruction.output, target: teacherFeaturesOfAugmented)
        let studentAutoencoderLoss = MeanSquaredError(prediction: imitation.output, target: reconstruction.output)
        state.student.backward(
            studentAutoencoderLoss.predictionGradient, through: imitation.tape,
            accumulatingInto: &studentGradients, on: engine)
        // L_STAE is not detached: it moves the autoencoder too (ALGORITHMS §3.1).
        var autoencoderGradient = autoencoderLoss.predictionGradient
        autoencoderGradient.subtract(studentAutoencoderLoss.predictionGradient)
        var autoencoderGradients = state.autoencoder.parameters.zeros
        state.autoencoder.backward(
            autoencoderGradient, through: reconstruction.tape, accumulatingInto: &autoencoderGradients, on: engine)

        state.update(student: studentGradients, autoencoder: autoencoderGradients, threads: engine.threads)
        return Losses(
            hardFeature: hardFeature.value, autoencoder: autoencoderLoss.value,
            studentAutoencoder: studentAutoencoderLoss.value)
    }
}

extension Tensor {
    /// Element by element.
    fileprivate mutating func subtract(_ other: Tensor) {
        let subtrahend = other.values.span
        var difference = values.mutableSpan
        for index in subtrahend.indices { difference[index] -= subtrahend[index] }
    }
}
