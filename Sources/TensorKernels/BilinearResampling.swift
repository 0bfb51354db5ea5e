/// Bilinear point sampling to another size: PyTorch's `interpolate` with `align_corners=False` and no antialiasing.
///
/// Along each axis `s = max(0, (d + ½)·in/out − ½)`, `i₀ = ⌊s⌋`, `i₁ = min(i₀ + 1, in − 1)`, and `i₁` weighs `s − i₀`
/// (ALGORITHMS §1.5).
///
/// - Layout: input `[channels, inputHeight, inputWidth]`, output `[channels, outputHeight, outputWidth]`.
public struct BilinearResampling: Sendable {
    public let channels: Int
    public let inputHeight: Int
    public let inputWidth: Int
    public let outputHeight: Int
    public let outputWidth: Int

    let rows: [Tap]
    let columns: [Tap]

    /// Two neighbouring samples and how much the second one weighs.
    struct Tap: Sendable {
        let first: Int
        let second: Int
        let secondWeight: Float
    }

    /// - Precondition: Every dimension is at least 1.
    public init(channels: Int, inputHeight: Int, inputWidth: Int, outputHeight: Int, outputWidth: Int) {
        precondition(
            min(channels, inputHeight, inputWidth, outputHeight, outputWidth) >= 1, "no pixels to resample")
        self.channels = channels
        self.inputHeight = inputHeight
        self.inputWidth = inputWidth
        self.outputHeight = outputHeight
        self.outputWidth = outputWidth
        rows = Self.taps(from: inputHeight, to: outputHeight)
        columns = Self.taps(from: inputWidth, to: outputWidth)
    }

    private static func taps(from input: Int, to output: Int) -> [Tap] {
        (0..<output).map { d in
            let s = max(0, (Double(d) + 0.5) * Double(input) / Double(output) - 0.5)
            let first = min(Int(s), input - 1)
            return Tap(first: first, second: min(first + 1, input - 1), secondWeight: Float(s - Double(first)))
        }
    }

    public func forward(_ input: Span<Float>, into output: inout MutableSpan<Float>) {
        precondition(input.count == channels * inputHeight * inputWidth, "input does not fit the resampling")
        precondition(output.count == channels * outputHeight * outputWidth, "output does not fit the resampling")
        input.withUnsafeBufferPointer { input in
            output.withUnsafeMutableBufferPointer { output in
                guard let input = input.baseAddress, let output = output.baseAddress else { return }
                withRowBuffer { blended in
                    for c in 0..<channels {
                        for (y, row) in rows.enumerated() {
                            let upper = input + (c * inputHeight + row.first) * inputWidth
                            let lower = input + (c * inputHeight + row.second) * inputWidth
                            let weight = row.secondWeight
                            for x in 0..<inputWidth { blended[x] = (1 - weight) * upper[x] + weight * lower[x] }
                            let target = output + (c * outputHeight + y) * outputWidth
                            for (x, column) in columns.enumerated() {
                                target[x] =
                                    (1 - column.secondWeight) * blended[column.first]
                                    + column.secondWeight * blended[column.second]
                            }
                        }
                    }
                }
            }
        }
    }

    /// `inputGradient ← ∂L/∂input`: every sample gives its gradient to its four neighbours by their weights.
    public func inputGradient(from outputGradient: Span<Float>, into inputGradient: inout MutableSpan<Float>) {
        precondition(
            inputGradient.count == channels * inputHeight * inputWidth, "input gradient does not fit the resampling")
        precondition(
            outputGradient.count == channels * outputHeight * outputWidth,
            "output gradient does not fit the resampling")
        outputGradient.withUnsafeBufferPointer { outputGradient in
            inputGradient.withUnsafeMutableBufferPointer { inputGradient in
                inputGradient.update(repeating: 0)
                guard let gradient = outputGradient.baseAddress, let target = inputGradient.baseAddress else { return }
                withRowBuffer { gathered in
                    for c in 0..<channels {
                        for (y, row) in rows.enumerated() {
                            let source = gradient + (c * outputHeight + y) * outputWidth
                            gathered.update(repeating: 0, count: inputWidth)
                            for (x, column) in columns.enumerated() {
                                gathered[column.first] += (1 - column.secondWeight) * source[x]
                                gathered[column.second] += column.secondWeight * source[x]
                            }
                            let upper = target + (c * inputHeight + row.first) * inputWidth
                            let lower = target + (c * inputHeight + row.second) * inputWidth
                            let weight = row.secondWeight
                            for x in 0..<inputWidth { upper[x] += (1 - weight) * gathered[x] }
                            for x in 0..<inputWidth { lower[x] += weight * gathered[x] }
                        }
                    }
                }
            }
        }
    }

    /// Lends memory for one row of the input.
    private func withRowBuffer(_ body: (UnsafeMutablePointer<Float>) -> Void) {
        withUnsafeTemporaryAllocation(of: Float.self, capacity: inputWidth) { buffer in
            buffer.initialize(repeating: 0)
            if let base = buffer.baseAddress { body(base) }
        }
    }
}

extension BilinearResampling {
    /// `forward` into a new tensor.
    public func forward(_ input: Tensor) -> Tensor {
        var output = Tensor(shape: [channels, outputHeight, outputWidth])
        var span = output.values.mutableSpan
        forward(input.values.span, into: &span)
        return output
    }

    /// `inputGradient` into a new tensor.
    public func inputGradient(from outputGradient: Tensor) -> Tensor {
        var gradient = Tensor(shape: [channels, inputHeight, inputWidth])
        var span = gradient.values.mutableSpan
        inputGradient(from: outputGradient.values.span, into: &span)
        return gradient
    }
}
