/// Mean over 2×2 windows with stride 2.
///
/// The divisor is always 4, also where a window reaches into the zero padding (PyTorch's `count_include_pad`,
/// ALGORITHMS §1.4). A last row or column without a partner is left out.
///
/// - Layout: input `[channels, inputHeight, inputWidth]`, output `[channels, outputHeight, outputWidth]`.
public struct AveragePooling: Hashable, Sendable {
    public let channels: Int
    public let inputHeight: Int
    public let inputWidth: Int

    /// Rows and columns of zeros around the image, 0 or 1.
    public let padding: Int
    public let outputHeight: Int
    public let outputWidth: Int

    /// - Precondition: At least one window fits into the padded image.
    public init(channels: Int, inputHeight: Int, inputWidth: Int, padding: Int = 0) {
        precondition(padding == 0 || padding == 1, "more padding than one pixel would make empty windows")
        precondition(
            channels >= 1 && min(inputHeight, inputWidth) >= 1 && min(inputHeight, inputWidth) + 2 * padding >= 2,
            "no 2×2 window fits into \(inputHeight)×\(inputWidth) padded by \(padding)")
        self.channels = channels
        self.inputHeight = inputHeight
        self.inputWidth = inputWidth
        self.padding = padding
        outputHeight = (inputHeight + 2 * padding) / 2
        outputWidth = (inputWidth + 2 * padding) / 2
    }

    /// - Parameter threads: How many threads compute at once; every number of them gives the same bits.
    public func forward(_ input: Span<Float>, into output: inout MutableSpan<Float>, threads: Int = 1) {
        precondition(input.count == channels * inputHeight * inputWidth, "input does not fit the pooling")
        precondition(output.count == channels * outputHeight * outputWidth, "output does not fit the pooling")
        input.withUnsafeBufferPointer { input in
            output.withUnsafeMutableBufferPointer { output in
                guard let input = input.baseAddress, let output = output.baseAddress else { return }
                let whole = windowsInsideColumns
                forEachOutputRow(threads: threads) { outputRow, inputRows in
                    let target = output + outputRow
                    target.update(repeating: 0, count: outputWidth)
                    for inputRow in inputRows {
                        let source = input + inputRow * inputWidth
                        let first = source + (2 * whole.lowerBound - padding)
                        for x in 0..<whole.count {
                            target[whole.lowerBound + x] += 0.25 * (first[2 * x] + first[2 * x + 1])
                        }
                        for (x, column) in halfWindows { target[x] += 0.25 * source[column] }
                    }
                }
            }
        }
    }

    /// `inputGradient ← ∂L/∂input`: every pixel gets a quarter of its window's gradient.
    ///
    /// - Parameter threads: How many threads compute at once; every number of them gives the same bits.
    public func inputGradient(
        from outputGradient: Span<Float>, into inputGradient: inout MutableSpan<Float>, threads: Int = 1
    ) {
        precondition(
            inputGradient.count == channels * inputHeight * inputWidth, "input gradient does not fit the pooling")
        precondition(
            outputGradient.count == channels * outputHeight * outputWidth, "output gradient does not fit the pooling")
        outputGradient.withUnsafeBufferPointer { outputGradient in
            inputGradient.withUnsafeMutableBufferPointer { inputGradient in
                guard let gradient = outputGradient.baseAddress, let target = inputGradient.baseAddress else { return }
                let whole = windowsInsideColumns
                forEachRange(of: inputGradient.count, threads: threads) { range in
                    (target + range.lowerBound).update(repeating: 0, count: range.count)
                }
                forEachOutputRow(threads: threads) { outputRow, inputRows in
                    let source = gradient + outputRow
                    for inputRow in inputRows {
                        let row = target + inputRow * inputWidth
                        let first = row + (2 * whole.lowerBound - padding)
                        for x in 0..<whole.count {
                            let quarter = 0.25 * source[whole.lowerBound + x]
                            first[2 * x] = quarter
                            first[2 * x + 1] = quarter
                        }
                        for (x, column) in halfWindows { row[column] = 0.25 * source[x] }
                    }
                }
            }
        }
    }

    /// The output columns whose windows lie inside the image.
    private var windowsInsideColumns: Range<Int> { padding..<((inputWidth + padding) / 2) }

    /// The output columns whose windows are half padding, each with the input column that it sees.
    private var halfWindows: [(x: Int, column: Int)] {
        guard padding == 1 else { return [] }
        let last = windowsInsideColumns.upperBound
        return [(0, 0)] + (last < outputWidth ? [(last, 2 * last - 1)] : [])
    }

    /// Visits the output rows, given by where they start, with the numbers of the rows of all channels that they see.
    private func forEachOutputRow(threads: Int, _ body: (_ outputRow: Int, _ inputRows: Range<Int>) -> Void) {
        DataParallelLoop(threads: threads).run(pieces: channels) { c, _ in
            for y in 0..<outputHeight {
                let seen = (2 * y - padding..<2 * y - padding + 2).clamped(to: 0..<inputHeight)
                body(
                    (c * outputHeight + y) * outputWidth,
                    c * inputHeight + seen.lowerBound..<c * inputHeight + seen.upperBound)
            }
        }
    }
}

extension AveragePooling {
    /// `forward` into a new tensor.
    public func forward(_ input: Tensor, threads: Int = 1) -> Tensor {
        Tensor(shape: [channels, outputHeight, outputWidth]) { output in
            forward(input.values.span, into: &output, threads: threads)
        }
    }

    /// `inputGradient` into a new tensor.
    public func inputGradient(from outputGradient: Tensor, threads: Int = 1) -> Tensor {
        Tensor(shape: [channels, inputHeight, inputWidth]) { gradient in
            inputGradient(from: outputGradient.values.span, into: &gradient, threads: threads)
        }
    }
}
