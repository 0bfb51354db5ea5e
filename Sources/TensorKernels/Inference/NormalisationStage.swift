import CKernels

/// Instance normalisation of a panel image in its place, and the rectifier behind it: `x ← max(0, (x − μ)·ρ)` with mean μ
/// and ρ = 1/√(σ² + ε) of every channel (`InstanceNormalisation`).
///
/// A piece is sixteen channels. Margins stay zero.
package struct NormalisationStage: WorkPhase {
    private let image: PanelImage
    private let kernels: VectorKernels

    package init(_ image: PanelImage, instructionSet: InstructionSet = .best) {
        self.image = image
        kernels = VectorKernels(instructionSet)
    }

    package var pieces: Int { image.laneBlocks }

    /// Two `Double`s per lane.
    package var scratchCount: Int { 4 * VectorKernels.lanes }

    package func run(piece: Int, in memory: ProgramMemory) {
        let (lanes, panel) = (VectorKernels.lanes, VectorKernels.panelColumns)
        let sums = PooledValues.doubles(at: 0, count: 2 * lanes, in: memory.scratch)
        let squares = sums + lanes
        sums.update(repeating: 0, count: 2 * lanes)
        // Deviations from a value of the channel itself: their squares do not lose the variance of a large mean.
        let centre = image.pixel(memory.shared, block: piece, y: 0, x: 0)
        for y in 0..<image.height {
            kernels.functions.pointee.add_moments(
                image.pixel(memory.shared, block: piece, y: y, x: 0), panel, image.width, centre, sums, squares)
        }
        let count = Double(image.height * image.width)
        for lane in 0..<lanes {
            let deviation = sums[lane] / count
            let variance = squares[lane] / count - deviation * deviation
            sums[lane] = Double(centre[lane]) + deviation
            squares[lane] = 1 / (max(0, variance) + InstanceNormalisation.epsilon).squareRoot()
        }
        for y in 0..<image.height {
            kernels.functions.pointee.normalise_lanes(
                image.pixel(memory.shared, block: piece, y: y, x: 0), panel, image.width, sums, squares)
        }
    }
}
