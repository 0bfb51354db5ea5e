import ConvNets
import TensorKernels

/// The former half of the student learns the teacher on the picture as it is: L_hard.
struct TeacherImitation: Lesson {
    func study(
        _ example: Example, with state: inout TrainingState, accumulatingInto gradients: inout Gradients,
        on engine: any ConvolutionEngine
    ) -> TrainingRun.Losses {
        let follower = state.student.forwardRecording(example.image, channels: 0..<example.channels, on: engine)
        let loss = HardFeatureLoss()(prediction: follower.output, target: example.teacherFeatures)
        state.student.backward(
            loss.gradient, through: follower.tape, accumulatingInto: &gradients.student, on: engine)
        return .init(hardFeature: loss.value)
    }
}
