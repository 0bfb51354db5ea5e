import TensorKernels

/// `mean((prediction − target)²)` over all elements, with its gradients: L_AE and L_STAE (ALGORITHMS §3.1).
public struct MeanSquaredError: Sendable {
    /// The loss, summed in `Double`.
    public let value: Double

    /// ∂L/∂prediction = `2·(prediction − target) / n`.
    public let predictionGradient: Tensor

    /// ∂L/∂target, for a target that is learnt as well: the negative of `predictionGradient`.
    public var targetGradient: Tensor {
        var gradient = predictionGradient
        for index in gradient.values.indices { gradient.values[index].negate() }
        return gradient
    }

    /// - Precondition: Both tensors have the same shape and at least one value.
    public init(prediction: Tensor, target: Tensor) {
        precondition(prediction.shape == target.shape, "shapes \(prediction.shape) and \(target.shape) differ")
        precondition(prediction.count > 0, "no features to compare")
        let count = prediction.count
        var gradient = Tensor(shape: prediction.shape)
        let (first, second) = (prediction.values.span, target.values.span)
        var span = gradient.values.mutableSpan
        let scale = 2 / Float(count)
        var sum = 0.0
        for index in 0..<count {
            let difference = first[index] - second[index]
            sum += Double(difference) * Double(difference)
            span[index] = difference * scale
        }
        value = sum / Double(count)
        predictionGradient = gradient
    }
}
