import ConvNets
import Imaging
import TensorKernels

/// The former half of the student learns to say nothing about other things: L_pen (ALGORITHMS §3.1).
///
/// One picture per iteration, drawn with replacement, three in ten of them without colour.
struct Penalty: Lesson {
    /// At least one.
    let images: [ModelImage]

    /// How likely a picture is shown in grey.
    private static let greyProbability: Float = 0.3

    init(images: [ModelImage]) {
        precondition(!images.isEmpty, "a penalty without pictures")
        self.images = images
    }

    func study(
        _ example: Example, with state: inout TrainingState, accumulatingInto gradients: inout Gradients,
        on engine: any ConvolutionEngine
    ) -> TrainingRun.Losses {
        var picture = images[state.penalty.index(below: images.count)].unitRange()
        // A saturation of 0 is the picture's grey in all channels.
        if state.penalty.uniform() < Self.greyProbability { picture = Augmentation.saturation(0).applied(to: picture) }
        let answer = state.student.forwardRecording(
            ModelImage.normalise(picture), channels: 0..<example.channels, on: engine)
        let loss = PenaltyLoss(prediction: answer.output)
        state.student.backward(
            loss.gradient, through: answer.tape, accumulatingInto: &gradients.student, on: engine)
        return .init(penalty: loss.value)
    }
}
