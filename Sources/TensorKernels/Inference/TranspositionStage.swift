import CKernels

/// Lays the pixels of a row side by side where the channels were; a piece is a row.
package struct TranspositionStage: WorkPhase {
    private let source: PanelImage
    private let destination: RowPanelImage
    private let kernels: VectorKernels

    package init(_ source: PanelImage, to destination: RowPanelImage, instructionSet: InstructionSet = .best) {
        precondition(
            (source.channels, source.height, source.width)
                == (destination.channels, destination.height, destination.width), "transposition keeps the size")
        self.source = source
        self.destination = destination
        kernels = VectorKernels(instructionSet)
    }

    package var pieces: Int { source.height }

    /// Sixteen channels of a panel of pixels, and as many zeros as a pixel has.
    package var scratchCount: Int { (VectorKernels.panelColumns + 1) * VectorKernels.lanes }

    package func run(piece y: Int, in memory: ProgramMemory) {
        let (lanes, panel) = (VectorKernels.lanes, VectorKernels.panelColumns)
        let zeros = memory.scratch + panel * lanes
        zeros.update(repeating: 0, count: lanes)
        for x in stride(from: 0, to: source.width, by: panel) {
            let pixels = min(panel, source.width - x)
            for block in 0..<source.laneBlocks {
                let channel = block * lanes
                kernels.functions.pointee.store_lanes(
                    source.pixel(memory.shared, block: block, y: y, x: x), panel, pixels, zeros, -.infinity,
                    memory.scratch, lanes)
                kernels.functions.pointee.scatter_lanes(
                    memory.scratch, min(lanes, source.channels - channel), pixels, false,
                    destination.pixel(memory.shared, channel: channel, y: y, x: x), panel)
            }
        }
    }
}
