import TensorKernels

/// `L_pen = mean(S₁(P)²)`: the student shall say nothing about pictures P that are not of the part (EfficientAD,
/// arXiv 2303.14535; ALGORITHMS §3.1).
///
/// It keeps the student from imitating the teacher on what it was not shown.
public struct PenaltyLoss: Sendable {
    /// The loss, summed in `Double`.
    public let value: Double

    /// ∂L/∂S₁ = `2·S₁/n`.
    public let gradient: Tensor

    /// - Parameter prediction: S₁(P), the former half of the student's output; at least one value.
    public init(prediction: Tensor) {
        precondition(prediction.count > 0, "no features to punish")
        let scale = 2 / Float(prediction.count)
        value = prediction.values.reduce(0) { $0 + Double($1) * Double($1) } / Double(prediction.count)
        gradient = Tensor(shape: prediction.shape, values: prediction.values.map { scale * $0 })
    }
}
