import CKernels

extension WinogradStage {
    /// The phases of a stage whose targets are all maps, in their order.
    package struct MapPhases {
        package let transform: any WorkPhase
        package let squares: any WorkPhase
        package let means: any WorkPhase
    }

    /// All tiles are transformed, then multiplied and transformed back for a part of the output channels at a time: who
    /// made the products of those also reads them, and hands on nothing but their squares' sums.
    ///
    /// - Parameter threads: How many will compute; it changes the pieces and not the result.
    package func mapwise(in plan: inout MemoryPlan, threads: Int) -> MapPhases {
        precondition(
            targets.allSatisfy {
                guard case .meanSquares(let map, _) = $0.destination else { return false }
                return (map.channels, map.height, map.width) == (1, grid.height, grid.width)
            }, "channel by channel go maps of the convolution's size")
        let tiles = grid.rows * grid.columns
        let data = inputs.map { plan.reserve(PointMatrices.count(rows: tiles, columns: $0.source.channels)) }
        let places = PointwisePlaces(stage: self, data: data)
        let squares = ChannelwiseSquares(places: places, in: &plan, threads: threads)
        return MapPhases(
            transform: PointwiseTransform(places: places), squares: squares, means: MeanSquares(squares: squares))
    }
}

/// Squares of the outputs, summed up over groups of channels: a piece is some groups of one target, all tiles.
struct ChannelwiseSquares: WorkPhase {
    /// Channels of a group. Every group has a sum of its own, so that the order of the sums is the same however many
    /// threads there are.
    private static let groupWidth = 64

    /// Groups of a piece: each piece reads all tiles again, and few threads do not need many pieces.
    private static func groupsAtOnce(threads: Int) -> Int { threads <= 4 ? 3 : 1 }

    let places: PointwisePlaces

    private let pieceParts: [(target: Int, groups: Range<Int>)]
    private let groupsAtOnce: Int

    /// Of every target and every group, `[height, width]`, in floats.
    private let sums: [[Int]]

    init(places: PointwisePlaces, in plan: inout MemoryPlan, threads: Int) {
        self.places = places
        let (grid, targets) = (places.stage.grid, places.stage.targets)
        var sums: [[Int]] = []
        var pieces: [(target: Int, groups: Range<Int>)] = []
        let atOnce = Self.groupsAtOnce(threads: threads)
        for (number, target) in targets.enumerated() {
            let groups = (target.outputChannels + Self.groupWidth - 1) / Self.groupWidth
            sums.append((0..<groups).map { _ in plan.reserve(grid.height * grid.width) })
            pieces += stride(from: 0, to: groups, by: atOnce).map { (number, $0..<min($0 + atOnce, groups)) }
        }
        self.sums = sums
        pieceParts = pieces
        groupsAtOnce = atOnce
    }

    var pieces: Int { pieceParts.count }

    private var productCount: Int {
        PointMatrices.count(rows: places.tiles, columns: groupsAtOnce * Self.groupWidth)
    }

    var scratchCount: Int {
        let grid = places.stage.grid
        return productCount + places.stage.outputCount(rows: grid.rows, columns: grid.columns)
    }

    /// The sum over all groups at a place of the map.
    func sum(ofTarget number: Int, at position: Int, in memory: ProgramMemory) -> Double {
        sums[number].reduce(0) { $0 + Double(memory.shared[$1 + position]) }
    }

    func run(piece: Int, in memory: ProgramMemory) {
        let (number, groups) = pieceParts[piece]
        let target = places.stage.targets[number]
        let first = groups.lowerBound * Self.groupWidth
        let channels = first..<min(groups.upperBound * Self.groupWidth, target.outputChannels)
        let products = PointMatrices(memory.scratch, at: 0, tiles: places.tiles, channels: channels.count)
        places.stage.multiply(points: 0..<WinogradTransform.points, of: target, channels: channels, into: products) {
            places.data(ofInput: $0, in: memory)
        }
        for group in groups {
            let from = group * Self.groupWidth
            addSquares(
                of: target, channels: from..<min(from + Self.groupWidth, target.outputChannels),
                products: products, firstProduct: first, into: memory.shared + sums[number][group],
                scratch: memory.scratch + productCount)
        }
    }

    /// Every sixteenth channel is summed up in `Float`, the sixteen sums in `Double`.
    private func addSquares(
        of target: WinogradStage.Target, channels: Range<Int>, products: PointMatrices, firstProduct: Int,
        into sums: UnsafeMutablePointer<Float>, scratch squares: UnsafeMutablePointer<Float>
    ) {
        guard case .meanSquares(_, let scale) = target.destination else { return }
        let stage = places.stage
        let (grid, side) = (stage.grid, stage.grid.tileSide)
        let lanes = VectorKernels.lanes
        let rowLength = grid.columns * side
        squares.update(repeating: 0, count: grid.rows * side * rowLength * lanes)
        stage.transform.output.values.withUnsafeBufferPointer { matrix in
            target.bias.withUnsafeBufferPointer { bias in
                scale.withUnsafeBufferPointer { scale in
                    guard let bias = bias.baseAddress, let scale = scale.baseAddress else { return }
                    let steps = beltwatch_squares(
                        row_step: rowLength * lanes, column_step: lanes, square_step: side * lanes)
                    for channel in stride(from: channels.lowerBound, to: channels.upperBound, by: lanes) {
                        for tileRow in 0..<grid.rows {
                            stage.kernels.functions.pointee.add_squares(
                                products.lanes(
                                    block: (channel - firstProduct) / lanes, row: tileRow * grid.columns),
                                products.steps, grid.columns, Int32(side), matrix.baseAddress, scale + channel,
                                bias + channel, squares + tileRow * side * rowLength * lanes, steps)
                        }
                    }
                }
            }
        }
        for y in 0..<grid.height {
            for x in 0..<grid.width {
                var sum = 0.0
                for lane in 0..<lanes { sum += Double(squares[(y * rowLength + x) * lanes + lane]) }
                sums[y * grid.width + x] = Float(sum)
            }
        }
    }
}

/// The maps from the sums of their pieces: a piece is a map.
struct MeanSquares: WorkPhase {
    let squares: ChannelwiseSquares

    var pieces: Int { squares.places.stage.targets.count }
    var scratchCount: Int { 0 }

    func run(piece: Int, in memory: ProgramMemory) {
        let target = squares.places.stage.targets[piece]
        guard case .meanSquares(let map, _) = target.destination else { return }
        for position in 0..<map.count {
            let sum = squares.sum(ofTarget: piece, at: position, in: memory)
            memory.shared[map.offset + position] = Float(sum / Double(target.outputChannels))
        }
    }
}
