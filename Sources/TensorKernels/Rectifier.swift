/// The adjoint of `max(0, ·)`, in place: the gradient passes where the activation is positive and stops elsewhere.
///
/// - Parameter scale: Multiplies what passes. Inverted dropout behind the rectifier zeroes an activation or multiplies it
///   by `1 / (1 − p)`; a dropped activation looks like a blocked one here, so this one pass is the adjoint of both.
/// - Precondition: Both spans hold equally many values.
public func rectifierGradient(
    activation: Span<Float>, scale: Float = 1, into gradient: inout MutableSpan<Float>, threads: Int = 1
) {
    precondition(activation.count == gradient.count, "activation and gradient differ in size")
    activation.withUnsafeBufferPointer { activation in
        gradient.withUnsafeMutableBufferPointer { gradient in
            forEachRange(of: gradient.count, threads: threads) { range in
                for index in range {
                    // Multiplied in any case: without a branch the loop runs on vectors, several times as fast.
                    let passed = gradient[index] * scale
                    gradient[index] = activation[index] > 0 ? passed : 0
                }
            }
        }
    }
}

extension Tensor {
    /// Turns the gradient with respect to a rectifier's output into that with respect to its input.
    public mutating func passRectifier(activation: Tensor, scale: Float = 1, threads: Int = 1) {
        var span = values.mutableSpan
        rectifierGradient(activation: activation.values.span, scale: scale, into: &span, threads: threads)
    }
}

/// Inverted dropout, in place: a value becomes 0 with probability `p`, otherwise it is multiplied by `1 / (1 − p)`.
///
/// Element-wise, one draw per element in memory order. Behind a rectifier, `rectifierGradient` with scale `1 / (1 − p)`
/// is the adjoint of both together.
///
/// - Parameter probability: p in `0..<1`; 0 changes nothing and draws nothing.
public func dropOut(
    _ values: inout MutableSpan<Float>, probability: Float, using generator: inout some RandomNumberGenerator
) {
    precondition((0..<1).contains(probability), "a dropout probability of \(probability) leaves nothing")
    guard probability > 0 else { return }
    let scale = 1 / (1 - probability)
    // 32 bits decide; the error of p is below 2⁻³².
    let threshold = UInt32(Double(probability) * 0x1p32)
    values.withUnsafeMutableBufferPointer { values in
        for index in values.indices {
            let draw = UInt32(truncatingIfNeeded: generator.next() >> 32)
            values[index] = draw < threshold ? 0 : values[index] * scale
        }
    }
}
