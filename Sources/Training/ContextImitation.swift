import ConvNets
import TensorKernels

/// LA-EAD's context extractor learns the teacher on the picture as it is: `L_TE = mean((T̂ − E)²)` (D3).
///
/// A mean over everything, without the hard loss's selection: what counts later is the mean of the features.
struct ContextImitation: Lesson {
    func study(
        _ example: Example, with state: inout TrainingState, accumulatingInto gradients: inout Gradients,
        on engine: any ConvolutionEngine
    ) -> TrainingRun.Losses {
        guard let extractor = state.extractor, var own = gradients.extractor else {
            preconditionFailure("a state without extractor cannot train one")
        }
        // One owner, so that the gradients are not copied.
        gradients.extractor = nil
        let follower = extractor.forwardRecording(example.image, on: engine)
        let loss = MeanSquaredError(prediction: follower.output, target: example.teacherFeatures)
        extractor.backward(loss.predictionGradient, through: follower.tape, accumulatingInto: &own, on: engine)
        gradients.extractor = own
        return .init(context: loss.value)
    }
}
