import AnomalyScoring
import ConvNets
import Imaging
import TensorKernels

/// One part of an iteration: shows the networks a picture, says what they got wrong, and where their weights should go.
protocol Lesson: Sendable {
    /// - Parameters:
    ///   - state: The networks as they are, and the random streams to draw from.
    ///   - gradients: What the lesson adds its own to.
    /// - Returns: The losses that the lesson is about; those of others are left out.
    func study(
        _ example: Example, with state: inout TrainingState, accumulatingInto gradients: inout Gradients,
        on engine: any ConvolutionEngine
    ) -> TrainingRun.Losses
}

/// The picture of an iteration.
struct Example {
    /// The picture as it is, `[3, 256, 256]`, 0…1.
    let unitRange: Tensor

    /// The same, ImageNet-normalised: I.
    let image: Tensor
    let teacher: NormalisedTeacher

    /// T̂(I).
    let teacherFeatures: Tensor

    var channels: Int { teacher.network.outputChannels }
}

/// ∂L/∂weights of everything that is trained.
struct Gradients: Sendable {
    var student: ParameterSet
    var autoencoder: ParameterSet
    var extractor: ParameterSet?
}

extension TrainingRun {
    /// What one step cost, before the weights moved; nil for what the method has not.
    public struct Losses: Hashable, Sendable {
        /// L_hard, the hardest thousandth of the student's distance to the teacher.
        public var hardFeature = 0.0

        /// L_pen, the student's mean square on pictures of other things.
        public var penalty: Double?

        /// L_AE, the autoencoder's mean squared distance to the teacher.
        public var autoencoder = 0.0

        /// L_STAE, the student's mean squared distance to the autoencoder.
        public var studentAutoencoder = 0.0

        /// α·L_RDC or 2·L_DFSC, whichever the method adds.
        public var constraint: Double?

        /// L_TE, the context extractor's mean squared distance to the teacher.
        public var context: Double?

        /// What DFSC's constraint could pull at.
        public var separation: Separation?

        public var total: Double {
            hardFeature + autoencoder + studentAutoencoder + (penalty ?? 0) + (constraint ?? 0) + (context ?? 0)
        }

        /// Losses of different lessons in one.
        mutating func join(_ other: Losses) {
            hardFeature += other.hardFeature
            autoencoder += other.autoencoder
            studentAutoencoder += other.studentAutoencoder
            penalty = penalty ?? other.penalty
            constraint = constraint ?? other.constraint
            context = context ?? other.context
            separation = separation ?? other.separation
        }
    }

    /// How much of a picture the feature separation constraint looked at.
    public struct Separation: Hashable, Sendable {
        /// Locations with at least one kept channel.
        public var keptLocations: Int

        /// Those of them with one kept channel alone, which cannot be pulled at.
        public var singleChannelLocations: Int
    }
}
