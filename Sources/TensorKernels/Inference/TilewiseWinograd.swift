import CKernels

/// A Winograd stage whose pieces are rectangles of tiles, transformed, multiplied and transformed back by one thread.
struct TilewiseWinograd: WorkPhase {
    /// Whole register blocks, and few enough to stay in the cache of a core with their products.
    private static let fewTiles = 28

    /// For kernels that do not stay there themselves: more tiles read them less often.
    private static let manyTiles = 56

    /// Products are made for this many output channels at a time, so that they stay in the cache.
    private static let channelsAtOnce = 64

    private let stage: WinogradStage
    private let rowCut: [Range<Int>]
    private let columnCut: [Range<Int>]

    /// - Precondition: No target is a map, and the convolution is not dilated.
    init(_ stage: WinogradStage) {
        precondition(!stage.targets.contains(where: \.isMap), "maps are made channel by channel")
        precondition(stage.dilation == 1, "a dilated convolution goes point by point")
        self.stage = stage
        let unit = stage.pairsTiles ? 2 : 1
        let kernelBytes = stage.targets.reduce(0) { $0 + $1.terms.reduce(0) { $0 + $1.kernels.byteCount } }
        let tilesPerPiece = kernelBytes > 2 << 20 ? Self.manyTiles : Self.fewTiles
        let columnsPerPiece = min(stage.grid.columns, tilesPerPiece / unit)
        columnCut = Self.cut(stage.grid.columns, unit: unit, most: columnsPerPiece)
        let widest = columnCut.map(\.count).max() ?? 1
        rowCut = Self.cut(stage.grid.rows, unit: unit, most: max(unit, tilesPerPiece / widest))
    }

    /// Cuts `0..<count` into nearly equal parts of at most `most`, each but the last a multiple of `unit`.
    private static func cut(_ count: Int, unit: Int, most: Int) -> [Range<Int>] {
        let units = (count + unit - 1) / unit
        let parts = (units + max(1, most / unit) - 1) / max(1, most / unit)
        return (0..<parts).map { part in
            part * units / parts * unit..<min((part + 1) * units / parts * unit, count)
        }
    }

    var pieces: Int { rowCut.count * columnCut.count }

    private var mostTiles: Int { (rowCut.map(\.count).max() ?? 0) * (columnCut.map(\.count).max() ?? 0) }

    private var dataCount: Int {
        stage.inputs.reduce(0) { $0 + PointMatrices.count(rows: mostTiles, columns: $1.source.channels) }
    }

    private var productCount: Int { PointMatrices.count(rows: mostTiles, columns: Self.channelsAtOnce) }

    var scratchCount: Int {
        let (rows, columns) = (rowCut.map(\.count).max() ?? 0, columnCut.map(\.count).max() ?? 0)
        return dataCount + productCount
            + max(stage.gatherCount(tiles: columns), stage.outputCount(rows: rows, columns: columns))
    }

    func run(piece: Int, in memory: ProgramMemory) {
        let (rowPart, columnPart) = piece.quotientAndRemainder(dividingBy: columnCut.count)
        let (tileRows, tileColumns) = (rowCut[rowPart], columnCut[columnPart])
        let tiles = tileRows.count * tileColumns.count
        let rest = memory.scratch + (dataCount + productCount)
        func data(ofInput number: Int) -> PointMatrices {
            let before = stage.inputs[..<number].reduce(0) {
                $0 + PointMatrices.count(rows: mostTiles, columns: $1.source.channels)
            }
            return PointMatrices(
                memory.scratch, at: before, tiles: tiles, channels: stage.inputs[number].source.channels)
        }
        for (number, input) in stage.inputs.enumerated() {
            let result = data(ofInput: number)
            for block in 0..<input.source.laneBlocks {
                for tileRow in tileRows {
                    stage.transformTiles(
                        of: input, block: block, tileRow: tileRow, tileColumns: tileColumns, into: result,
                        row: (tileRow - tileRows.lowerBound) * tileColumns.count, isReadSoon: true,
                        in: memory.shared, scratch: rest)
                }
            }
        }
        let lanes = VectorKernels.lanes
        if stage.isThin {
            let values = memory.scratch + dataCount
            writeFactors(data(ofInput: 0), to: values)
            for target in stage.targets {
                for block in 0..<target.laneBlocks {
                    stage.storeTiles(
                        .factors(values), of: target, block: block, tileRows: tileRows, tileColumns: tileColumns,
                        in: memory.shared, scratch: rest)
                }
            }
            return
        }
        for target in stage.targets {
            var channel = 0
            while channel < target.outputChannels {
                let count = min(Self.channelsAtOnce, target.outputChannels - channel)
                let products = PointMatrices(memory.scratch, at: dataCount, tiles: tiles, channels: count)
                stage.multiply(
                    points: 0..<WinogradTransform.points, of: target, channels: channel..<channel + count,
                    into: products
                ) { data(ofInput: $0) }
                for block in 0..<(count + lanes - 1) / lanes {
                    stage.storeTiles(
                        .sums(products, block: block), of: target, block: channel / lanes + block, tileRows: tileRows,
                        tileColumns: tileColumns, in: memory.shared, scratch: rest)
                }
                channel += count
            }
        }
    }

    /// The three channels of a tile's points side by side.
    private func writeFactors(_ data: PointMatrices, to values: UnsafeMutablePointer<Float>) {
        let channels = WinogradStage.thinChannels
        for tile in 0..<data.rows {
            for point in 0..<WinogradTransform.points {
                let source = data.matrix(ofPoint: point) + tile * VectorKernels.panelColumns
                let target = values + (tile * WinogradTransform.points + point) * channels
                for channel in 0..<channels { target[channel] = source[channel] }
            }
        }
    }
}

extension WinogradStage {
    /// The products of some points for some output channels, the first one a multiple of 32.
    ///
    /// - Parameter data: The transformed tiles of an input.
    func multiply(
        points: Range<Int>, of target: Target, channels: Range<Int>, into products: PointMatrices,
        data: (_ input: Int) -> PointMatrices
    ) {
        for point in points {
            for (number, term) in target.terms.enumerated() {
                let isLast = number + 1 == target.terms.count
                let next = target.terms[isLast ? 0 : number + 1]
                let nextPoint = isLast ? min(point + 1, WinogradTransform.points - 1) : point
                let tiles = data(term.input)
                let nextTiles = data(next.input)
                kernels.functions.pointee.multiply(
                    tiles.panels(ofPoint: point), term.kernels.panels(ofPoint: point, fromChannel: channels.lowerBound),
                    products.mutablePanels(ofPoint: point), tiles.rows, term.kernels.inputChannels, channels.count,
                    number > 0,
                    beltwatch_ahead(
                        a: nextTiles.matrix(ofPoint: nextPoint), a_count: nextTiles.sliceStep,
                        b: next.kernels.panels(ofPoint: nextPoint, fromChannel: channels.lowerBound).base))
            }
        }
    }
}

extension WinogradKernels {
    /// One point's matrix from some output channel on, a multiple of 32.
    fileprivate func panels(ofPoint point: Int, fromChannel channel: Int) -> beltwatch_panels {
        var panels = matrices.panels(ofPoint: point)
        panels.base += channel / VectorKernels.panelColumns * panels.panel_step
        return panels
    }
}
