/// An attention over a small image and a normalisation behind it, as LA-EAD and DFSC score frames, with what the plain way
/// to compute them gives.
struct CheckedAttention {
    private static let (channels, heads, window) = (18, 3, 3)
    private static let (height, width) = (5, 35)
    private static let logitChannels = heads * window * window * window * window

    private let features: [Float]
    private let valueWeights: Tensor
    private let logitWeights: Tensor
    private let logitBias: [Float]
    private let mixture: Tensor
    private let mixtureBias: [Float]
    private let output: [Float]

    init(seed: UInt64) {
        let (channels, logits) = (Self.channels, Self.logitChannels)
        var numbers = CheckNumbers(seed: seed)
        features = numbers.fractions(channels * Self.height * Self.width)
        valueWeights = Tensor(shape: [channels, channels, 1, 1], values: numbers.fractions(channels * channels))
        logitWeights = Tensor(shape: [logits, channels, 1, 1], values: numbers.fractions(logits * channels))
        logitBias = numbers.fractions(logits)
        mixture = Tensor(shape: [channels, channels, 1, 1], values: numbers.fractions(channels * channels))
        mixtureBias = numbers.fractions(channels)

        func product(_ input: [Float], _ weights: Tensor, _ bias: [Float]) -> [Float] {
            let geometry = ConvolutionGeometry(
                inputChannels: channels, inputHeight: Self.height, inputWidth: Self.width,
                outputChannels: weights.shape[0], kernelSide: 1)
            var output = [Float](repeating: 0, count: geometry.outputCount)
            var span = output.mutableSpan
            DirectConvolution().forward(
                input.span, weights: weights.values.span, bias: bias.span, activation: .identity, geometry: geometry,
                into: &span)
            return output
        }
        func image(_ values: [Float]) -> Tensor {
            Tensor(shape: [values.count / (Self.height * Self.width), Self.height, Self.width], values: values)
        }
        let noBias = [Float](repeating: 0, count: channels)
        let aggregated = OutlookAggregation(
            channels: channels, heads: Self.heads, window: Self.window, height: Self.height, width: Self.width
        ).forward(
            values: image(product(features, valueWeights, noBias)),
            logits: image(product(features, logitWeights, logitBias)))
        let mixed = product(aggregated.values, mixture, mixtureBias)
        var normalised = mixed
        var span = normalised.mutableSpan
        InstanceNormalisation(channels: channels, height: Self.height, width: Self.width)
            .forward(mixed.span, into: &span)
        output = normalised.map { max(0, $0) }
    }

    /// Computes the same with the stages of an inference program, measured as `KernelSelfCheck.forward` is.
    func error(instructionSet: InstructionSet, threads: Int) -> Double {
        let (channels, height, width) = (Self.channels, Self.height, Self.width)
        var plan = MemoryPlan()
        let image = PanelImage(channels: channels, height: height, width: width, in: &plan)
        let rows = (0..<3).map { _ in RowPanelImage(channels: channels, height: height, width: width, in: &plan) }
        let result = PanelImage(channels: channels, height: height, width: width, in: &plan)
        let phases: [any WorkPhase] = [
            TranspositionStage(image, to: rows[0], instructionSet: instructionSet),
            RowProductStage(
                rows[0], weights: RowKernels(valueWeights, groupWidth: 16), to: rows[1],
                instructionSet: instructionSet),
            OutlookStage(
                rows[0], values: rows[1], channels: 0..<channels, heads: Self.heads, window: Self.window,
                logitWeights: logitWeights, logitBias: logitBias, to: rows[2], instructionSet: instructionSet),
            PixelStage(
                [(.rows(rows[2]), PixelKernels(mixture))], bias: mixtureBias, to: .image(result, .identity),
                instructionSet: instructionSet),
            NormalisationStage(result, instructionSet: instructionSet),
        ]
        let program = InferenceProgram(phases.map { ("", $0) }, plan: plan, threads: threads)
        let lanes = VectorKernels.lanes
        func place(_ index: Int) -> (channel: Int, y: Int, x: Int) {
            let (row, x) = index.quotientAndRemainder(dividingBy: width)
            return (row / height, row % height, x)
        }
        let scored = program.run { memory in
            for (index, value) in features.enumerated() {
                let (channel, y, x) = place(index)
                image.pixel(memory, block: channel / lanes, y: y, x: x)[channel % lanes] = value
            }
        } collect: { memory in
            output.indices.map { index in
                let (channel, y, x) = place(index)
                return result.pixel(memory, block: channel / lanes, y: y, x: x)[channel % lanes]
            }
        }
        return KernelSelfCheck.relativeError(of: scored, to: output)
    }
}
