import TensorKernels

/// Weights that follow those of a training slowly: `θ̄ ← μ·θ̄ + (1 − μ)·θ` after every step (ALGORITHMS §3.2, D15).
///
/// The training never sees them; what they smooth away is the jitter of single pictures.
public struct ExponentialMovingAverage: Sendable {
    /// μ, how much of the average stays, in `0..<1`.
    public let momentum: Float

    /// θ̄, in the names and shapes of the weights.
    public var average: ParameterSet

    /// - Parameter parameters: θ before the first step, where the average starts.
    public init(of parameters: ParameterSet, momentum: Float = 0.99) {
        precondition((0..<1).contains(momentum), "an average with momentum \(momentum) does not move")
        self.momentum = momentum
        average = parameters
    }

    /// - Parameters:
    ///   - parameters: θ after a step.
    ///   - threads: How many threads compute at once; every number of them gives the same bits.
    /// - Precondition: They have the names and shapes that the average was made for.
    public mutating func follow(_ parameters: ParameterSet, threads: Int = 1) {
        precondition(parameters.hasShapes(of: average), "the average is of other parameters")
        let share = 1 - momentum
        for position in 0..<parameters.count {
            average[position].values.withUnsafeMutableBufferPointer { average in
                parameters[position].values.withUnsafeBufferPointer { parameter in
                    forEachRange(of: parameter.count, threads: threads) { range in
                        for index in range { average[index] += share * (parameter[index] - average[index]) }
                    }
                }
            }
        }
    }
}
