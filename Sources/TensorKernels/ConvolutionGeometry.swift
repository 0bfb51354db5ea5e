/// The dimensions of one square-kernel convolution: cross-correlation with zero padding, batch 1.
///
/// `output[o, y, x] = bias[o] + Σ weights[o, c, i, j] · input[c, y·stride + i·dilation − padding,
/// x·stride + j·dilation − padding]`, summed over c, i and j, where the input is zero outside the image.
///
/// - Layout: input `[inputChannels, inputHeight, inputWidth]`, weights
///   `[outputChannels, inputChannels, kernelSide, kernelSide]`, output `[outputChannels, outputHeight, outputWidth]`.
public struct ConvolutionGeometry: Hashable, Sendable {
    public let inputChannels: Int
    public let inputHeight: Int
    public let inputWidth: Int
    public let outputChannels: Int
    public let kernelSide: Int
    public let stride: Int
    public let padding: Int

    /// From one weight of a kernel row or column to the next, in pixels: 1 is an ordinary convolution.
    ///
    /// d pixels widen what a kernel of side k sees to (k − 1)·d + 1 pixels and cost nothing.
    public let dilation: Int

    public let outputHeight: Int
    public let outputWidth: Int

    /// - Precondition: Every dimension is at least 1, the padding at least 0, and the dilated kernel fits into the padded
    ///   image.
    public init(
        inputChannels: Int, inputHeight: Int, inputWidth: Int, outputChannels: Int, kernelSide: Int, stride: Int = 1,
        padding: Int = 0, dilation: Int = 1
    ) {
        precondition(
            min(inputChannels, inputHeight, inputWidth, outputChannels, kernelSide, stride, dilation) >= 1
                && padding >= 0,
            "a convolution needs channels, pixels, a kernel, a stride, a dilation and no negative padding")
        let fieldSide = (kernelSide - 1) * dilation + 1
        precondition(
            min(inputHeight, inputWidth) + 2 * padding >= fieldSide,
            "a kernel over \(fieldSide) pixels does not fit into \(inputHeight)×\(inputWidth) padded by \(padding)")
        self.inputChannels = inputChannels
        self.inputHeight = inputHeight
        self.inputWidth = inputWidth
        self.outputChannels = outputChannels
        self.kernelSide = kernelSide
        self.stride = stride
        self.padding = padding
        self.dilation = dilation
        outputHeight = (inputHeight + 2 * padding - fieldSide) / stride + 1
        outputWidth = (inputWidth + 2 * padding - fieldSide) / stride + 1
    }

    public var inputCount: Int { inputChannels * inputHeight * inputWidth }
    public var weightCount: Int { outputChannels * patchCount }
    public var outputCount: Int { outputChannels * positionCount }

    /// How many numbers one output number is a weighted sum of.
    public var patchCount: Int { inputChannels * kernelSide * kernelSide }

    /// How many places the kernel is put at.
    public var positionCount: Int { outputHeight * outputWidth }

    /// Multiply-accumulate operations of a forward pass; padding counts, bias does not (ALGORITHMS §2).
    public var multiplyAccumulates: Int { weightCount * positionCount }

    /// The pixel that a kernel row or column falls on when the kernel is put at the first place; negative in the padding.
    func offset(ofKernelIndex i: Int) -> Int { i * dilation - padding }

    /// The output columns for which this kernel column lies inside the image.
    func outputColumnsInsideImage(kernelColumn j: Int) -> Range<Int> {
        positionsInside(length: inputWidth, outputLength: outputWidth, offset: offset(ofKernelIndex: j))
    }

    /// The output rows for which this kernel row lies inside the image.
    func outputRowsInsideImage(kernelRow i: Int) -> Range<Int> {
        positionsInside(length: inputHeight, outputLength: outputHeight, offset: offset(ofKernelIndex: i))
    }

    /// All `x` in `0..<outputLength` with `0 ≤ x·stride + offset < length`.
    private func positionsInside(length: Int, outputLength: Int, offset: Int) -> Range<Int> {
        func firstPosition(reaching pixel: Int) -> Int {
            min(max((pixel - offset + stride - 1) / stride, 0), outputLength)
        }
        return firstPosition(reaching: 0)..<firstPosition(reaching: length)
    }
}
