/// Brings every channel of one image to mean 0 and variance 1 (Ulyanov et al. 2016, arXiv:1607.08022).
///
/// `y = (x − μ)·ρ`, `ρ = 1 / √(σ² + ε)`, with μ and σ² the mean and the biased variance over the channel's positions. No
/// learnt scale or shift and no running statistics: training and inference are the same (ALGORITHMS §2.4, D5). Sums are
/// in `Double`; a channel is computed by one thread in an order of its own, so the number of threads changes no bit.
///
/// - Layout: input and output `[channels, height, width]`.
public struct InstanceNormalisation: Hashable, Sendable {
    public let channels: Int
    public let height: Int
    public let width: Int

    /// ε, added to the variance and not to its root. A channel that is constant becomes 0.
    public static let epsilon = 1e-5

    /// - Precondition: Every dimension is at least 1.
    public init(channels: Int, height: Int, width: Int) {
        precondition(min(channels, height, width) >= 1, "no pixels to normalise")
        self.channels = channels
        self.height = height
        self.width = width
    }

    /// - Parameter threads: How many threads compute at once at most; every number of them gives the same bits.
    public func forward(_ input: Span<Float>, into output: inout MutableSpan<Float>, threads: Int = 1) {
        precondition(input.count == channels * plane, "input does not fit the normalisation")
        precondition(output.count == channels * plane, "output does not fit the normalisation")
        withPointers(input, input, &output) { input, _, output in
            forEachChannel(threads: threads) { c in
                let source = input + c * plane
                let target = output + c * plane
                let (mean, scale) = statistics(of: source)
                for p in 0..<plane { target[p] = Float((Double(source[p]) - mean) * scale) }
            }
        }
    }

    /// `inputGradient ← ∂L/∂input`, from the input of the forward pass, whose statistics are measured again.
    ///
    /// With g = ∂L/∂y and y as above, `∂L/∂x = ρ·(g − mean(g) − y·mean(g·y))`.
    ///
    /// - Parameter threads: How many threads compute at once at most; every number of them gives the same bits.
    public func inputGradient(
        from outputGradient: Span<Float>, input: Span<Float>, into inputGradient: inout MutableSpan<Float>,
        threads: Int = 1
    ) {
        precondition(outputGradient.count == channels * plane, "output gradient does not fit the normalisation")
        precondition(input.count == channels * plane, "input does not fit the normalisation")
        precondition(inputGradient.count == channels * plane, "input gradient does not fit the normalisation")
        withPointers(outputGradient, input, &inputGradient) { outputGradient, input, inputGradient in
            forEachChannel(threads: threads) { c in
                let source = input + c * plane
                let gradient = outputGradient + c * plane
                let target = inputGradient + c * plane
                let (mean, scale) = statistics(of: source)
                let meanGradient = self.mean { Double(gradient[$0]) }
                let share = self.mean { Double(gradient[$0]) * (Double(source[$0]) - mean) * scale }
                for p in 0..<plane {
                    let y = (Double(source[p]) - mean) * scale
                    target[p] = Float(scale * (Double(gradient[p]) - meanGradient - y * share))
                }
            }
        }
    }

    private var plane: Int { height * width }

    private func forEachChannel(threads: Int, _ body: (_ channel: Int) -> Void) {
        // For fewer values a second thread costs more to wake than it saves.
        let valuesPerThread = 1 << 16
        DataParallelLoop(threads: min(threads, channels * plane / valuesPerThread + 1)).run(pieces: channels) { c, _ in
            body(c)
        }
    }

    /// μ and ρ of a channel, in two passes.
    private func statistics(of channel: UnsafePointer<Float>) -> (mean: Double, scale: Double) {
        let mean = self.mean { Double(channel[$0]) }
        let variance = self.mean { position in
            let difference = Double(channel[position]) - mean
            return difference * difference
        }
        return (mean, 1 / (variance + Self.epsilon).squareRoot())
    }

    /// Mean over the positions of a channel: eight sums side by side, so that one addition need not wait for the last.
    @inline(__always)
    private func mean(_ value: (_ position: Int) -> Double) -> Double {
        var lanes = SIMD8<Double>()
        let end = plane - plane % 8
        for start in stride(from: 0, to: end, by: 8) {
            for lane in 0..<8 { lanes[lane] += value(start + lane) }
        }
        var sum = lanes.sum()
        for position in end..<plane { sum += value(position) }
        return sum / Double(plane)
    }
}

extension InstanceNormalisation {
    /// `forward` into a new tensor.
    public func forward(_ input: Tensor, threads: Int = 1) -> Tensor {
        Tensor(shape: [channels, height, width]) { forward(input.values.span, into: &$0, threads: threads) }
    }

    /// `inputGradient` into a new tensor.
    public func inputGradient(from outputGradient: Tensor, input: Tensor, threads: Int = 1) -> Tensor {
        Tensor(shape: [channels, height, width]) {
            inputGradient(
                from: outputGradient.values.span, input: input.values.span, into: &$0, threads: threads)
        }
    }
}
