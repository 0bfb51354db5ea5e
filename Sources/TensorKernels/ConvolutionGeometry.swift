/// The dimensions of one square-kernel convolution: cross-correlation with zero padding, batch 1.
///
/// `output[o, y, x] = bias[o] + Σ weights[o, c, i, j] · input[c, y·stride + i − padding, x·stride + j − padding]`,
/// summed over c, i and j, where the input is zero outside the image.
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

    public let outputHeight: Int
    public let outputWidth: Int

    /// - Precondition: Every dimension is at least 1, the padding at least 0, and the kernel fits into the padded image.
    public init(
        inputChannels: Int, inputHeight: Int, inputWidth: Int, outputChannels: Int, kernelSide: Int, stride: Int = 1,
        padding: Int = 0
    ) {
        precondition(
            min(inputChannels, inputHeight, inputWidth, outputChannels, kernelSide, stride) >= 1 && padding >= 0,
            "a convolution needs channels, pixels, a kernel, a stride and no negative padding")
        precondition(
            min(inputHeight, inputWidth) + 2 * padding >= kernelSide,
            "a \(kernelSide)-kernel does not fit into \(inputHeight)×\(inputWidth) padded by \(padding)")
        self.inputChannels = inputChannels
        self.inputHeight = inputHeight
        self.inputWidth = inputWidth
        self.outputChannels = outputChannels
        self.kernelSide = kernelSide
        self.stride = stride
        self.padding = padding
        outputHeight = (inputHeight + 2 * padding - kernelSide) / stride + 1
        outputWidth = (inputWidth + 2 * padding - kernelSide) / stride + 1
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

    /// The output columns for which this kernel column lies inside the image.
    func outputColumnsInsideImage(kernelColumn j: Int) -> Range<Int> {
        positionsInside(length: inputWidth, outputLength: outputWidth, offset: j - padding)
    }

    /// The output rows for which this kernel row lies inside the image.
    func outputRowsInsideImage(kernelRow i: Int) -> Range<Int> {
        positionsInside(length: inputHeight, outputLength: outputHeight, offset: i - padding)
    }

    /// All `x` in `0..<outputLength` with `0 ≤ x·stride + offset < length`.
    private func positionsInside(length: Int, outputLength: Int, offset: Int) -> Range<Int> {
        func firstPosition(reaching pixel: Int) -> Int {
            min(max((pixel - offset + stride - 1) / stride, 0), outputLength)
        }
        return firstPosition(reaching: 0)..<firstPosition(reaching: length)
    }
}
