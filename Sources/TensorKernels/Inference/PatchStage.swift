import CKernels

/// A convolution of any kernel and stride: patches as a matrix, times the weights as a matrix.
///
/// For layers too small for Winograd's tiles; a piece is some rows of the output.
package struct PatchStage: WorkPhase {
    package enum Source: Sendable {
        case planes(PlaneImage)
        case panels(PanelImage)
    }

    private let source: Source
    private let destination: PanelImage
    private let geometry: ConvolutionGeometry
    private let activation: Activation
    private let bias: [Float]
    private let kernels: VectorKernels

    /// How many numbers a patch has: those of planes, or whole panels.
    private let patchCount: Int

    /// Patches × output channels in panels: `[⌈outputChannels/32⌉, patchCount, 32]`, in the patches' order.
    private let weights: [Float]

    /// Patches of so many positions lie in a core's cache.
    private static let positionsPerPiece = 128

    /// - Parameters:
    ///   - weights: `[outputChannels, inputChannels, kernelSide, kernelSide]`.
    ///   - bias: One per output channel.
    package init(
        _ source: Source, weights: Tensor, bias: [Float], geometry: ConvolutionGeometry, activation: Activation,
        to destination: PanelImage, instructionSet: InstructionSet = .best
    ) {
        self.source = source
        self.destination = destination
        self.geometry = geometry
        self.activation = activation
        kernels = VectorKernels(instructionSet)
        let panel = VectorKernels.panelColumns
        let panels = PanelImage.panels(of: geometry.outputChannels)
        self.bias = bias + Array(repeating: 0, count: panels * panel - bias.count)
        let area = geometry.kernelSide * geometry.kernelSide
        let channelsPerPlace: Int
        switch source {
        case .planes:
            channelsPerPlace = geometry.inputChannels
        case .panels(let image):
            channelsPerPlace = image.panels * panel
        }
        patchCount = area * channelsPerPlace
        var matrix = [Float](repeating: 0, count: panels * patchCount * panel)
        for o in 0..<geometry.outputChannels {
            for c in 0..<geometry.inputChannels {
                for place in 0..<area {
                    // Planes give patches channel by channel, panels pixel by pixel.
                    let row =
                        switch source {
                        case .planes: c * area + place
                        case .panels: place * channelsPerPlace + c
                        }
                    matrix[(o / panel * patchCount + row) * panel + o % panel] =
                        weights.values[(o * geometry.inputChannels + c) * area + place]
                }
            }
        }
        self.weights = matrix
    }

    private var rowsPerPiece: Int { max(1, Self.positionsPerPiece / geometry.outputWidth) }

    package var pieces: Int { (geometry.outputHeight + rowsPerPiece - 1) / rowsPerPiece }

    private var patchesCount: Int {
        PanelImage.panels(of: patchCount) * rowsPerPiece * geometry.outputWidth * VectorKernels.panelColumns
    }

    package var scratchCount: Int {
        patchesCount + destination.panels * rowsPerPiece * geometry.outputWidth * VectorKernels.panelColumns
    }

    package func run(piece: Int, in memory: ProgramMemory) {
        let rows = piece * rowsPerPiece..<min((piece + 1) * rowsPerPiece, geometry.outputHeight)
        let positions = rows.count * geometry.outputWidth
        for y in rows {
            for x in 0..<geometry.outputWidth {
                writePatch(
                    y: y, x: x, row: (y - rows.lowerBound) * geometry.outputWidth + x, of: positions, in: memory)
            }
        }
        let panel = VectorKernels.panelColumns
        let sums = memory.scratch + patchesCount
        weights.withUnsafeBufferPointer { weights in
            kernels.functions.pointee.multiply(
                beltwatch_panels(base: memory.scratch, panel_step: positions * panel),
                beltwatch_panels(base: weights.baseAddress, panel_step: patchCount * panel),
                beltwatch_mutable_panels(base: sums, panel_step: positions * panel), positions, patchCount,
                geometry.outputChannels, false,
                beltwatch_ahead(a: memory.scratch, a_count: 0, b: weights.baseAddress))
        }
        let lanes = VectorKernels.lanes
        bias.withUnsafeBufferPointer { bias in
            guard let bias = bias.baseAddress else { return }
            for block in 0..<destination.laneBlocks {
                let (number, half) = block.quotientAndRemainder(dividingBy: panel / lanes)
                for y in rows {
                    let row = (y - rows.lowerBound) * geometry.outputWidth
                    kernels.functions.pointee.store_lanes(
                        sums + ((number * positions + row) * panel + half * lanes), panel, geometry.outputWidth,
                        bias + block * lanes, activation == .rectifier ? 0 : -.infinity,
                        destination.pixel(memory.shared, block: block, y: y, x: 0), panel)
                }
            }
        }
    }

    /// One row of the matrix; pixels outside the image are zero.
    private func writePatch(y: Int, x: Int, row: Int, of rows: Int, in memory: ProgramMemory) {
        let panel = VectorKernels.panelColumns
        let side = geometry.kernelSide
        let top = y * geometry.stride - geometry.padding
        let left = x * geometry.stride - geometry.padding
        switch source {
        case .planes(let image):
            let isInside =
                top >= 0 && left >= 0 && top + side <= image.height && left + side <= image.width
                && panel % side == 0
            for c in 0..<image.channels {
                for i in 0..<side {
                    let place = (c * side + i) * side
                    let source = image.offset + (c * image.height + top + i) * image.width + left
                    if isInside {
                        // A row of the kernel does not straddle two panels.
                        let target = memory.scratch + ((place / panel * rows + row) * panel + place % panel)
                        if side == 4 {
                            UnsafeMutableRawPointer(target).storeBytes(
                                of: UnsafeRawPointer(memory.shared + source).loadUnaligned(as: SIMD4<Float>.self),
                                as: SIMD4<Float>.self)
                        } else {
                            target.update(from: memory.shared + source, count: side)
                        }
                        continue
                    }
                    for j in 0..<side {
                        let isVisible = (0..<image.height).contains(top + i) && (0..<image.width).contains(left + j)
                        memory.scratch[((place + j) / panel * rows + row) * panel + (place + j) % panel] =
                            isVisible ? memory.shared[source + j] : 0
                    }
                }
            }
        case .panels(let image):
            for i in 0..<side {
                for j in 0..<side {
                    let isInside = (0..<image.height).contains(top + i) && (0..<image.width).contains(left + j)
                    for number in 0..<image.panels {
                        let target = memory.scratch + (((i * side + j) * image.panels + number) * rows + row) * panel
                        if isInside {
                            target.update(
                                from: image.pixel(
                                    memory.shared, block: number * panel / VectorKernels.lanes, y: top + i,
                                    x: left + j), count: panel)
                        } else {
                            target.update(repeating: 0, count: panel)
                        }
                    }
                }
            }
        }
    }
}
