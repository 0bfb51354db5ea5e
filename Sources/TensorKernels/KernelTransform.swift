import CKernels

/// Kernels to Winograd's points and, for their gradient, back.
struct KernelTransform: Sendable {
    let loop: DataParallelLoop
    let kernels: VectorKernels

    /// `G g Gᵀ` of every kernel: matrices of input channels × output channels.
    func transform(
        _ weights: UnsafePointer<Float>, inputChannels: Int, outputChannels: Int, transform: WinogradTransform,
        into result: PointMatrices
    ) {
        let area = transform.kernelSide * transform.kernelSide
        forEachKernelBlock(rows: inputChannels, lanesOf: outputChannels, transform: transform) {
            block, outputs, inputs, scratch in
            kernels.functions.pointee.gather_lanes(
                weights + (outputs.lowerBound * inputChannels + inputs.lowerBound) * area, inputChannels * area,
                outputs.count, inputs.count * area, scratch)
            transform.kernel.values.withUnsafeBufferPointer { matrix in
                kernels.functions.pointee.evaluate_squares(
                    scratch, transform.kernelSquares, inputs.count, Int32(transform.kernelSide), matrix.baseAddress,
                    result.lanes(block: block, row: inputs.lowerBound), result.steps)
            }
        }
    }

    /// `G g Gᵀ` of every kernel turned by 180°: matrices of output channels × input channels.
    func transformFlipped(
        _ weights: UnsafePointer<Float>, inputChannels: Int, outputChannels: Int, transform: WinogradTransform,
        into result: PointMatrices
    ) {
        let lanes = VectorKernels.lanes
        let area = transform.kernelSide * transform.kernelSide
        let forwards = transform.kernelSquares
        let backwards = beltwatch_squares(
            row_step: -forwards.row_step, column_step: -forwards.column_step, square_step: forwards.square_step)
        forEachKernelBlock(rows: outputChannels, lanesOf: inputChannels, transform: transform) {
            block, inputs, outputs, scratch in
            for (number, o) in outputs.enumerated() {
                kernels.functions.pointee.gather_lanes(
                    weights + (o * inputChannels + inputs.lowerBound) * area, area, inputs.count, area,
                    scratch + number * area * lanes)
            }
            transform.kernel.values.withUnsafeBufferPointer { matrix in
                kernels.functions.pointee.evaluate_squares(
                    scratch + (area - 1) * lanes, backwards, outputs.count, Int32(transform.kernelSide),
                    matrix.baseAddress, result.lanes(block: block, row: outputs.lowerBound), result.steps)
            }
        }
    }

    /// `weightGradient += Gᵀ u G` for every kernel.
    func addBack(
        _ sums: PointMatrices, inputChannels: Int, outputChannels: Int, transform: WinogradTransform,
        to weightGradient: UnsafeMutablePointer<Float>
    ) {
        let area = transform.kernelSide * transform.kernelSide
        let noBias = [Float](repeating: 0, count: VectorKernels.lanes)
        forEachKernelBlock(rows: inputChannels, lanesOf: outputChannels, transform: transform) {
            block, outputs, inputs, scratch in
            transform.kernel.values.withUnsafeBufferPointer { matrix in
                kernels.functions.pointee.combine_points(
                    sums.lanes(block: block, row: inputs.lowerBound), sums.steps, inputs.count,
                    Int32(transform.kernelSide), matrix.baseAddress, noBias, -.infinity, scratch,
                    transform.kernelSquares)
            }
            kernels.functions.pointee.scatter_lanes(
                scratch, outputs.count, inputs.count * area, true,
                weightGradient + (outputs.lowerBound * inputChannels + inputs.lowerBound) * area, inputChannels * area)
        }
    }

    /// Divides kernels among the threads: sixteen of the one kind of channel side by side, sixteen of the other in turn.
    ///
    /// - Parameter body: Gets memory for 16×16 kernels.
    private func forEachKernelBlock(
        rows: Int, lanesOf columns: Int, transform: WinogradTransform,
        _ body: (_ block: Int, _ columns: Range<Int>, _ rows: Range<Int>, _ scratch: UnsafeMutablePointer<Float>) ->
            Void
    ) {
        let lanes = VectorKernels.lanes
        let blocks = (columns + lanes - 1) / lanes
        let parts = (rows + lanes - 1) / lanes
        let area = transform.kernelSide * transform.kernelSide
        loop.run(pieces: blocks * parts, floatsPerThread: lanes * lanes * area) { piece, scratch in
            let (block, part) = piece.quotientAndRemainder(dividingBy: parts)
            body(
                block, block * lanes..<min((block + 1) * lanes, columns), part * lanes..<min((part + 1) * lanes, rows),
                scratch)
        }
    }
}

extension WinogradTransform {
    /// Kernels one after the other, in lanes.
    fileprivate var kernelSquares: beltwatch_squares {
        let lanes = VectorKernels.lanes
        return beltwatch_squares(
            row_step: kernelSide * lanes, column_step: lanes, square_step: kernelSide * kernelSide * lanes)
    }
}
