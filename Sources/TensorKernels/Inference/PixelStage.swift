import CKernels

/// A 1×1 convolution, a matrix product of pixels and weights: `target = f(Σ weightsₛ · sourceₛ + bias)`.
///
/// A piece is a row of pixels. As in a Winograd stage, the difference of two networks is summed up before it is squared,
/// and its channels are never stored.
package struct PixelStage: WorkPhase {
    package enum Source: Sendable {
        case panels(PanelImage)
        case rows(RowPanelImage)

        var height: Int {
            switch self {
            case .panels(let image): image.height
            case .rows(let image): image.height
            }
        }

        var width: Int {
            switch self {
            case .panels(let image): image.width
            case .rows(let image): image.width
            }
        }

        var channels: Int {
            switch self {
            case .panels(let image): image.channels
            case .rows(let image): image.channels
            }
        }
    }

    package enum Destination: Sendable {
        case image(PanelImage, Activation)

        /// `map = mean over channels of (scale · sum + bias + addend)²`, in a map of one channel.
        case meanSquares(PlaneImage, scale: [Float], addend: PanelImage?)
    }

    private let terms: [(source: Source, weights: PixelKernels)]
    private let bias: [Float]
    private let destination: Destination
    private let kernels: VectorKernels

    private var outputChannels: Int { terms[0].weights.outputChannels }
    private var width: Int { terms[0].source.width }

    /// - Parameters:
    ///   - terms: Images of the same height and width, and what they are multiplied with.
    ///   - bias: One per output channel.
    package init(
        _ terms: [(source: Source, weights: PixelKernels)], bias: [Float], to destination: Destination,
        instructionSet: InstructionSet = .best
    ) {
        precondition(
            terms.allSatisfy {
                ($0.source.height, $0.source.width) == (terms[0].source.height, terms[0].source.width)
                    && $0.source.channels == $0.weights.inputChannels
                    && $0.weights.outputChannels == terms[0].weights.outputChannels
            }, "products of other images")
        self.terms = terms
        self.bias = bias + Array(repeating: 0, count: terms[0].weights.paddedChannels - bias.count)
        if case .meanSquares(let map, let scale, let addend) = destination {
            let padding = Array(repeating: Float(0), count: terms[0].weights.paddedChannels - scale.count)
            self.destination = .meanSquares(map, scale: scale + padding, addend: addend)
        } else {
            self.destination = destination
        }
        kernels = VectorKernels(instructionSet)
    }

    package var pieces: Int { terms[0].source.height }

    private var sumsCount: Int { width * terms[0].weights.paddedChannels }

    package var scratchCount: Int { sumsCount + width * VectorKernels.lanes }

    package func run(piece y: Int, in memory: ProgramMemory) {
        for (number, (source, weights)) in terms.enumerated() {
            multiply(source, row: y, by: weights, accumulates: number > 0, in: memory)
        }
        bias.withUnsafeBufferPointer { bias in
            guard let bias = bias.baseAddress else { return }
            let panel = VectorKernels.panelColumns
            switch destination {
            case .image(let image, let activation):
                for block in 0..<image.laneBlocks {
                    kernels.functions.pointee.store_lanes(
                        sums(ofBlock: block, in: memory), panel, width, bias + block * VectorKernels.lanes,
                        activation == .rectifier ? 0 : -.infinity,
                        image.pixel(memory.shared, block: block, y: y, x: 0), panel)
                }
            case .meanSquares(let map, let scale, let addend):
                scale.withUnsafeBufferPointer { scale in
                    guard let scale = scale.baseAddress else { return }
                    storeMeanSquares(y: y, scale: scale, bias: bias, addend: addend, to: map, in: memory)
                }
            }
        }
    }

    /// The products of a row of pixels, or what they add to the sums: a panel matrix of pixels × output channels.
    private func multiply(
        _ source: Source, row y: Int, by weights: PixelKernels, accumulates: Bool, in memory: ProgramMemory
    ) {
        let panel = VectorKernels.panelColumns
        weights.matrix.withUnsafeBufferPointer { matrix in
            switch source {
            case .panels(let image):
                let pixels = UnsafePointer(image.pixel(memory.shared, block: 0, y: y, x: 0))
                kernels.functions.pointee.multiply(
                    beltwatch_panels(base: pixels, panel_step: image.panelStep),
                    beltwatch_panels(base: matrix.baseAddress, panel_step: weights.inputChannels * panel),
                    beltwatch_mutable_panels(base: memory.scratch, panel_step: width * panel), width,
                    weights.inputChannels, weights.outputChannels, accumulates,
                    beltwatch_ahead(a: pixels + image.rowStep, a_count: 0, b: matrix.baseAddress))
            case .rows(let image):
                kernels.functions.pointee.multiply_transposed(
                    image.pixel(memory.shared, channel: 0, y: y, x: 0), matrix.baseAddress, memory.scratch, width,
                    weights.inputChannels, weights.paddedChannels, accumulates,
                    beltwatch_ahead(a: memory.scratch, a_count: 0, b: matrix.baseAddress))
            }
        }
    }

    private func sums(ofBlock block: Int, in memory: ProgramMemory) -> UnsafePointer<Float> {
        let panel = VectorKernels.panelColumns
        let (number, half) = block.quotientAndRemainder(dividingBy: panel / VectorKernels.lanes)
        return UnsafePointer(memory.scratch) + (number * width * panel + half * VectorKernels.lanes)
    }

    private func storeMeanSquares(
        y: Int, scale: UnsafePointer<Float>, bias: UnsafePointer<Float>, addend: PanelImage?, to map: PlaneImage,
        in memory: ProgramMemory
    ) {
        let lanes = VectorKernels.lanes
        let panel = VectorKernels.panelColumns
        let squares = memory.scratch + sumsCount
        squares.update(repeating: 0, count: width * lanes)
        for block in 0..<(outputChannels + lanes - 1) / lanes {
            kernels.functions.pointee.add_square_lanes(
                sums(ofBlock: block, in: memory), panel, width, scale + block * lanes, bias + block * lanes,
                addend.map { UnsafePointer($0.pixel(memory.shared, block: block, y: y, x: 0)) }, panel, squares)
        }
        for x in 0..<width {
            var sum = 0.0
            for lane in 0..<lanes { sum += Double(squares[x * lanes + lane]) }
            memory.shared[map.offset + y * map.width + x] = Float(sum / Double(outputChannels))
        }
    }
}

/// The weights of a 1×1 convolution as a panel matrix: `[⌈outputChannels/32⌉, inputChannels, 32]`.
package struct PixelKernels: Sendable {
    package let inputChannels: Int
    package let outputChannels: Int
    let matrix: [Float]

    /// - Parameters:
    ///   - weights: `[outputChannels, inputChannels, 1, 1]`.
    ///   - scale: Factor of every output channel; nil is 1.
    package init(_ weights: Tensor, scale: [Float]? = nil) {
        let panel = VectorKernels.panelColumns
        let (outputs, inputs) = (weights.shape[0], weights.shape[1])
        outputChannels = outputs
        inputChannels = inputs
        var matrix = [Float](repeating: 0, count: PanelImage.panels(of: outputs) * inputs * panel)
        for o in 0..<outputs {
            for c in 0..<inputs {
                matrix[(o / panel * inputs + c) * panel + o % panel] = (scale?[o] ?? 1) * weights.values[o * inputs + c]
            }
        }
        self.matrix = matrix
    }

    var paddedChannels: Int { PanelImage.panels(of: outputChannels) * VectorKernels.panelColumns }
}
