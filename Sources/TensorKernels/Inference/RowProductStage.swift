import CKernels

/// A 1×1 convolution without bias between images whose pixels lie side by side: `target = weights · source`.
///
/// A piece is a group of output channels in some rows, so that a group's weights stay in the cache from row to row.
package struct RowProductStage: WorkPhase {
    private let source: RowPanelImage
    private let weights: RowKernels
    private let destination: RowPanelImage
    private let kernels: VectorKernels

    /// Rows of the image that one piece computes.
    private static let rowsPerPiece = 16

    package init(
        _ source: RowPanelImage, weights: RowKernels, to destination: RowPanelImage,
        instructionSet: InstructionSet = .best
    ) {
        precondition(
            (weights.inputChannels, weights.outputChannels) == (source.channels, destination.channels)
                && (source.height, source.width) == (destination.height, destination.width),
            "a product of other images")
        self.source = source
        self.weights = weights
        self.destination = destination
        kernels = VectorKernels(instructionSet)
    }

    private var rowParts: Int { (source.height + Self.rowsPerPiece - 1) / Self.rowsPerPiece }

    package var pieces: Int { weights.groups * rowParts }
    package var scratchCount: Int { 0 }

    package func run(piece: Int, in memory: ProgramMemory) {
        let (group, part) = piece.quotientAndRemainder(dividingBy: rowParts)
        let channel = group * weights.groupWidth
        for y in part * Self.rowsPerPiece..<min((part + 1) * Self.rowsPerPiece, source.height) {
            weights.multiply(
                group: group, by: source, row: y, into: destination.pixel(memory.shared, channel: channel, y: y, x: 0),
                panelStep: destination.panelStep, on: kernels, in: memory.shared)
        }
    }
}

/// The weights of a 1×1 convolution on the left of a product with rows of pixels, some output channels at a time:
/// of every group `[⌈inputChannels/32⌉, groupWidth, 32]`.
package struct RowKernels: Sendable {
    package let inputChannels: Int
    package let outputChannels: Int

    /// Output channels of a group; the last one may have fewer.
    let groupWidth: Int
    private let matrix: [Float]

    /// - Parameters:
    ///   - weights: `[outputChannels, inputChannels, 1, 1]`.
    ///   - scale: Factor of all weights.
    package init(_ weights: Tensor, groupWidth: Int, scale: Float = 1) {
        let panel = VectorKernels.panelColumns
        (outputChannels, inputChannels) = (weights.shape[0], weights.shape[1])
        self.groupWidth = groupWidth
        let panels = PanelImage.panels(of: inputChannels)
        var matrix = [Float](repeating: 0, count: outputChannels * panels * panel)
        for o in 0..<outputChannels {
            let group = o / groupWidth * groupWidth
            let width = min(groupWidth, outputChannels - group)
            for c in 0..<inputChannels {
                matrix[group * panels * panel + (c / panel * width + o - group) * panel + c % panel] =
                    scale * weights.values[o * inputChannels + c]
            }
        }
        self.matrix = matrix
    }

    var groups: Int { (outputChannels + groupWidth - 1) / groupWidth }

    /// Multiplies a group's weights with a row of pixels; the result is a panel matrix of channels × pixels.
    func multiply(
        group: Int, by source: RowPanelImage, row y: Int, into result: UnsafeMutablePointer<Float>, panelStep: Int,
        on kernels: VectorKernels, in memory: UnsafeMutablePointer<Float>
    ) {
        let panel = VectorKernels.panelColumns
        let first = group * groupWidth
        let width = min(groupWidth, outputChannels - first)
        let pixels = source.matrix(ofRow: y, in: memory)
        let next = source.matrix(ofRow: min(y + 1, source.height - 1), in: memory)
        matrix.withUnsafeBufferPointer { matrix in
            guard let base = matrix.baseAddress else { return }
            let group = base + first * PanelImage.panels(of: inputChannels) * panel
            kernels.functions.pointee.multiply(
                beltwatch_panels(base: group, panel_step: width * panel), pixels,
                beltwatch_mutable_panels(base: result, panel_step: panelStep), width, inputChannels, source.width,
                false, beltwatch_ahead(a: group, a_count: 0, b: next.base))
        }
    }
}
