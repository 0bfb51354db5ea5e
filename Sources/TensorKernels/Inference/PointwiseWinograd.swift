/// Where the transformed tiles of a stage lie that all of a phase's pieces read.
struct PointwisePlaces: Sendable {
    let stage: WinogradStage

    /// One per input, in floats.
    let data: [Int]

    var tiles: Int { stage.tileRows * stage.grid.columns }

    func data(ofInput number: Int, in memory: ProgramMemory) -> PointMatrices {
        PointMatrices(
            memory.shared, at: data[number], tiles: tiles, channels: stage.inputs[number].source.channels)
    }
}

/// Transforms all tiles of all inputs: a piece is sixteen channels of a row of tiles.
struct PointwiseTransform: WorkPhase {
    let places: PointwisePlaces

    var pieces: Int { places.stage.inputs.reduce(0) { $0 + $1.source.laneBlocks } * places.stage.tileRows }
    var scratchCount: Int { places.stage.gatherCount(tiles: places.stage.grid.columns) }

    func run(piece: Int, in memory: ProgramMemory) {
        let stage = places.stage
        var (block, tileRow) = piece.quotientAndRemainder(dividingBy: stage.tileRows)
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

    /// Of the products, in floats.
    let products: Int

    var pieces: Int { WinogradTransform.points / Self.pointsPerPiece }
    var scratchCount: Int { 0 }

    func products(in memory: ProgramMemory) -> PointMatrices {
        PointMatrices(memory.shared, at: products, tiles: places.tiles, channels: target.outputChannels)
    }

    func run(piece: Int, in memory: ProgramMemory) {
        places.stage.multiply(
            points: piece * Self.pointsPerPiece..<(piece + 1) * Self.pointsPerPiece, of: target,
            channels: 0..<target.outputChannels, into: products(in: memory)
        ) { places.data(ofInput: $0, in: memory) }
    }
}

/// Transforms the products back: a piece is sixteen channels of a row of tiles, or of two rows where they are pooled.
struct PointwiseCombination: WorkPhase {
    let source: PointwiseProducts

    private var stage: WinogradStage { source.places.stage }

    private var rowCount: Int { stage.pairsTiles ? 2 : 1 }

    /// Pieces from top to bottom.
    private var rowParts: Int { (stage.tileRows + rowCount - 1) / rowCount }

    var pieces: Int { source.target.laneBlocks * rowParts }

    var scratchCount: Int { stage.outputCount(rows: rowCount, columns: stage.grid.columns) }

    func run(piece: Int, in memory: ProgramMemory) {
        let grid = stage.grid
        let (block, part) = piece.quotientAndRemainder(dividingBy: rowParts)
        let tileRows = part * rowCount..<min((part + 1) * rowCount, stage.tileRows)
        stage.storeTiles(
            .sums(source.products(in: memory).rows(from: tileRows.lowerBound * grid.columns), block: block),
            of: source.target, block: block, tileRows: tileRows, tileColumns: 0..<grid.columns, in: memory.shared,
            scratch: memory.scratch)
    }
}
