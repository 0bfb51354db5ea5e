import Testing

@testable import TensorKernels

/// The stages of outlook attention in an inference program against the definitions, on every instruction set that this CPU
/// has.
@Suite struct AttentionStageTests {
    private static let instructionSets = InstructionSet.allCases.filter { $0 <= .best }
    private static let tolerance = 1e-5

    @Test(arguments: instructionSets)
    func aTransposedImageIsTheImage(set: InstructionSet) {
        for (channels, height, width) in [(1, 1, 1), (5, 3, 16), (16, 2, 33), (40, 3, 64), (33, 4, 61)] {
            var generator = TestNumbers(seed: 1)
            let input = generator.fractions(channels * height * width)
            var plan = MemoryPlan()
            let image = PanelImage(channels: channels, height: height, width: width, margin: 1, in: &plan)
            let rows = RowPanelImage(channels: channels, height: height, width: width, in: &plan)
            let stage = TranspositionStage(image, to: rows, instructionSet: set)
            let output = InferenceProgram([("", stage)], plan: plan, threads: 2).run { memory in
                write(input, to: image, in: memory)
            } collect: { memory in
                read(rows, in: memory)
            }
            #expect(output == input, "\(channels)×\(height)×\(width)")
        }
    }

    /// Weights on either side of the pixels: groups of output channels into an image of the same kind, all of them into one
    /// of the other kind.
    @Test(arguments: instructionSets)
    func productsOfRowsMatchTheDefinition(set: InstructionSet) {
        for (inputs, outputs, group, height, width) in [
            (1, 1, 1, 1, 1), (5, 7, 3, 18, 17), (40, 33, 16, 3, 33), (64, 65, 64, 2, 61), (150, 20, 20, 1, 70),
        ] {
            let numbers = StageNumbers(
                ConvolutionGeometry(
                    inputChannels: inputs, inputHeight: height, inputWidth: width, outputChannels: outputs,
                    kernelSide: 1), seed: 2)
            var plan = MemoryPlan()
            let source = RowPanelImage(channels: inputs, height: height, width: width, in: &plan)
            let rows = RowPanelImage(channels: outputs, height: height, width: width, in: &plan)
            let pixels = PanelImage(channels: outputs, height: height, width: width, margin: 1, in: &plan)
            let stages: [any WorkPhase] = [
                RowProductStage(
                    source, weights: RowKernels(numbers.weights, groupWidth: group), to: rows, instructionSet: set),
                PixelStage(
                    [(.rows(source), PixelKernels(numbers.weights))], bias: numbers.bias,
                    to: .image(pixels, .rectifier), instructionSet: set),
            ]
            let program = InferenceProgram(stages.map { ("", $0) }, plan: plan, threads: 2)
            let (inRows, inPixels) = program.run { memory in
                write(numbers.input, to: source, in: memory)
            } collect: { memory in
                (read(rows, in: memory), read(pixels, in: memory))
            }
            let zero = [Float](repeating: 0, count: outputs)
            #expect(
                relativeError(of: inRows, to: numbers.convolved(.identity, bias: zero)) < Self.tolerance,
                "\(inputs) → \(outputs)")
            #expect(
                relativeError(of: inPixels, to: numbers.convolved(.rectifier)) < Self.tolerance,
                "\(inputs) → \(outputs)")
        }
    }

    /// Windows wider than the image among them, images narrower than a panel, exactly as wide, and wider, heights of one
    /// band and of several, heads of fewer and more channels than are filtered at once.
    @Test(arguments: instructionSets)
    func anAttentionMatchesTheDefinition(set: InstructionSet) {
        for (channels, heads, window, height, width) in [
            (1, 1, 3, 1, 1), (2, 1, 1, 3, 4), (3, 3, 3, 1, 5), (4, 2, 5, 2, 2), (6, 2, 3, 5, 16), (2, 2, 5, 4, 17),
            (3, 1, 7, 6, 5), (18, 2, 3, 9, 33), (9, 1, 3, 17, 8), (2, 1, 5, 35, 9), (3, 3, 3, 40, 6), (4, 2, 5, 18, 32),
        ] {
            let attention = Attention(
                DirectOutlook(channels: channels, heads: heads, window: window, height: height, width: width), seed: 3)
            let output = attention.output(instructionSet: set, threads: 2)
            #expect(
                relativeError(of: output, to: attention.expected) < Self.tolerance,
                "\(channels) channels, \(heads) heads, \(window)×\(window) of \(height)×\(width)")
        }
    }

    @Test func everyNumberOfThreadsGivesTheSameBits() {
        let attention = Attention(DirectOutlook(channels: 6, heads: 3, window: 3, height: 37, width: 19), seed: 4)
        let one = attention.output(instructionSet: .best, threads: 1)
        for threads in 2...4 { #expect(attention.output(instructionSet: .best, threads: threads) == one) }
    }

    /// A weight that is no number makes the results so that its window reaches, and no others.
    @Test func notANumberStaysInItsWindow() {
        var attention = Attention(DirectOutlook(channels: 1, heads: 1, window: 3, height: 7, width: 7), seed: 5)
        attention.input[3 * 7 + 3] = .nan
        let output = attention.output(instructionSet: .best, threads: 1)
        for y in 0..<7 {
            for x in 0..<7 {
                let isReached = abs(y - 3) <= 1 && abs(x - 3) <= 1
                #expect(output[y * 7 + x].isNaN == isReached, "\(y), \(x)")
            }
        }
    }
}

/// Features, values and logit weights of an attention; its values and results lie behind the channels of another one.
private struct Attention {
    private static let otherChannels = 3

    let definition: DirectOutlook
    var input: [Float]
    private let values: [Float]
    private let weights: Tensor
    private let bias: [Float]

    init(_ definition: DirectOutlook, seed: UInt64) {
        var generator = TestNumbers(seed: seed)
        let count = definition.channels * definition.height * definition.width
        let logits = definition.heads * definition.window * definition.window * definition.window * definition.window
        self.definition = definition
        input = generator.fractions(count)
        values = generator.fractions(count)
        weights = Tensor(
            shape: [logits, definition.channels, 1, 1], values: generator.fractions(logits * definition.channels))
        bias = generator.fractions(logits)
    }

    var expected: [Float] {
        let plane = definition.height * definition.width
        var logits = [Double](repeating: 0, count: bias.count * plane)
        for k in bias.indices {
            for p in 0..<plane {
                logits[k * plane + p] = (0..<definition.channels).reduce(Double(bias[k])) { sum, c in
                    sum + Double(weights.values[k * definition.channels + c]) * Double(input[c * plane + p])
                }
            }
        }
        return definition.forward(values: values.map(Double.init), logits: logits).map { Float($0) }
    }

    func output(instructionSet: InstructionSet, threads: Int) -> [Float] {
        let (channels, height, width) = (definition.channels, definition.height, definition.width)
        var plan = MemoryPlan()
        let source = RowPanelImage(channels: channels, height: height, width: width, in: &plan)
        let all = RowPanelImage(channels: Self.otherChannels + channels, height: height, width: width, in: &plan)
        let result = RowPanelImage(channels: Self.otherChannels + channels, height: height, width: width, in: &plan)
        let stage = OutlookStage(
            source, values: all, channels: Self.otherChannels..<Self.otherChannels + channels, heads: definition.heads,
            window: definition.window, logitWeights: weights, logitBias: bias, to: result,
            instructionSet: instructionSet)
        let others = [Float](repeating: .nan, count: Self.otherChannels * height * width)
        return InferenceProgram([("", stage)], plan: plan, threads: threads).run { memory in
            // What earlier phases left: pixels beyond the width hold anything.
            for image in [source, all, result] {
                image.pixel(memory, channel: 0, y: 0, x: 0).update(repeating: .nan, count: height * image.rowStep)
            }
            write(input, to: source, in: memory)
            write(others + values, to: all, in: memory)
        } collect: { memory in
            Array(read(result, in: memory)[others.count...])
        }
    }
}
