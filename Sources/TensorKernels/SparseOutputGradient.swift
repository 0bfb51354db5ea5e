/// The non-zero elements of an output gradient that is nearly all zeros.
///
/// The hard feature loss keeps one element in a thousand (ALGORITHMS §3.1). Summing over those alone, straight from the
/// definition, takes a few thousandths of the multiplications of the dense gradients.
struct SparseOutputGradient {
    private struct Element {
        let value: Float
        let channel: Int

        /// The pixel under the kernel's first weight; negative in the padding.
        let top: Int
        let left: Int

        /// The rows and columns of the kernel that lie inside the image.
        let kernelRows: Range<Int>
        let kernelColumns: Range<Int>
    }

    private let geometry: ConvolutionGeometry
    private var elements: [Element] = []

    /// Nil where more than one element in 64 is non-zero, when the matrix products are faster.
    init?(_ outputGradient: Span<Float>, geometry: ConvolutionGeometry) {
        guard Self.isSparse(outputGradient) else { return nil }
        self.geometry = geometry
        for index in outputGradient.indices where outputGradient[index] != 0 {
            let (channel, position) = index.quotientAndRemainder(dividingBy: geometry.positionCount)
            let (y, x) = position.quotientAndRemainder(dividingBy: geometry.outputWidth)
            let (top, left) = (y * geometry.stride - geometry.padding, x * geometry.stride - geometry.padding)
            elements.append(
                Element(
                    value: outputGradient[index], channel: channel, top: top, left: left,
                    kernelRows: kernelOffsetsInside(length: geometry.inputHeight, start: top),
                    kernelColumns: kernelOffsetsInside(length: geometry.inputWidth, start: left)))
        }
    }

    /// Whether at most one element in 64 is non-zero; a dense gradient is left after its first few elements.
    static func isSparse(_ outputGradient: Span<Float>) -> Bool {
        let mostElements = outputGradient.count / 64
        var elements = 0
        for index in outputGradient.indices where outputGradient[index] != 0 {
            elements += 1
            guard elements <= mostElements else { return false }
        }
        return true
    }

    /// `∂L/∂input[c, …] += g · weights[o, c, i, j]` for every element g.
    func addInputGradient(
        weights: UnsafePointer<Float>, channels: Range<Int>, to inputGradient: UnsafeMutablePointer<Float>
    ) {
        let step = geometry.dilation
        forEachKernelRow(of: channels) { element, weightRow, inputRow, columns in
            for j in columns { inputGradient[inputRow + j * step] += element.value * weights[weightRow + j] }
        }
    }

    /// `∂L/∂weights[o, c, i, j] += g · input[c, …]` for every element g.
    func addWeightGradient(
        input: UnsafePointer<Float>, channels: Range<Int>, to weightGradient: UnsafeMutablePointer<Float>
    ) {
        let step = geometry.dilation
        forEachKernelRow(of: channels) { element, weightRow, inputRow, columns in
            for j in columns { weightGradient[weightRow + j] += element.value * input[inputRow + j * step] }
        }
    }

    /// Visits the kernel rows that lie inside the image.
    ///
    /// Kernel column `j` in `columns` pairs weight `weightRow + j` with pixel `inputRow + j·dilation`.
    @inline(__always)
    private func forEachKernelRow(
        of channels: Range<Int>,
        _ body: (_ element: Element, _ weightRow: Int, _ inputRow: Int, _ columns: Range<Int>) -> Void
    ) {
        let side = geometry.kernelSide
        for c in channels {
            for element in elements {
                for i in element.kernelRows {
                    let weightRow = ((element.channel * geometry.inputChannels + c) * side + i) * side
                    let y = element.top + i * geometry.dilation
                    let inputRow = (c * geometry.inputHeight + y) * geometry.inputWidth + element.left
                    body(element, weightRow, inputRow, element.kernelColumns)
                }
            }
        }
    }

    /// All `i` in `0..<kernelSide` with `0 ≤ start + i·dilation < length`.
    private func kernelOffsetsInside(length: Int, start: Int) -> Range<Int> {
        func firstOffset(reaching pixel: Int) -> Int {
            min(max((pixel - start + geometry.dilation - 1) / geometry.dilation, 0), geometry.kernelSide)
        }
        return firstOffset(reaching: 0)..<firstOffset(reaching: length)
    }
}
