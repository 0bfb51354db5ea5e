/// Convolution by patch unrolling and OpenBLAS matrix products.
///
/// Output rows (forward) or input channels (gradients) are cut into pieces whose unrolled patches fit into the cache; one
/// thread computes a piece from start to end, so no sum depends on which thread was faster. The cut depends on the
/// geometry alone.
public struct ReferenceConvolution: ConvolutionEngine {
    private let loop: DataParallelLoop

    /// Make the first engine early, before other threads read the environment: OpenBLAS is told its kernels through it.
    ///
    /// - Parameter threads: How many threads compute at once, the caller included; at least 1.
    public init(threads: Int) {
        precondition(threads >= 1, "an engine without threads computes nothing")
        _ = MatrixProduct.prepared
        loop = DataParallelLoop(threads: threads)
    }

    public func forward(
        _ input: Span<Float>, weights: Span<Float>, bias: Span<Float>, activation: Activation,
        geometry: ConvolutionGeometry, into output: inout MutableSpan<Float>
    ) {
        precondition(input.count == geometry.inputCount && weights.count == geometry.weightCount)
        precondition(bias.count == geometry.outputChannels && output.count == geometry.outputCount)
        withPointers(input, weights, &output) { input, weights, output in
            if let pointwise = PointwiseConvolution(geometry, loop: loop) {
                return pointwise.forward(input, weights: weights, bias: bias, activation: activation, into: output)
            }
            let blocks = geometry.outputRowBlocks(matrixRows: geometry.patchCount)
            let scratch = geometry.patchCount * blocks.largest * geometry.outputWidth
            loop.run(pieces: blocks.count, floatsPerThread: scratch) { piece, columns in
                let patches = PatchUnrolling(
                    geometry: geometry, channels: 0..<geometry.inputChannels, outputRows: blocks[piece])
                patches.unroll(input, into: columns)
                let block = output + patches.outputRows.lowerBound * geometry.outputWidth
                MatrixProduct.multiply(
                    MatrixView(base: weights, rowStride: geometry.patchCount),
                    MatrixView(base: UnsafePointer(columns), rowStride: patches.columnCount),
                    rows: geometry.outputChannels, columns: patches.columnCount, inner: geometry.patchCount,
                    into: MatrixView(base: block, rowStride: geometry.positionCount))
                let first = patches.outputRows.lowerBound * geometry.outputWidth
                geometry.finish(
                    output, positions: first..<first + patches.columnCount, bias: bias, activation: activation)
            }
        }
    }

    public func inputGradient(
        from outputGradient: Span<Float>, weights: Span<Float>, geometry: ConvolutionGeometry,
        into inputGradient: inout MutableSpan<Float>
    ) {
        precondition(outputGradient.count == geometry.outputCount && weights.count == geometry.weightCount)
        precondition(inputGradient.count == geometry.inputCount)
        let sparse = SparseOutputGradient(outputGradient, geometry: geometry)
        withPointers(outputGradient, weights, &inputGradient) { outputGradient, weights, inputGradient in
            if sparse == nil, let pointwise = PointwiseConvolution(geometry, loop: loop) {
                return pointwise.inputGradient(from: outputGradient, weights: weights, into: inputGradient)
            }
            inputGradient.update(repeating: 0, count: geometry.inputCount)
            let groups = geometry.inputChannelGroups
            if let sparse {
                loop.run(pieces: groups.count) { piece, _ in
                    sparse.addInputGradient(weights: weights, channels: groups[piece], to: inputGradient)
                }
                return
            }
            let matrixRows = groups.largest * geometry.kernelSide * geometry.kernelSide
            let blocks = geometry.outputRowBlocks(matrixRows: matrixRows)
            let scratch = matrixRows * blocks.largest * geometry.outputWidth
            loop.run(pieces: groups.count, floatsPerThread: scratch) { piece, columns in
                for block in blocks {
                    let patches = PatchUnrolling(geometry: geometry, channels: groups[piece], outputRows: block)
                    MatrixProduct.multiply(
                        MatrixView(
                            base: weights + geometry.weightColumn(of: patches.channels), rowStride: geometry.patchCount,
                            isTransposed: true),
                        MatrixView(
                            base: outputGradient + block.lowerBound * geometry.outputWidth,
                            rowStride: geometry.positionCount),
                        rows: patches.rowCount, columns: patches.columnCount, inner: geometry.outputChannels,
                        into: MatrixView(base: columns, rowStride: patches.columnCount))
                    patches.addRolled(columns, to: inputGradient)
                }
            }
        }
    }

    public func weightGradient(
        from outputGradient: Span<Float>, input: Span<Float>, geometry: ConvolutionGeometry,
        accumulatingInto weightGradient: inout MutableSpan<Float>
    ) {
        precondition(outputGradient.count == geometry.outputCount && input.count == geometry.inputCount)
        precondition(weightGradient.count == geometry.weightCount)
        let sparse = SparseOutputGradient(outputGradient, geometry: geometry)
        withPointers(outputGradient, input, &weightGradient) { outputGradient, input, weightGradient in
            let groups = geometry.inputChannelGroups
            if let sparse {
                loop.run(pieces: groups.count) { piece, _ in
                    sparse.addWeightGradient(input: input, channels: groups[piece], to: weightGradient)
                }
                return
            }
            if let pointwise = PointwiseConvolution(geometry, loop: loop) {
                return pointwise.addWeightGradient(from: outputGradient, input: input, to: weightGradient)
            }
            // Few input channels make few groups; then the output channels are divided as well, and each part unrolls
            // the patches anew, which costs little beside the product.
            let parts = EvenCut(of: geometry.outputChannels, into: max(1, 4 / groups.count))
            let matrixRows = groups.largest * geometry.kernelSide * geometry.kernelSide
            let blocks = geometry.outputRowBlocks(matrixRows: matrixRows)
            let scratch = matrixRows * blocks.largest * geometry.outputWidth
            loop.run(pieces: groups.count * parts.count, floatsPerThread: scratch) { piece, columns in
                let part = parts[piece % parts.count]
                for block in blocks {
                    let patches = PatchUnrolling(
                        geometry: geometry, channels: groups[piece / parts.count], outputRows: block)
                    patches.unroll(input, into: columns)
                    let start = part.lowerBound * geometry.positionCount + block.lowerBound * geometry.outputWidth
                    let target =
                        part.lowerBound * geometry.patchCount + geometry.weightColumn(of: patches.channels)
                    MatrixProduct.multiply(
                        MatrixView(base: outputGradient + start, rowStride: geometry.positionCount),
                        MatrixView(
                            base: UnsafePointer(columns), rowStride: patches.columnCount, isTransposed: true),
                        rows: part.count, columns: patches.rowCount, inner: patches.columnCount, keeping: 1,
                        into: MatrixView(base: weightGradient + target, rowStride: geometry.patchCount))
                }
            }
        }
    }
}

extension ConvolutionGeometry {
    /// `output ← activation(output + bias)` at some positions of every channel.
    func finish(
        _ output: UnsafeMutablePointer<Float>, positions: Range<Int>, bias: Span<Float>, activation: Activation
    ) {
        for o in 0..<outputChannels {
            let row = output + (o * positionCount + positions.lowerBound)
            let shift = bias[o]
            for p in 0..<positions.count { row[p] += shift }
            if activation == .rectifier {
                // Not `max`, which would turn a NaN into a harmless 0.
                for p in 0..<positions.count { row[p] = row[p] < 0 ? 0 : row[p] }
            }
        }
    }
}

/// `0..<length` cut into consecutive ranges that differ in length by one at most.
struct EvenCut: RandomAccessCollection {
    let length: Int
    let startIndex = 0
    let endIndex: Int

    /// - Parameter parts: At least 1; cut into `length` parts where there would be more.
    init(of length: Int, into parts: Int) {
        self.length = length
        endIndex = Swift.min(parts, length)
    }

    subscript(part: Int) -> Range<Int> {
        (part * length / endIndex)..<((part + 1) * length / endIndex)
    }

    /// The length of the longest range.
    var largest: Int { (length + endIndex - 1) / endIndex }
}

extension ConvolutionGeometry {
    /// Cuts the output rows so that `matrixRows` unrolled rows of a block take 2 MiB at most, or one output row does.
    ///
    /// The number of blocks is a multiple of four where there are several, so that two or four threads end together.
    fileprivate func outputRowBlocks(matrixRows: Int) -> EvenCut {
        let floatsPerBlock = 1 << 19
        let rowsPerBlock = max(1, floatsPerBlock / (matrixRows * outputWidth))
        let blocks = (outputHeight + rowsPerBlock - 1) / rowsPerBlock
        return EvenCut(of: outputHeight, into: blocks == 1 ? 1 : (blocks + 3) / 4 * 4)
    }

    /// Cuts the input channels so that a group makes about 256 rows of unrolled patches.
    fileprivate var inputChannelGroups: EvenCut {
        let channelsPerGroup = max(1, 256 / (kernelSide * kernelSide))
        return EvenCut(of: inputChannels, into: (inputChannels + channelsPerGroup - 1) / channelsPerGroup)
    }

    /// Where the weights of these input channels start in a row of the weight matrix.
    fileprivate func weightColumn(of channels: Range<Int>) -> Int {
        channels.lowerBound * kernelSide * kernelSide
    }
}
