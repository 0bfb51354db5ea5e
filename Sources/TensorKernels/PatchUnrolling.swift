/// The step between an image and the matrix whose columns are its patches ("im2col"), and its adjoint.
///
/// A column belongs to one kernel position, a row to one (input channel, kernel row, kernel column). Only the channels
/// and output rows at hand are unrolled, so that the matrix stays in the cache.
struct PatchUnrolling {
    let geometry: ConvolutionGeometry
    let channels: Range<Int>
    let outputRows: Range<Int>

    var columnCount: Int { outputRows.count * geometry.outputWidth }
    var rowCount: Int { channels.count * geometry.kernelSide * geometry.kernelSide }

    /// `columns[(c, i, j), (y, x)] ← input[c, y·stride + i·dilation − padding, x·stride + j·dilation − padding]`, zero
    /// outside the image.
    func unroll(_ input: UnsafePointer<Float>, into columns: UnsafeMutablePointer<Float>) {
        let stride = geometry.stride
        let width = geometry.outputWidth
        forEachMatrixRow { matrixRow, channelStart, i, j in
            let visible = geometry.outputColumnsInsideImage(kernelColumn: j)
            let visibleRows = geometry.outputRowsInsideImage(kernelRow: i)
            let firstSource = visible.lowerBound * stride + geometry.offset(ofKernelIndex: j)
            for y in outputRows {
                let target = columns + matrixRow * columnCount + (y - outputRows.lowerBound) * width
                guard visibleRows.contains(y) else {
                    target.update(repeating: 0, count: width)
                    continue
                }
                let inputRow = y * stride + geometry.offset(ofKernelIndex: i)
                let source = input + (channelStart + inputRow * geometry.inputWidth + firstSource)
                target.update(repeating: 0, count: visible.lowerBound)
                if stride == 1 {
                    (target + visible.lowerBound).update(from: source, count: visible.count)
                } else {
                    for x in 0..<visible.count { target[visible.lowerBound + x] = source[x * stride] }
                }
                (target + visible.upperBound).update(repeating: 0, count: width - visible.upperBound)
            }
        }
    }

    /// The adjoint of `unroll`: adds every matrix element to the pixel that it was read from.
    func addRolled(_ columns: UnsafePointer<Float>, to input: UnsafeMutablePointer<Float>) {
        let stride = geometry.stride
        let width = geometry.outputWidth
        forEachMatrixRow { matrixRow, channelStart, i, j in
            let visible = geometry.outputColumnsInsideImage(kernelColumn: j)
            let visibleRows = geometry.outputRowsInsideImage(kernelRow: i).clamped(to: outputRows)
            let firstTarget = visible.lowerBound * stride + geometry.offset(ofKernelIndex: j)
            for y in visibleRows {
                let source =
                    columns + (matrixRow * columnCount + (y - outputRows.lowerBound) * width + visible.lowerBound)
                let inputRow = y * stride + geometry.offset(ofKernelIndex: i)
                let target = input + (channelStart + inputRow * geometry.inputWidth + firstTarget)
                if stride == 1 {
                    for x in 0..<visible.count { target[x] += source[x] }
                } else {
                    for x in 0..<visible.count { target[x * stride] += source[x] }
                }
            }
        }
    }

    private func forEachMatrixRow(_ body: (_ matrixRow: Int, _ channelStart: Int, _ i: Int, _ j: Int) -> Void) {
        let side = geometry.kernelSide
        for c in channels {
            for i in 0..<side {
                for j in 0..<side {
                    let matrixRow = ((c - channels.lowerBound) * side + i) * side + j
                    body(matrixRow, c * geometry.inputHeight * geometry.inputWidth, i, j)
                }
            }
        }
    }
}
