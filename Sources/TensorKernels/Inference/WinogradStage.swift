import CKernels

/// Winograd convolutions that read the same tiles: `target = f(Σ kernelsₛ ∗ sourceₛ + bias)` for every target.
///
/// Sources are transformed once, however many targets read them, and the sum of a target is taken before the transform
/// back. So a difference of two networks costs one transform, and its channels never leave the cache.
package struct WinogradStage: Sendable {
    package enum Source: Sendable {
        /// Up to sixteen channels, as they come in.
        case planes(PlaneImage)
        case panels(PanelImage)

        var channels: Int {
            switch self {
            case .planes(let image): image.channels
            case .panels(let image): image.channels
            }
        }

        var laneBlocks: Int { (channels + VectorKernels.lanes - 1) / VectorKernels.lanes }
    }

    package struct Input: Sendable {
        let source: Source

        /// Zeros around the source: row and column of the first tile's first pixel are −padding.
        let padding: Int

        package init(_ source: Source, padding: Int = 0) {
            self.source = source
            self.padding = padding
        }

        var isPanels: Bool { if case .panels = source { true } else { false } }
    }

    package enum Destination: Sendable {
        /// Behind the activation, and where `isPooled` behind a 2×2 average pool.
        case image(PanelImage, Activation, isPooled: Bool)

        /// Behind the activation, summed up over every tile; the image itself is not stored.
        case tileSums(TileSums, Activation)

        /// `map = mean over channels of (scale · sum + bias)²`, in a map of one channel.
        case meanSquares(PlaneImage, scale: [Float])
    }

    package struct Target: Sendable {
        let terms: [(input: Int, kernels: WinogradKernels)]
        let bias: [Float]
        let destination: Destination

        /// - Parameters:
        ///   - terms: Number of the input, and what it is convolved with; all of the same kernel side and width.
        ///   - bias: One per output channel.
        package init(_ terms: [(input: Int, kernels: WinogradKernels)], bias: [Float], to destination: Destination) {
            self.terms = terms
            self.bias = Self.padded(bias)
            if case .meanSquares(let map, let scale) = destination {
                self.destination = .meanSquares(map, scale: Self.padded(scale))
            } else {
                self.destination = destination
            }
        }

        var outputChannels: Int { terms[0].kernels.outputChannels }

        var isMap: Bool { if case .meanSquares = destination { true } else { false } }

        var isWholeImage: Bool { if case .image(_, _, isPooled: false) = destination { true } else { false } }

        var isPooled: Bool { if case .image(_, _, isPooled: true) = destination { true } else { false } }

        var laneBlocks: Int { (outputChannels + VectorKernels.lanes - 1) / VectorKernels.lanes }

        /// To whole vectors: what lies beyond the channels is zero.
        private static func padded(_ values: [Float]) -> [Float] {
            let lanes = VectorKernels.lanes
            return values + Array(repeating: 0, count: (lanes - values.count % lanes) % lanes)
        }
    }

    let inputs: [Input]
    let targets: [Target]

    /// d. A convolution of dilation d is d² ordinary ones, each of a lattice: every d-th pixel of every d-th row.
    let dilation: Int

    /// Of the first lattice, the largest one; the others have as many tiles.
    let grid: TileGrid
    let transform: WinogradTransform
    let kernels: VectorKernels

    /// - Parameters:
    ///   - height: Rows of the convolutions' output, before any pool.
    ///   - width: Columns of it.
    ///   - dilation: Pixels from one kernel element to the next; above 1 with a single image as target, not pooled.
    package init(
        _ inputs: [Input], targets: [Target], height: Int, width: Int, dilation: Int = 1,
        instructionSet: InstructionSet = .best
    ) {
        precondition(
            dilation == 1 || inputs.allSatisfy(\.isPanels) && targets.allSatisfy(\.isWholeImage),
            "lattices of panels go to a whole image")
        self.inputs = inputs
        self.targets = targets
        self.dilation = dilation
        transform = targets[0].terms[0].kernels.transform
        grid = TileGrid(
            height: (height + dilation - 1) / dilation, width: (width + dilation - 1) / dilation,
            tileSide: transform.tileSide)
        kernels = VectorKernels(instructionSet)
    }

    /// Of all lattices, one behind the other.
    var tileRows: Int { dilation * dilation * grid.rows }

    /// Rows and columns that a source must have, its margin included, for outputs of this size.
    package static func extent(
        height: Int, width: Int, kernelSide: Int, dilation: Int = 1
    ) -> (rows: Int, columns: Int) {
        let tileSide = WinogradTransform.pointsPerAxis + 1 - kernelSide
        func covered(_ length: Int) -> Int {
            let latticeLength = (length + dilation - 1) / dilation
            return dilation * ((latticeLength + tileSide - 1) / tileSide * tileSide + kernelSide - 1)
        }
        return (covered(height), covered(width))
    }

    /// Each piece takes some tiles all the way, in memory of its own: for many tiles and images as targets.
    package func tilewise() -> any WorkPhase { TilewiseWinograd(self) }

    /// The phases of a stage with one target, not a map, that is computed point by point, in their order.
    package struct PointwisePhases {
        package let transform: any WorkPhase
        package let products: any WorkPhase
        package let combination: any WorkPhase

        package var all: [any WorkPhase] { [transform, products, combination] }
    }

    /// All tiles are transformed, then multiplied point by point, then transformed back: for wide layers of few tiles on
    /// many threads.
    package func pointwise(in plan: inout MemoryPlan) -> PointwisePhases {
        precondition(targets.count == 1 && !targets[0].isMap, "point by point goes one image")
        precondition(dilation == 1 || !targets[0].isPooled, "a pool takes neighbouring pixels, which lattices separate")
        let tiles = tileRows * grid.columns
        let data = inputs.map { plan.reserve(PointMatrices.count(rows: tiles, columns: $0.source.channels)) }
        let places = PointwisePlaces(stage: self, data: data)
        let products = PointwiseProducts(
            places: places, target: targets[0],
            products: plan.reserve(PointMatrices.count(rows: tiles, columns: targets[0].outputChannels)))
        return PointwisePhases(
            transform: PointwiseTransform(places: places), products: products,
            combination: PointwiseCombination(source: products))
    }
}

// MARK: - What all orders share

extension WinogradStage {
    /// Where a row of tiles lies: the first pixel of its lattice, and which row of the lattice's tiles it is.
    private func place(ofTileRow number: Int) -> (top: Int, left: Int, tileRow: Int) {
        let (lattice, tileRow) = number.quotientAndRemainder(dividingBy: grid.rows)
        return (lattice / dilation, lattice % dilation, tileRow)
    }

    /// Transforms one row of neighbouring tiles, sixteen channels.
    ///
    /// - Parameters:
    ///   - result: Gets the tiles from row `row` on.
    ///   - isReadSoon: Whether the tiles should stay in the cache.
    ///   - scratch: Room for `gatherCount(tiles:)` floats.
    func transformTiles(
        of input: Input, block: Int, tileRow: Int, tileColumns: Range<Int>, into result: PointMatrices, row: Int,
        isReadSoon: Bool, in memory: UnsafeMutablePointer<Float>, scratch: UnsafeMutablePointer<Float>
    ) {
        let (top, left, latticeTileRow) = place(ofTileRow: tileRow)
        let y = top + dilation * latticeTileRow * grid.tileSide - input.padding
        let x = left + dilation * tileColumns.lowerBound * grid.tileSide - input.padding
        let source: UnsafePointer<Float>
        let steps: beltwatch_squares
        switch input.source {
        case .planes(let image):
            gather(image, y: y, x: x, columns: rowLength(tiles: tileColumns.count), from: memory, into: scratch)
            source = UnsafePointer(scratch)
            let lanes = VectorKernels.lanes
            steps = beltwatch_squares(
                row_step: rowLength(tiles: tileColumns.count) * lanes, column_step: lanes,
                square_step: grid.tileSide * lanes)
        case .panels(let image):
            source = UnsafePointer(image.pixel(memory, block: block, y: y, x: x))
            let panel = VectorKernels.panelColumns
            steps = beltwatch_squares(
                row_step: dilation * image.rowStep, column_step: dilation * panel,
                square_step: dilation * grid.tileSide * panel)
        }
        transform.data.values.withUnsafeBufferPointer { matrix in
            let points = result.lanes(block: block, row: row)
            if isReadSoon {
                kernels.functions.pointee.evaluate_squares(
                    source, steps, tileColumns.count, Int32(WinogradTransform.pointsPerAxis), matrix.baseAddress,
                    points, result.steps)
            } else {
                kernels.functions.pointee.stream_squares(
                    source, steps, tileColumns.count, matrix.baseAddress, points, result.steps)
            }
        }
    }

    /// Pixels that neighbouring tiles cover in a row.
    private func rowLength(tiles: Int) -> Int {
        tiles * grid.tileSide + WinogradTransform.pointsPerAxis - grid.tileSide
    }

    func gatherCount(tiles: Int) -> Int {
        guard inputs.contains(where: { if case .planes = $0.source { true } else { false } }) else { return 0 }
        return WinogradTransform.pointsPerAxis * rowLength(tiles: tiles) * VectorKernels.lanes
    }

    /// Eight rows of planes as lanes; pixels outside the image are zero.
    private func gather(
        _ image: PlaneImage, y: Int, x: Int, columns: Int, from memory: UnsafeMutablePointer<Float>,
        into lanes: UnsafeMutablePointer<Float>
    ) {
        let width = VectorKernels.lanes
        let visible = (-x..<image.width - x).clamped(to: 0..<columns)
        for i in 0..<WinogradTransform.pointsPerAxis {
            let target = lanes + i * columns * width
            guard (0..<image.height).contains(y + i), !visible.isEmpty else {
                target.update(repeating: 0, count: columns * width)
                continue
            }
            target.update(repeating: 0, count: visible.lowerBound * width)
            kernels.functions.pointee.gather_lanes(
                memory + (image.offset + (y + i) * image.width + x + visible.lowerBound), image.height * image.width,
                image.channels, visible.count, target + visible.lowerBound * width)
            (target + visible.upperBound * width).update(
                repeating: 0, count: (columns - visible.upperBound) * width)
        }
    }

    /// What tiles are transformed back from; those of a rectangle, row by row.
    enum Products {
        /// Sums of products, and where the sixteen channels are in them.
        case sums(PointMatrices, block: Int)

        /// The transformed tiles of three channels, `[tiles, 64, 4]`, still to be multiplied with the kernels.
        case factors(UnsafePointer<Float>)
    }

    /// Transforms sixteen channels of some tiles back and stores them.
    ///
    /// - Parameter scratch: Room for `outputCount(rows:columns:)` floats.
    func storeTiles(
        _ products: Products, of target: Target, block: Int, tileRows: Range<Int>, tileColumns: Range<Int>,
        in memory: UnsafeMutablePointer<Float>, scratch: UnsafeMutablePointer<Float>
    ) {
        let activation: Activation
        switch target.destination {
        case .image(_, let own, _), .tileSums(_, let own): activation = own
        case .meanSquares: return
        }
        let lanes = VectorKernels.lanes
        let side = grid.tileSide
        let rowStep = tileColumns.count * side * lanes
        for tileRow in tileRows.indices {
            let local = tileRow - tileRows.lowerBound
            transform.output.values.withUnsafeBufferPointer { matrix in
                target.bias.withUnsafeBufferPointer { bias in
                    guard let bias = bias.baseAddress else { return }
                    let floor: Float = activation == .rectifier ? 0 : -.infinity
                    let squares = beltwatch_squares(row_step: rowStep, column_step: lanes, square_step: side * lanes)
                    let tile = local * tileColumns.count
                    switch products {
                    case .sums(let sums, let sumBlock):
                        kernels.functions.pointee.combine_points(
                            sums.lanes(block: sumBlock, row: tile), sums.steps, tileColumns.count, Int32(side),
                            matrix.baseAddress, bias + block * lanes, floor, scratch + local * side * rowStep, squares)
                    case .factors(let values):
                        let weights = target.terms[0].kernels.matrices
                        kernels.functions.pointee.combine_thin(
                            weights.lanes(block: block, row: 0), weights.sliceStep,
                            values + tile * WinogradTransform.points * Self.thinChannels, tileColumns.count,
                            Int32(side), matrix.baseAddress, bias + block * lanes, floor,
                            scratch + local * side * rowStep, squares)
                    }
                }
            }
        }
        let outputs = UnsafePointer(scratch)
        switch target.destination {
        case .image(let image, _, isPooled: true):
            storePools(outputs, block: block, tileRows: tileRows, tileColumns: tileColumns, to: image, in: memory)
        case .image(let image, _, isPooled: false):
            for tileRow in tileRows {
                storeRows(
                    outputs + (tileRow - tileRows.lowerBound) * side * rowStep, block: block, tileRow: tileRow,
                    tileColumns: tileColumns, to: image, in: memory)
            }
        case .tileSums(let sums, _):
            store(outputs, block: block, tileRows: tileRows, tileColumns: tileColumns, to: sums, in: memory)
        case .meanSquares: break
        }
    }

    /// Averages of 2×2 outputs.
    private func storePools(
        _ outputs: UnsafePointer<Float>, block: Int, tileRows: Range<Int>, tileColumns: Range<Int>,
        to image: PanelImage, in memory: UnsafeMutablePointer<Float>
    ) {
        let (lanes, side) = (VectorKernels.lanes, grid.tileSide)
        let rowStep = tileColumns.count * side * lanes
        let y = tileRows.lowerBound * side
        let x = tileColumns.lowerBound * side
        let rows = min(tileRows.upperBound * side / 2, image.height) - y / 2
        let columns = min(tileColumns.upperBound * side / 2, image.width) - x / 2
        for row in 0..<max(0, rows) {
            kernels.functions.pointee.average_pairs(
                outputs + 2 * row * rowStep, outputs + (2 * row + 1) * rowStep, lanes, columns,
                image.pixel(memory, block: block, y: y / 2 + row, x: x / 2), VectorKernels.panelColumns)
        }
    }

    /// The outputs of a row of tiles where their lattice has them.
    private func storeRows(
        _ outputs: UnsafePointer<Float>, block: Int, tileRow: Int, tileColumns: Range<Int>, to image: PanelImage,
        in memory: UnsafeMutablePointer<Float>
    ) {
        let (lanes, side) = (VectorKernels.lanes, grid.tileSide)
        let (top, left, latticeTileRow) = place(ofTileRow: tileRow)
        let y = top + dilation * latticeTileRow * side
        let x = left + dilation * tileColumns.lowerBound * side
        /// Of `count` pixels of the lattice, those in the image.
        func visible(_ count: Int, from first: Int, to end: Int) -> Int {
            max(0, min(count, (end - first + dilation - 1) / dilation))
        }
        let columns = visible(tileColumns.count * side, from: x, to: image.width)
        withUnsafeTemporaryAllocation(of: Float.self, capacity: lanes) { zeros in
            zeros.initialize(repeating: 0)
            for row in 0..<visible(side, from: y, to: image.height) {
                kernels.functions.pointee.store_lanes(
                    outputs + row * tileColumns.count * side * lanes, lanes, columns, zeros.baseAddress, -.infinity,
                    image.pixel(memory, block: block, y: y + dilation * row, x: x),
                    dilation * VectorKernels.panelColumns)
            }
        }
    }

    /// Sums of the outputs of every tile, those beyond the image left out.
    private func store(
        _ outputs: UnsafePointer<Float>, block: Int, tileRows: Range<Int>, tileColumns: Range<Int>, to sums: TileSums,
        in memory: UnsafeMutablePointer<Float>
    ) {
        let (lanes, side) = (VectorKernels.lanes, grid.tileSide)
        for tileRow in tileRows {
            for tileColumn in tileColumns {
                var sum = SIMD16<Double>.zero
                for i in 0..<min(side, grid.height - tileRow * side) {
                    let row = (tileRow - tileRows.lowerBound) * side + i
                    let first = (row * tileColumns.count + tileColumn - tileColumns.lowerBound) * side
                    for j in 0..<min(side, grid.width - tileColumn * side) {
                        sum += SIMD16<Double>(FloatLanes(at: outputs + (first + j) * lanes))
                    }
                }
                sums.store(sum, tile: tileRow * grid.columns + tileColumn, block: block, in: memory)
            }
        }
    }

    /// Channels of thin tiles, one of them unused.
    static let thinChannels = 4

    /// Whether there is one input of three channels, as a picture is: the products then cost less than storing them.
    var isThin: Bool {
        inputs.count == 1 && inputs[0].source.channels == 3 && targets.allSatisfy { $0.terms.count == 1 }
    }

    func outputCount(rows: Int, columns: Int) -> Int {
        rows * columns * grid.tileSide * grid.tileSide * VectorKernels.lanes
    }

    /// Whether pools need tiles in pairs, because an odd tile ends in the middle of a pooled pixel.
    var pairsTiles: Bool {
        grid.tileSide % 2 == 1 && targets.contains(where: \.isPooled)
    }
}

extension PointMatrices {
    /// The place in `memory` that was reserved for as many tiles and channels.
    init(_ memory: UnsafeMutablePointer<Float>, at offset: Int, tiles: Int, channels: Int) {
        self.init(base: memory + offset, rows: tiles, columns: channels)
    }
}
