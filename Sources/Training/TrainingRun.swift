import AnomalyScoring
import ConvNets
import Imaging
import TensorKernels

/// The training of one student and autoencoder from pictures of good parts, step by step, and of LA-EAD's extractor.
///
/// Batch 1, all losses of an iteration summed, then one step of the optimiser (ALGORITHMS §3.1–3.3). What an iteration
/// consists of is a list of lessons, which the objective decides.
///
/// The run is a value: a copy is a snapshot, and `state` with the settings and the pictures is enough to go on later
/// with the very same numbers.
public struct TrainingRun: Sendable {
    public let settings: TrainingSettings

    /// Student, autoencoder, optimiser moments, random streams and position: what changes from step to step.
    public private(set) var state: TrainingState

    private let lessons: [any Lesson]
    private let images: [ModelImage]
    private let teacher: NormalisedTeacher
    private let engine: any ConvolutionEngine
    private var cache: FeatureCache

    /// Starts a run, or goes on with `state` where one is given.
    ///
    /// - Parameters:
    ///   - images: Pictures of good parts, at least one; their order matters for resuming.
    ///   - teacher: The frozen teacher with its statistics over `images`.
    ///   - penalty: Pictures that are not of the part, in the order that resuming needs again; none leaves L_pen out.
    /// - Throws: Where `state` is about other pictures than these.
    public init(
        settings: TrainingSettings, images: [ModelImage], teacher: NormalisedTeacher, penalty: [ModelImage] = [],
        resuming state: TrainingState? = nil, on engine: any ConvolutionEngine
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
        lessons = Recipe(settings, penalty: penalty).lessons
        self.images = images
        self.teacher = teacher
        self.engine = engine
        self.state = state
        cache = FeatureCache(capacity: settings.featureCacheCapacity)
    }

    /// Moves the end of the run, and with it the drop of the learning rate.
    public mutating func finish(at iteration: Int) { state.schedule.iterations = iteration }

    /// How much of a run is over when the small steps begin that settle it: 0.95, or 0.9 for DFSC.
    public var settlingPoint: Double { 1 - 1 / Double(state.schedule.finalShare) }

    /// Ends a run of whose time `settlingPoint` is over: the rest are the small steps.
    ///
    /// Counted from where this time began: a run that was resumed late is not kept up by the steps of its past.
    ///
    /// - Parameter start: How many iterations were done when the time began.
    /// - Returns: The iteration that the run now ends at, at least one away.
    public mutating func settle(since start: Int) -> Int {
        let end = state.iteration + max(1, (state.iteration - start) / (state.schedule.finalShare - 1))
        finish(at: end)
        return end
    }

    /// Looks at one picture and moves the weights once (ALGORITHMS §3.3).
    public mutating func step() -> Losses {
        let index = state.nextImage(of: images.count)
        let unitRange = images[index].unitRange()
        let image = ModelImage.normalise(unitRange)
        let (teacher, engine) = (teacher, engine)
        let example = Example(
            unitRange: unitRange, image: image, teacher: teacher,
            teacherFeatures: cache.features(of: index) { teacher.features(of: image, on: engine) })
        var gradients = state.zeroGradients
        var losses = Losses()
        for lesson in lessons {
            losses.join(lesson.study(example, with: &state, accumulatingInto: &gradients, on: engine))
        }
        state.update(against: gradients, threads: engine.threads)
        return losses
    }
}
