/// The sums of an image's channels over every tile, as a Winograd stage leaves them that does not store the image.
///
/// Every tile has sums of its own, so that the order of the additions is the same whoever computes them.
package struct TileSums: Sendable {
    private let channels: Int
    private let pixels: Int
    private let tiles: Int

    /// `[tiles, ⌈channels/16⌉·16]` in `Double`, two floats each.
    private let offset: Int

    /// - Parameter kernelSide: Of the convolution, which decides how large its tiles are.
    package init(channels: Int, height: Int, width: Int, kernelSide: Int, in plan: inout MemoryPlan) {
        let grid = TileGrid(
            height: height, width: width, tileSide: WinogradTransform(kernelSide: kernelSide).tileSide)
        self.channels = channels
        pixels = height * width
        tiles = grid.rows * grid.columns
        offset = plan.reserve(2 * tiles * Self.laneBlocks(of: channels) * VectorKernels.lanes)
    }

    private static func laneBlocks(of channels: Int) -> Int {
        (channels + VectorKernels.lanes - 1) / VectorKernels.lanes
    }

    private func sums(
        ofTile tile: Int, block: Int, in memory: UnsafeMutablePointer<Float>
    ) -> UnsafeMutableRawPointer {
        let place = (tile * Self.laneBlocks(of: channels) + block) * VectorKernels.lanes
        return UnsafeMutableRawPointer(memory + offset + 2 * place)
    }

    /// Stores the sums of sixteen channels over a tile.
    func store(_ sum: SIMD16<Double>, tile: Int, block: Int, in memory: UnsafeMutablePointer<Float>) {
        sums(ofTile: tile, block: block, in: memory).storeBytes(of: sum, as: SIMD16<Double>.self)
    }

    /// The channels' means over the whole image.
    package func means(to results: PooledValues) -> any WorkPhase { Means(sums: self, results: results) }

    /// A piece is sixteen channels.
    private struct Means: WorkPhase {
        let sums: TileSums
        let results: PooledValues

        var pieces: Int { TileSums.laneBlocks(of: sums.channels) }
        var scratchCount: Int { 0 }

        func run(piece block: Int, in memory: ProgramMemory) {
            var sum = SIMD16<Double>.zero
            for tile in 0..<sums.tiles {
                sum += sums.sums(ofTile: tile, block: block, in: memory.shared).loadUnaligned(as: SIMD16<Double>.self)
            }
            let results = results.doubles(in: memory.shared)
            let first = block * VectorKernels.lanes
            for lane in 0..<min(VectorKernels.lanes, sums.channels - first) {
                results[first + lane] = sum[lane] / Double(sums.pixels)
            }
        }
    }
}
