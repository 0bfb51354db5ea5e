import CKernels

/// Bilinear resampling of a panel image; a piece is some rows of the output.
package struct EnlargementStage: WorkPhase {
    private let source: PanelImage
    private let destination: PanelImage
    private let resampling: BilinearResampling
    private let kernels: VectorKernels

    package init(_ source: PanelImage, to destination: PanelImage, instructionSet: InstructionSet = .best) {
        precondition(source.channels == destination.channels, "resampling keeps the channels")
        self.source = source
        self.destination = destination
        resampling = BilinearResampling(
            channels: source.channels, inputHeight: source.height, inputWidth: source.width,
            outputHeight: destination.height, outputWidth: destination.width)
        kernels = VectorKernels(instructionSet)
    }

    package var pieces: Int { destination.height }
    package var scratchCount: Int { source.width * VectorKernels.panelColumns }

    package func run(piece y: Int, in memory: ProgramMemory) {
        let panel = VectorKernels.panelColumns
        let row = resampling.rows[y]
        for number in 0..<source.panels {
            let block = number * panel / VectorKernels.lanes
            kernels.functions.pointee.interpolate(
                source.pixel(memory.shared, block: block, y: row.first, x: 0),
                source.pixel(memory.shared, block: block, y: row.second, x: 0), row.secondWeight, source.width * panel,
                memory.scratch)
            let target = destination.pixel(memory.shared, block: block, y: y, x: 0)
            for (x, column) in resampling.columns.enumerated() {
                kernels.functions.pointee.interpolate(
                    memory.scratch + column.first * panel, memory.scratch + column.second * panel, column.secondWeight,
                    panel, target + x * panel)
            }
        }
    }
}
