import CKernels

/// Where the transformed tiles of a stage lie that is computed point by point.
struct PointwisePlaces: Sendable {
    let stage: WinogradStage

    /// One per input, in floats.
    let data: [Int]

    /// Of the products of one target at a time, in floats.
    let products: Int

    var tiles: Int { stage.grid.rows * stage.grid.columns }

    func data(ofInput number: Int, in memory: ProgramMemory) -> PointMatrices {
        PointMatrices(
            memory.shared, at: data[number], tiles: tiles, channels: stage.inputs[number].source.channels)
    }

    func products(of target: WinogradStage.Target, in memory: ProgramMemory) -> PointMatrices {
        PointMatrices(memory.shared, at: products, tiles: tiles, channels: target.outputChannels)
    }
}

/// Transforms all tiles of all inputs: a piece is sixteen channels of a row of tiles.
struct PointwiseTransform: WorkPhase {
    let places: PointwisePlaces

    var pieces: Int { places.stage.inputs.reduce(0) { $0 + $1.source.laneBlocks } * places.stage.grid.rows }
    var scratchCount: Int { places.stage.gatherCount(tiles: places.stage.grid.columns) }

    func run(piece: Int, in memory: ProgramMemory) {
        let stage = places.stage
        var (block, tileRow) = piece.quotientAndRemainder(dividingBy: stage.grid.rows)
        var number = 0
        while block >= stage.inputs[number].source.laneBlocks {
            block -= stage.inputs[number].source.laneBlocks
            number += 1
        }
        stage.transformTiles(
            of: stage.inputs[number], block: block, tileRow: tileRow, tileColumns: 0..<stage.grid.columns,
            into: places.data(ofInput: number, in: memory), row: tileRow * stage.grid.columns, isReadSoon: false,
            in: memory.shared, scratch: memory.scratch)
    }
}

/// Multiplies the tiles with the kernels of one target: a piece is some of the 64 points.
struct PointwiseProducts: WorkPhase {
    /// Several in a row, because a product fetches what the next one reads.
    private static let pointsPerPiece = 4

    let places: PointwisePlaces
    let target: WinogradStage.Target

    var pieces: Int { WinogradTransform.points / Self.pointsPerPiece }
    var scratchCount: Int { 0 }

    func run(piece: Int, in memory: ProgramMemory) {
        places.stage.multiply(
            points: piece * Self.pointsPerPiece..<(piece + 1) * Self.pointsPerPiece, of: target,
            channels: 0..<target.outputChannels, into: places.products(of: target, in: memory)
        ) { places.data(ofInput: $0, in: memory) }
    }
}

/// Transforms the products of one target back: a piece is sixteen channels of a row of tiles, or for a map all channels
/// of it.
struct PointwiseCombination: WorkPhase {
    let places: PointwisePlaces
    let target: WinogradStage.Target

    private var rowCount: Int { places.stage.pairsTiles ? 2 : 1 }

    /// Pieces from top to bottom.
    private var rowParts: Int { (places.stage.grid.rows + rowCount - 1) / rowCount }

    var pieces: Int {
        switch target.destination {
        case .image: target.laneBlocks * rowParts
        case .meanSquares: places.stage.grid.rows
        }
    }

    var scratchCount: Int { places.stage.outputCount(rows: rowCount, columns: places.stage.grid.columns) }

    func run(piece: Int, in memory: ProgramMemory) {
        let grid = places.stage.grid
        let products = places.products(of: target, in: memory)
        switch target.destination {
        case .image:
            let (block, part) = piece.quotientAndRemainder(dividingBy: rowParts)
            let tileRows = part * rowCount..<min((part + 1) * rowCount, grid.rows)
            places.stage.storeTiles(
                .sums(products.rows(from: tileRows.lowerBound * grid.columns), block: block), of: target, block: block,
                tileRows: tileRows, tileColumns: 0..<grid.columns, in: memory.shared, scratch: memory.scratch)
        case .meanSquares(let map, let scale):
            places.stage.storeMeanSquares(
                products, of: target, scale: scale, tileRow: piece, to: map, in: memory)
        }
    }
}

extension WinogradStage {
    /// Transforms a row of tiles back, all channels, and stores the mean of their squares.
    ///
    /// The squares of every sixteenth channel are summed up in `Float`, the sixteen sums in `Double`.
    fileprivate func storeMeanSquares(
        _ products: PointMatrices, of target: Target, scale: [Float], tileRow: Int, to map: PlaneImage,
        in memory: ProgramMemory
    ) {
        let lanes = VectorKernels.lanes
        let side = grid.tileSide
        let rowLength = grid.columns * side
        let sums = memory.scratch
        sums.update(repeating: 0, count: side * rowLength * lanes)
        for block in 0..<target.laneBlocks {
            transform.output.values.withUnsafeBufferPointer { matrix in
                target.bias.withUnsafeBufferPointer { bias in
                    scale.withUnsafeBufferPointer { scale in
                        guard let bias = bias.baseAddress, let scale = scale.baseAddress else { return }
                        kernels.functions.pointee.add_squares(
                            products.lanes(block: block, row: tileRow * grid.columns), products.steps, grid.columns,
                            Int32(side), matrix.baseAddress, scale + block * lanes, bias + block * lanes, sums,
                            beltwatch_squares(
                                row_step: rowLength * lanes, column_step: lanes, square_step: side * lanes))
                    }
                }
            }
        }
        for (i, y) in grid.imageRows(ofTileRow: tileRow).enumerated() {
            for x in 0..<map.width {
                var sum = 0.0
                for lane in 0..<lanes { sum += Double(sums[(i * rowLength + x) * lanes + lane]) }
                memory.shared[map.offset + y * map.width + x] = Float(sum / Double(target.outputChannels))
            }
        }
    }
}
