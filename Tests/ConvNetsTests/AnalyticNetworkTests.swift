import TensorKernels
import Testing

@testable import ConvNets

/// Networks of means, whose outputs can be worked out without a computer's help (ALGORITHMS §9.2).
///
/// Float32 sums of up to 4096 products: 1e-5 relative.
@Suite struct AnalyticNetworkTests {
    private let engine = ReferenceConvolution(threads: 2)
    private let network: PatchDescriptionNetwork
    private let autoencoder: Autoencoder

    init() throws {
        network = try PatchDescriptionNetwork(
            parameters: .means(PatchDescriptionNetwork.parameterShapes(outputChannels: 384)))
        autoencoder = try Autoencoder(parameters: .means(Autoencoder.parameterShapes(outputChannels: 384)))
    }

    @Test func constantImageGivesTheSameConstant() {
        let output = network.forward(Tensor(shape: [3, 256, 256], repeating: 0.7), on: engine)
        #expect(output.shape == [384, 56, 56])
        #expect(output.values.allSatisfy { isClose($0, 0.7) })
    }

    @Test func cellOfARampSeesTheCentreOfItsField() {
        let ramp = Tensor(shape: [3, 256, 256], values: (0..<3 * 256 * 256).map { Float($0 % 256) })
        let output = network.forward(ramp, on: engine)
        for (index, value) in output.values.enumerated() where !isClose(value, Double(4 * (index % 56) + 16)) {
            Issue.record("column \(index % 56) is \(value)")
            return
        }
    }

    @Test func paddingFadesThePaddedNetworkTowardsTheBorders() throws {
        let padded = try PatchDescriptionNetwork(parameters: network.parameters, padded: true)
        let output = padded.forward(Tensor(shape: [3, 256, 256], repeating: 1), on: engine)
        #expect(output.shape == [384, 64, 64])
        for channel in [0, 383] {
            func value(_ y: Int, _ x: Int) -> Float { output.values[(channel * 64 + y) * 64 + x] }
            #expect(isClose(value(0, 0), 0.2808447944))
            #expect(isClose(value(0, 32), 0.5299479167))
            #expect(isClose(value(32, 32), 1))
            #expect(isClose(value(63, 63), 0.4925554064))
        }
        #expect(isClose(mean(output), 0.9605212278))
    }

    /// As many convolutions wider than one pixel with the same padding: the same fields, so the same numbers.
    @Test func theMediumNetworkDescribesTheSameFields() throws {
        let medium = try PatchDescriptionNetwork(
            parameters: .means(PatchDescriptionNetwork.parameterShapes(outputChannels: 384, size: .medium)),
            size: .medium)
        let constant = medium.forward(Tensor(shape: [3, 256, 256], repeating: 0.7), on: engine)
        #expect(constant.shape == [384, 56, 56])
        #expect(constant.values.allSatisfy { isClose($0, 0.7) })

        let ramp = Tensor(shape: [3, 256, 256], values: (0..<3 * 256 * 256).map { Float($0 % 256) })
        let columns = medium.forward(ramp, on: engine)
        let wrong = columns.values.indices.first { !isClose(columns.values[$0], Double(4 * ($0 % 56) + 16)) }
        #expect(wrong == nil)

        let padded = try PatchDescriptionNetwork(parameters: medium.parameters, size: .medium, padded: true)
        let faded = padded.forward(Tensor(shape: [3, 256, 256], repeating: 1), on: engine)
        #expect(faded.shape == [384, 64, 64])
        for (y, x, expected) in [(0, 0, 0.2808447944), (0, 32, 0.5299479167), (32, 32, 1), (63, 63, 0.4925554064)] {
            #expect(isClose(faded.values[(383 * 64 + y) * 64 + x], expected))
        }
        #expect(isClose(mean(faded), 0.9605212278))
    }

    @Test(arguments: PatchDescriptionNetwork.Size.allCases)
    func chosenChannelsAreThoseOfTheWholeOutput(size: PatchDescriptionNetwork.Size) throws {
        var generator = LinearCongruential(seed: 1)
        let network = try PatchDescriptionNetwork(
            parameters: PatchDescriptionNetwork.defaultParameters(outputChannels: 384, size: size, using: &generator),
            size: size)
        let image = generator.tensor([3, 64, 48], in: -2...2)
        let whole = network.forward(image, on: engine)
        let some = network.forward(image, channels: 100..<164, on: engine)
        let positions = whole.count / 384
        #expect(some.shape == [64] + whole.shape.dropFirst())
        for (value, expected) in zip(some.values, whole.values[100 * positions..<164 * positions]) {
            #expect(abs(value - expected) < 1e-5)
        }
    }

    @Test func autoencoderOfAConstantMatchesTheWorkedExample() {
        let image = Tensor(shape: [3, 256, 256], repeating: 1)
        let output = autoencoder.forward(image, on: engine)
        var withoutDropout = autoencoder
        withoutDropout.dropoutProbability = 0
        var stream = RandomStream(seed: 1, stream: .dropout)
        let code = withoutDropout.forwardRecording(image, dropout: &stream, on: engine).tape.outputs[5]
        #expect(code.shape == [64, 1, 1])
        #expect(code.values.allSatisfy { isClose($0, 0.84042698) })
        #expect(output.shape == [384, 56, 56])
        for channel in [0, 383] {
            func value(_ y: Int, _ x: Int) -> Float { output.values[(channel * 56 + y) * 56 + x] }
            #expect(isClose(value(0, 0), 0.0012650055))
            #expect(isClose(value(3, 5), 0.0309431717))
            #expect(isClose(value(28, 28), 0.4047947034))
        }
        #expect(isClose(mean(output), 0.1755282746))
    }

    @Test func autoencoderOfARampMatchesTheWorkedExample() {
        var generator = LinearCongruential(seed: 1)
        let ramp = Tensor(shape: [3, 256, 256], values: (0..<3 * 256 * 256).map { Float($0 % 256) / 255 })
        let output = autoencoder.forward(ramp, on: engine)
        #expect(isClose(output.values[28 * 56], 0.0113144545))
        #expect(isClose(output.values[28 * 56 + 28], 0.2023973517))
        #expect(isClose(output.values[28 * 56 + 55], 0.0113144545))

        var withoutDropout = autoencoder
        withoutDropout.dropoutProbability = 0
        let (recorded, tape) = withoutDropout.forwardRecording(ramp, dropout: &generator, on: engine)
        #expect(recorded == output)
        let code = tape.outputs[5]
        #expect(code.shape == [64, 1, 1])
        #expect(code.values.allSatisfy { isClose($0, 0.42021349) })
    }

    /// In DFSC's design as in EfficientAD's, and whatever stands before the rectifiers.
    @Test func theNormalisedAutoencoderSeesMeanZeroAndOpensItsDecoderWithARectifier() throws {
        var generator = LinearCongruential(seed: 51)
        let normalised = try Autoencoder.narrow(outputChannels: 6, design: .instanceNormalised, using: &generator)
        #expect(normalised.parameters.names == autoencoder.parameters.names)
        let image = generator.tensor([3, 128, 128], in: -2...2)
        var stream = RandomStream(seed: 1, stream: .dropout)
        let (_, tape) = normalised.forwardRecording(image, dropout: &stream, on: engine)
        for position in 0..<14 { #expect((tape.sums[position] == nil) == (position == 5 || position == 13)) }
        // Without the rectifier some of the code's numbers are negative.
        #expect(tape.outputs[5].values.allSatisfy { $0 >= 0 } && tape.outputs[5].values.contains(0))

        // Twice the contrast of the first layer's sums is the same picture behind it.
        var brighter = normalised
        for index in brighter.parameters[0].values.indices { brighter.parameters[0].values[index] *= 2 }
        for index in brighter.parameters[1].values.indices { brighter.parameters[1].values[index] += 3 }
        let (output, other) = (normalised.forward(image, on: engine), brighter.forward(image, on: engine))
        #expect(zip(output.values, other.values).allSatisfy { abs($0 - $1) < 1e-3 })
        let plain = try Autoencoder(parameters: normalised.parameters).forward(image, on: engine)
        #expect(zip(output.values, plain.values).contains { abs($0 - $1) > 0.1 })
    }

    @Test func inferenceTwiceGivesTheSameBits() {
        var generator = LinearCongruential(seed: 3)
        let image = generator.tensor([3, 256, 256], in: -2...2)
        #expect(network.forward(image, on: engine) == network.forward(image, on: engine))
        #expect(autoencoder.forward(image, on: engine) == autoencoder.forward(image, on: engine))
    }

    @Test func dropoutLeavesOutAFifthBehindTheFirstSixDecoderLayers() {
        var stream = RandomStream(seed: 1, stream: .dropout)
        let image = Tensor(shape: [3, 256, 256], repeating: 1)
        let (_, tape) = autoencoder.forwardRecording(image, dropout: &stream, on: engine)
        for (position, output) in tape.outputs.enumerated() {
            let zeros = Double(output.values.count { $0 == 0 }) / Double(output.count)
            // At most 1024 draws decide about a map: standard deviation 0.0125, four of them allowed.
            let expected = (6..<12).contains(position) ? 0.2 : 0
            #expect(abs(zeros - expected) < 0.05, "layer \(position) has \(zeros) zeros")
        }
    }

    private func isClose(_ value: Float, _ expected: Double) -> Bool {
        abs(Double(value) - expected) <= 1e-5 * expected
    }

    private func mean(_ tensor: Tensor) -> Float {
        Float(tensor.values.reduce(0.0) { $0 + Double($1) } / Double(tensor.count))
    }
}
