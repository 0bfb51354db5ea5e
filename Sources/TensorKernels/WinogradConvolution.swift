import CKernels

/// Convolution with a quarter to a ninth of the multiplications: Winograd's F(6×6, 3×3) and F(5×5, 4×4).
///
/// Each pass transforms tiles of 8×8 pixels and the kernels, multiplies 64 pairs of matrices, one pair per point, and
/// transforms back (`WinogradTransform`). A step is divided among the threads by tiles and channels, or by points, so
/// that every sum is computed by one thread in an order that the geometry alone decides: neither the number of threads
/// nor who was faster changes a bit.
///
/// Stride 1 and kernels of side 3 and 4 with enough channels and pixels come here; everything else, and gradients that
/// are nearly all zeros, goes to `ReferenceConvolution`.
public struct WinogradConvolution: ConvolutionEngine {
    private let loop: DataParallelLoop
    private let reference: ReferenceConvolution
    private let kernels: VectorKernels
    private let memory = WorkingMemory()
    private let kernelTransform: KernelTransform

    /// Whether even geometries that are faster elsewhere are computed here, for tests.
    private let acceptsEverySize: Bool

    /// What the hot loops run on: "baseline", "AVX2" or "AVX-512".
    public var instructionSet: String { kernels.name }

    public var threads: Int { loop.threads }

    /// - Parameter threads: How many threads compute at once, the caller included; at least 1.
    public init(threads: Int) {
        self.init(threads: threads, instructionSet: .best, acceptsEverySize: false)
    }

    init(threads: Int, instructionSet: InstructionSet, acceptsEverySize: Bool) {
        loop = DataParallelLoop(threads: threads)
        reference = ReferenceConvolution(threads: threads)
        kernels = VectorKernels(instructionSet)
        kernelTransform = KernelTransform(loop: loop, kernels: kernels)
        self.acceptsEverySize = acceptsEverySize
    }

    public func forward(
        _ input: Span<Float>, weights: Span<Float>, bias: Span<Float>, activation: Activation,
        geometry: ConvolutionGeometry, into output: inout MutableSpan<Float>
    ) {
        precondition(input.count == geometry.inputCount && weights.count == geometry.weightCount)
        precondition(bias.count == geometry.outputChannels && output.count == geometry.outputCount)
        guard let transform = transform(for: geometry) else {
            return reference.forward(
                input, weights: weights, bias: bias, activation: activation, geometry: geometry, into: &output)
        }
        bias.withUnsafeBufferPointer { bias in
            withPointers(input, weights, &output) { input, weights, output in
                correlate(
                    geometry.input(input), with: weights, flipped: false, padding: geometry.padding,
                    transform: transform, bias: bias.baseAddress, activation: activation,
                    into: geometry.output(output))
            }
        }
    }

    public func inputGradient(
        from outputGradient: Span<Float>, weights: Span<Float>, geometry: ConvolutionGeometry,
        into inputGradient: inout MutableSpan<Float>
    ) {
        precondition(outputGradient.count == geometry.outputCount && weights.count == geometry.weightCount)
        precondition(inputGradient.count == geometry.inputCount)
        guard let transform = transform(for: geometry),
            !SparseOutputGradient.isSparse(outputGradient)
        else {
            return reference.inputGradient(
                from: outputGradient, weights: weights, geometry: geometry, into: &inputGradient)
        }
        // ∂L/∂input[c, y, x] = Σ weights[o, c, i, j] · ∂L/∂output[o, y + p − i, x + p − j]: with i → k − 1 − i again a
        // correlation, of the output gradient with the kernels turned by 180°, padded by k − 1 − p.
        withPointers(outputGradient, weights, &inputGradient) { outputGradient, weights, inputGradient in
            correlate(
                geometry.output(outputGradient), with: weights, flipped: true,
                padding: geometry.kernelSide - 1 - geometry.padding, transform: transform, bias: nil,
                activation: .identity, into: geometry.input(inputGradient))
        }
    }

    public func weightGradient(
        from outputGradient: Span<Float>, input: Span<Float>, geometry: ConvolutionGeometry,
        accumulatingInto weightGradient: inout MutableSpan<Float>
    ) {
        precondition(outputGradient.count == geometry.outputCount && input.count == geometry.inputCount)
        precondition(weightGradient.count == geometry.weightCount)
        guard let transform = transform(for: geometry),
            !SparseOutputGradient.isSparse(outputGradient)
        else {
            return reference.weightGradient(
                from: outputGradient, input: input, geometry: geometry, accumulatingInto: &weightGradient)
        }
        withPointers(outputGradient, input, &weightGradient) { outputGradient, input, weightGradient in
            addWeightGradient(
                from: geometry.output(outputGradient), input: geometry.input(input), padding: geometry.padding,
                transform: transform, to: weightGradient)
        }
    }

    /// Nil where the transforms would cost more than they save.
    private func transform(for geometry: ConvolutionGeometry) -> WinogradTransform? {
        guard geometry.stride == 1, geometry.dilation == 1, let transform = Self.transforms[geometry.kernelSide] else {
            return nil
        }
        if acceptsEverySize { return transform }
        let grid = TileGrid(
            height: geometry.outputHeight, width: geometry.outputWidth, tileSide: transform.tileSide)
        let isWorthIt = min(geometry.inputChannels, geometry.outputChannels) >= 16 && grid.rows * grid.columns >= 4
        return isWorthIt ? transform : nil
    }

    private static let transforms = [3: WinogradTransform(kernelSide: 3), 4: WinogradTransform(kernelSide: 4)]
}

// MARK: - The passes

extension WinogradConvolution {
    /// `target ← activation(kernels ∗ source + bias)`.
    ///
    /// - Parameters:
    ///   - flipped: Whether the kernels are turned by 180° and their input and output channels exchanged.
    ///   - padding: Zeros around the source; negative leaves out rows and columns.
    private func correlate(
        _ source: PlanarImage<UnsafePointer<Float>>, with weights: UnsafePointer<Float>, flipped: Bool, padding: Int,
        transform: WinogradTransform, bias: UnsafePointer<Float>?, activation: Activation,
        into target: PlanarImage<UnsafeMutablePointer<Float>>
    ) {
        let grid = TileGrid(height: target.height, width: target.width, tileSide: transform.tileSide)
        let groups = grid.groups(channels: source.channels + target.channels)
        let mostTiles = groups.largest * grid.columns
        let kernelCount = PointMatrices.count(rows: source.channels, columns: target.channels)
        let dataCount = PointMatrices.count(rows: mostTiles, columns: source.channels)
        let productCount = PointMatrices.count(rows: mostTiles, columns: target.channels)
        memory.withFloats(kernelCount + dataCount + productCount) { memory in
            let u = PointMatrices(base: memory, rows: source.channels, columns: target.channels)
            if flipped {
                kernelTransform.transformFlipped(
                    weights, inputChannels: target.channels, outputChannels: source.channels, transform: transform,
                    into: u)
            } else {
                kernelTransform.transform(
                    weights, inputChannels: source.channels, outputChannels: target.channels, transform: transform,
                    into: u)
            }
            for group in groups {
                let tiles = group.count * grid.columns
                let v = PointMatrices(base: memory + kernelCount, rows: tiles, columns: source.channels)
                let m = PointMatrices(base: memory + (kernelCount + dataCount), rows: tiles, columns: target.channels)
                transformTiles(
                    of: source, matrix: transform.data, origin: -padding, grid: grid, tileRows: group, into: v)
                forEachPoint { point in
                    kernels.functions.pointee.multiply(
                        v.panels(ofPoint: point), u.panels(ofPoint: point), m.mutablePanels(ofPoint: point), tiles,
                        source.channels, target.channels, false,
                        v.ahead(ofPoint: point, with: u))
                }
                combineTiles(
                    m, matrix: transform.output, grid: grid, tileRows: group, bias: bias, activation: activation,
                    into: target)
            }
        }
    }

    /// `weightGradient += ∂L/∂weights`.
    private func addWeightGradient(
        from outputGradient: PlanarImage<UnsafePointer<Float>>, input: PlanarImage<UnsafePointer<Float>>, padding: Int,
        transform: WinogradTransform, to weightGradient: UnsafeMutablePointer<Float>
    ) {
        let grid = TileGrid(
            height: outputGradient.height, width: outputGradient.width, tileSide: transform.tileSide)
        let groups = grid.groups(channels: input.channels + outputGradient.channels)
        let mostTiles = groups.largest * grid.columns
        let kernelCount = PointMatrices.count(rows: input.channels, columns: outputGradient.channels)
        let dataCount = PointMatrices.count(rows: mostTiles, columns: input.channels)
        let gradientCount = PointMatrices.count(rows: mostTiles, columns: outputGradient.channels)
        memory.withFloats(kernelCount + dataCount + gradientCount) { memory in
            let u = PointMatrices(base: memory, rows: input.channels, columns: outputGradient.channels)
            for (number, group) in groups.enumerated() {
                let tiles = group.count * grid.columns
                let v = PointMatrices(base: memory + kernelCount, rows: tiles, columns: input.channels)
                let m = PointMatrices(
                    base: memory + (kernelCount + dataCount), rows: tiles, columns: outputGradient.channels)
                transformTiles(
                    of: input, matrix: transform.data, origin: -padding, grid: grid, tileRows: group, into: v)
                transformTiles(
                    of: outputGradient, matrix: transform.output, origin: 0, grid: grid, tileRows: group, into: m)
                forEachPoint { point in
                    kernels.functions.pointee.multiply_transposed(
                        v.matrix(ofPoint: point), m.matrix(ofPoint: point), u.matrix(ofPoint: point), input.channels,
                        tiles, outputGradient.channels, number > 0, v.ahead(ofPoint: point, with: m))
                }
            }
            kernelTransform.addBack(
                u, inputChannels: input.channels, outputChannels: outputGradient.channels, transform: transform,
                to: weightGradient)
        }
    }
}

// MARK: - Tiles

extension WinogradConvolution {
    /// Several points in a row by the same thread, because a product fetches what the next one reads.
    private func forEachPoint(_ body: (_ point: Int) -> Void) {
        let pointsPerPiece = 4
        loop.run(pieces: WinogradTransform.points / pointsPerPiece) { piece, _ in
            for point in piece * pointsPerPiece..<(piece + 1) * pointsPerPiece { body(point) }
        }
    }
}

extension WinogradConvolution {
    /// Transforms the tiles of some rows of tiles; pixels outside the image are zero.
    ///
    /// - Parameters:
    ///   - matrix: Bᵀ for data, whose tiles are 8×8 and overlap, or A for gradients of outputs, m×m.
    ///   - origin: Row and column of the first tile's first pixel.
    private func transformTiles(
        of image: PlanarImage<UnsafePointer<Float>>, matrix: WinogradTransform.Matrix, origin: Int, grid: TileGrid,
        tileRows: Range<Int>, into result: PointMatrices
    ) {
        let lanes = VectorKernels.lanes
        let side = matrix.columns
        let rowLength = (grid.columns - 1) * grid.tileSide + side
        let visible = (-origin..<image.width - origin).clamped(to: 0..<rowLength)
        loop.run(pieces: image.laneBlocks * tileRows.count, floatsPerThread: side * rowLength * lanes) {
            piece, scratch in
            let (block, tileRow) = piece.quotientAndRemainder(dividingBy: tileRows.count)
            let channels = image.channels(ofBlock: block)
            for i in 0..<side {
                let target = scratch + i * rowLength * lanes
                let y = (tileRows.lowerBound + tileRow) * grid.tileSide + origin + i
                guard (0..<image.height).contains(y), !visible.isEmpty else {
                    target.update(repeating: 0, count: rowLength * lanes)
                    continue
                }
                target.update(repeating: 0, count: visible.lowerBound * lanes)
                let start = (channels.lowerBound * image.height + y) * image.width + visible.lowerBound + origin
                kernels.functions.pointee.gather_lanes(
                    image.base + start, image.height * image.width, channels.count, visible.count,
                    target + visible.lowerBound * lanes)
                (target + visible.upperBound * lanes).update(
                    repeating: 0, count: (rowLength - visible.upperBound) * lanes)
            }
            matrix.values.withUnsafeBufferPointer { matrix in
                kernels.functions.pointee.evaluate_squares(
                    scratch,
                    beltwatch_squares(
                        row_step: rowLength * lanes, column_step: lanes, square_step: grid.tileSide * lanes),
                    grid.columns, Int32(side), matrix.baseAddress,
                    result.lanes(block: block, row: tileRow * grid.columns), result.steps)
            }
        }
    }

    /// Transforms products back to tiles of the output, adds the bias and applies the activation.
    private func combineTiles(
        _ products: PointMatrices, matrix: WinogradTransform.Matrix, grid: TileGrid, tileRows: Range<Int>,
        bias: UnsafePointer<Float>?, activation: Activation, into image: PlanarImage<UnsafeMutablePointer<Float>>
    ) {
        let lanes = VectorKernels.lanes
        let side = grid.tileSide
        let rowLength = grid.columns * side
        loop.run(pieces: image.laneBlocks * tileRows.count, floatsPerThread: (1 + side * rowLength) * lanes) {
            piece, scratch in
            let (block, tileRow) = piece.quotientAndRemainder(dividingBy: tileRows.count)
            let channels = image.channels(ofBlock: block)
            let shift = scratch
            shift.update(repeating: 0, count: lanes)
            if let bias { shift.update(from: bias + channels.lowerBound, count: channels.count) }
            let tiles = scratch + lanes
            matrix.values.withUnsafeBufferPointer { matrix in
                kernels.functions.pointee.combine_points(
                    products.lanes(block: block, row: tileRow * grid.columns), products.steps, grid.columns,
                    Int32(side), matrix.baseAddress, shift, activation == .rectifier ? 0 : -.infinity, tiles,
                    beltwatch_squares(row_step: rowLength * lanes, column_step: lanes, square_step: side * lanes))
            }
            for (i, y) in grid.imageRows(ofTileRow: tileRows.lowerBound + tileRow).enumerated() {
                kernels.functions.pointee.scatter_lanes(
                    tiles + i * rowLength * lanes, channels.count, image.width, false,
                    image.base + (channels.lowerBound * image.height + y) * image.width, image.height * image.width)
            }
        }
    }
}

extension TileGrid {
    /// Cuts the rows of tiles so that the transformed tiles of a group take about 4 MiB, or one row of tiles does.
    fileprivate func groups(channels: Int) -> EvenCut {
        let floatsPerGroup = 1 << 22
        let rowsPerGroup = max(1, floatsPerGroup / (WinogradTransform.points * columns * channels))
        return EvenCut(of: rows, into: (rows + rowsPerGroup - 1) / rowsPerGroup)
    }
}

extension ConvolutionGeometry {
    fileprivate func input<Pointer>(_ base: Pointer) -> PlanarImage<Pointer> {
        PlanarImage(base: base, channels: inputChannels, height: inputHeight, width: inputWidth)
    }

    fileprivate func output<Pointer>(_ base: Pointer) -> PlanarImage<Pointer> {
        PlanarImage(base: base, channels: outputChannels, height: outputHeight, width: outputWidth)
    }
}
