/// One way to compute convolutions held against their definition, on the machine that it runs on.
///
/// For whoever puts a box into service: what its CPU, hypervisor or emulator computes wrongly shows here.
public struct KernelSelfCheck: Sendable {
    /// "baseline", "AVX2" or "AVX-512" for the hot loops, "OpenBLAS" for the rest.
    public let path: String

    /// The root of the mean squared difference to the definition over that of the definition's mean square, the largest
    /// of all shapes; infinite where a result is no number.
    public let forward: Double

    /// Of the gradient with respect to the input, measured as `forward` is.
    public let inputGradient: Double

    /// Of the gradient with respect to the weights, measured as `forward` is.
    public let weightGradient: Double

    /// Of the stages that score frames, measured as `forward` is; nil for OpenBLAS, which has no part in them.
    public let scoring: Double?

    /// What rounding explains; measured: up to 1e-6 on all paths.
    public static let limit = 1e-5

    public var isRight: Bool {
        [forward, inputGradient, weightGradient, scoring ?? 0].allSatisfy { $0 <= Self.limit }
    }

    /// Checks every instruction set that the CPU and its operating system can run, and OpenBLAS; takes less than a second.
    ///
    /// - Parameter threads: How many threads compute at once, the caller included; at least 1.
    public static func all(threads: Int) -> [KernelSelfCheck] {
        let layers = geometries.enumerated().map { CheckedLayer($1, seed: UInt64($0)) }
        let attention = CheckedAttention(seed: 1)
        return InstructionSet.available.map { set in
            let engine = WinogradConvolution(threads: threads, instructionSet: set, acceptsEverySize: true)
            return KernelSelfCheck(
                path: engine.instructionSet, engine: engine, layers: layers,
                scoring: max(
                    worst(layers) { $0.scoringError(instructionSet: set, threads: threads) },
                    attention.error(instructionSet: set, threads: threads)))
        } + [
            KernelSelfCheck(
                path: "OpenBLAS", engine: ReferenceConvolution(threads: threads), layers: layers, scoring: nil)
        ]
    }

    init(path: String, engine: some ConvolutionEngine, layers: [CheckedLayer], scoring: Double?) {
        self.path = path
        self.scoring = scoring
        forward = Self.worst(layers) { $0.forwardError(of: engine) }
        inputGradient = Self.worst(layers) { $0.inputGradientError(of: engine) }
        weightGradient = Self.worst(layers) { $0.weightGradientError(of: engine) }
    }

    private static func worst(_ layers: [CheckedLayer], _ error: (CheckedLayer) -> Double) -> Double {
        layers.map { layer in
            let error = error(layer)
            return error.isNaN ? .infinity : error
        }.max() ?? .infinity
    }

    /// A single channel, less than one tile of a picture, odd sizes, channels that fill neither a vector
    /// nor a panel, more outputs than are made at once, sums longer than one chain.
    static let geometries = [
        ConvolutionGeometry(inputChannels: 1, inputHeight: 4, inputWidth: 9, outputChannels: 1, kernelSide: 3),
        ConvolutionGeometry(
            inputChannels: 3, inputHeight: 5, inputWidth: 6, outputChannels: 20, kernelSide: 4, padding: 1),
        ConvolutionGeometry(
            inputChannels: 17, inputHeight: 13, inputWidth: 8, outputChannels: 33, kernelSide: 3, padding: 1),
        ConvolutionGeometry(
            inputChannels: 40, inputHeight: 9, inputWidth: 11, outputChannels: 70, kernelSide: 4, padding: 3),
        ConvolutionGeometry(
            inputChannels: 130, inputHeight: 9, inputWidth: 7, outputChannels: 5, kernelSide: 3, padding: 2),
    ]
}

/// A layer with numbers and what the definition makes of them.
struct CheckedLayer {
    private let geometry: ConvolutionGeometry
    private let input: [Float]
    private let weights: [Float]
    private let bias: [Float]
    private let outputGradient: [Float]

    private let output: [Float]
    private let inputGradient: [Float]
    private let weightGradient: [Float]

    init(_ geometry: ConvolutionGeometry, seed: UInt64) {
        var numbers = CheckNumbers(seed: seed)
        self.geometry = geometry
        input = numbers.fractions(geometry.inputCount)
        weights = numbers.fractions(geometry.weightCount)
        bias = numbers.fractions(geometry.outputChannels)
        outputGradient = numbers.fractions(geometry.outputCount)
        output = DirectConvolution().output(geometry, input, weights, bias)
        inputGradient = DirectConvolution().inputGradient(geometry, outputGradient, weights)
        weightGradient = DirectConvolution().weightGradient(geometry, outputGradient, input)
    }

    func forwardError(of engine: some ConvolutionEngine) -> Double {
        KernelSelfCheck.relativeError(of: engine.output(geometry, input, weights, bias), to: output)
    }

    func inputGradientError(of engine: some ConvolutionEngine) -> Double {
        KernelSelfCheck.relativeError(of: engine.inputGradient(geometry, outputGradient, weights), to: inputGradient)
    }

    func weightGradientError(of engine: some ConvolutionEngine) -> Double {
        KernelSelfCheck.relativeError(of: engine.weightGradient(geometry, outputGradient, input), to: weightGradient)
    }

    /// Computes the layer as frames are scored: tile by tile, point by point, and by patches; the worst counts.
    func scoringError(instructionSet: InstructionSet, threads: Int) -> Double {
        let (g, lanes) = (geometry, VectorKernels.lanes)
        var plan = MemoryPlan()
        // A picture comes in as planes; everything behind it is in panels.
        let isPicture = g.inputChannels == 3
        let planes = PlaneImage(channels: g.inputChannels, height: g.inputHeight, width: g.inputWidth, in: &plan)
        let panels = PanelImage(
            channels: g.inputChannels, height: g.inputHeight, width: g.inputWidth, margin: g.padding,
            extent: WinogradStage.extent(height: g.outputHeight, width: g.outputWidth, kernelSide: g.kernelSide),
            in: &plan)
        let results = (0..<3).map { _ in
            PanelImage(channels: g.outputChannels, height: g.outputHeight, width: g.outputWidth, in: &plan)
        }
        let tensor = Tensor(shape: [g.outputChannels, g.inputChannels, g.kernelSide, g.kernelSide], values: weights)
        let kernels = WinogradKernels(tensor, threads: threads, instructionSet: instructionSet)
        let stages = results[..<2].map { result in
            WinogradStage(
                [.init(isPicture ? .planes(planes) : .panels(panels), padding: g.padding)],
                targets: [.init([(0, kernels)], bias: bias, to: .image(result, .identity, isPooled: false))],
                height: g.outputHeight, width: g.outputWidth, instructionSet: instructionSet)
        }
        let patches = PatchStage(
            isPicture ? .planes(planes) : .panels(panels), weights: tensor, bias: bias, geometry: g,
            activation: .identity, to: results[2], instructionSet: instructionSet)
        let phases = [stages[0].tilewise()] + stages[1].pointwise(in: &plan).all + [patches]
        let program = InferenceProgram(phases.map { ("", $0) }, plan: plan, threads: threads)
        let outputs = program.run { memory in
            for (index, value) in input.enumerated() {
                let (row, x) = index.quotientAndRemainder(dividingBy: g.inputWidth)
                let (channel, y) = row.quotientAndRemainder(dividingBy: g.inputHeight)
                memory[planes.offset + index] = value
                panels.pixel(memory, block: channel / lanes, y: y, x: x)[channel % lanes] = value
            }
        } collect: { memory in
            results.map { image in
                output.indices.map { index in
                    let (row, x) = index.quotientAndRemainder(dividingBy: g.outputWidth)
                    let (channel, y) = row.quotientAndRemainder(dividingBy: g.outputHeight)
                    return image.pixel(memory, block: channel / lanes, y: y, x: x)[channel % lanes]
                }
            }
        }
        return outputs.map { KernelSelfCheck.relativeError(of: $0, to: output) }.max() ?? .infinity
    }
}

/// Numbers that are the same on every machine.
struct CheckNumbers {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    /// In -1..<1.
    mutating func fractions(_ count: Int) -> [Float] {
        (0..<count).map { _ in
            // Knuth's MMIX linear congruential generator; the upper 24 bits.
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Float(state >> 40) * 0x1p-23 - 1
        }
    }
}

extension KernelSelfCheck {
    /// Infinite where it is no number, so that the largest of several is the worst.
    static func relativeError(of values: [Float], to expected: [Float]) -> Double {
        var difference = 0.0
        var square = 0.0
        for (value, expected) in zip(values, expected) {
            difference += Double(value - expected) * Double(value - expected)
            square += Double(expected) * Double(expected)
        }
        let error = (difference / square).squareRoot()
        return error.isNaN ? .infinity : error
    }
}

extension ConvolutionEngine {
    fileprivate func output(
        _ geometry: ConvolutionGeometry, _ input: [Float], _ weights: [Float], _ bias: [Float]
    ) -> [Float] {
        // Overwritten wholly, or the comparison fails.
        var output = [Float](repeating: .nan, count: geometry.outputCount)
        var span = output.mutableSpan
        forward(
            input.span, weights: weights.span, bias: bias.span, activation: .identity, geometry: geometry, into: &span)
        return output
    }

    fileprivate func inputGradient(
        _ geometry: ConvolutionGeometry, _ outputGradient: [Float], _ weights: [Float]
    ) -> [Float] {
        var gradient = [Float](repeating: .nan, count: geometry.inputCount)
        var span = gradient.mutableSpan
        inputGradient(from: outputGradient.span, weights: weights.span, geometry: geometry, into: &span)
        return gradient
    }

    fileprivate func weightGradient(
        _ geometry: ConvolutionGeometry, _ outputGradient: [Float], _ input: [Float]
    ) -> [Float] {
        var gradient = [Float](repeating: 0, count: geometry.weightCount)
        var span = gradient.mutableSpan
        weightGradient(from: outputGradient.span, input: input.span, geometry: geometry, accumulatingInto: &span)
        return gradient
    }
}
