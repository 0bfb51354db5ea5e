import ConvNets
import Imaging
import TensorKernels

/// The autoencoder learns the teacher, and the latter half of the student the autoencoder, in changed light: L_AE, L_STAE
/// and what a method adds to them.
struct Reconstruction: Lesson {
    var constraint: (any ReconstructionConstraint)?

    func study(
        _ example: Example, with state: inout TrainingState, accumulatingInto gradients: inout Gradients,
        on engine: any ConvolutionEngine
    ) -> TrainingRun.Losses {
        let light = Augmentation.random(using: &state.augmentation)
        let augmented = ModelImage.normalise(light.applied(to: example.unitRange))
        let teacherFeatures = example.teacher.features(of: augmented, on: engine)
        let reconstruction = state.autoencoder.forwardRecording(augmented, dropout: &state.dropout, on: engine)
        let channels = example.channels
        let imitation = state.student.forwardRecording(
            augmented, channels: channels..<(2 * channels), on: engine)
        let comparison = ReconstructionComparison(
            teacher: teacherFeatures, reconstruction: reconstruction.output, imitation: imitation.output,
            constraint: constraint)
        state.student.backward(
            comparison.imitationGradient, through: imitation.tape, accumulatingInto: &gradients.student, on: engine)
        state.autoencoder.backward(
            comparison.reconstructionGradient, through: reconstruction.tape,
            accumulatingInto: &gradients.autoencoder, on: engine)
        return comparison.losses
    }
}

/// DFSC's iteration: no light is changed, so one pass of each network serves all losses (ALGORITHMS §1.2).
struct SharedView: Lesson {
    var constraint: (any ReconstructionConstraint)?

    func study(
        _ example: Example, with state: inout TrainingState, accumulatingInto gradients: inout Gradients,
        on engine: any ConvolutionEngine
    ) -> TrainingRun.Losses {
        let student = state.student.forwardRecording(example.image, on: engine)
        let (former, latter) = student.output.halves
        let hardFeature = HardFeatureLoss()(prediction: former, target: example.teacherFeatures)
        let reconstruction = state.autoencoder.forwardRecording(example.image, dropout: &state.dropout, on: engine)
        let comparison = ReconstructionComparison(
            teacher: example.teacherFeatures, reconstruction: reconstruction.output, imitation: latter,
            constraint: constraint)
        state.student.backward(
            Tensor(joining: hardFeature.gradient, comparison.imitationGradient), through: student.tape,
            accumulatingInto: &gradients.student, on: engine)
        state.autoencoder.backward(
            comparison.reconstructionGradient, through: reconstruction.tape,
            accumulatingInto: &gradients.autoencoder, on: engine)
        var losses = comparison.losses
        losses.hardFeature = hardFeature.value
        return losses
    }
}

extension Tensor {
    /// The channels of two tensors of the same shape behind each other.
    fileprivate init(joining former: Tensor, _ latter: Tensor) {
        self.init(shape: [2 * former.shape[0]] + former.shape.dropFirst(), values: former.values + latter.values)
    }
}
