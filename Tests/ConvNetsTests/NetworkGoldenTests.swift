import Foundation
import TensorKernels
import Testing

@testable import ConvNets

/// What `Golden/make_network_forward.py` wrote with PyTorch.
private struct Golden: Decodable {
    struct Network: Decodable {
        let output: [Float]
        let gradientNorms: [String: Double]
    }

    let medium: Network
    let mediumPadded: Network
    let separatedAutoencoder: Network
    let extractor: Network

    static func load() throws -> Golden {
        let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Golden/network_forward.json")
        return try JSONDecoder().decode(Golden.self, from: Data(contentsOf: file))
    }
}

/// Forward passes, and the gradients of half the mean square of the outputs, against PyTorch.
///
/// Sums of some hundred products of float32; where values are normalised the differences of nearly equal ones are
/// stretched, so outputs may be 1e-5 of the largest apart, and gradients 3e-4 of their length.
@Suite struct NetworkGoldenTests {
    private let engine = ReferenceConvolution(threads: 2)
    private let medium: PatchDescriptionNetwork
    private let autoencoder: Autoencoder
    private let extractor: ContextExtractor
    private let image: Tensor

    init() throws {
        var generator = LinearCongruential(seed: 2025)
        medium = try .narrow(outputChannels: 8, size: .medium, using: &generator)
        autoencoder = try .narrow(outputChannels: 8, design: .instanceNormalised, using: &generator)
        extractor = try .narrow(outputChannels: 8, using: &generator)
        image = generator.tensor([3, 128, 128], in: -2...2)
    }

    @Test(arguments: [false, true]) func theMediumNetworkMatchesPyTorch(padded: Bool) throws {
        let golden = try Golden.load()
        let network = try PatchDescriptionNetwork(parameters: medium.parameters, size: .medium, padded: padded)
        let (output, tape) = network.forwardRecording(image, on: engine)
        var gradients = network.parameters.zeros
        network.backward(output.timesItsShare, through: tape, accumulatingInto: &gradients, on: engine)
        try expectClose(output, gradients, padded ? golden.mediumPadded : golden.medium)
    }

    @Test func theNormalisedAutoencoderMatchesPyTorch() throws {
        var network = autoencoder
        network.dropoutProbability = 0
        var stream = RandomStream(seed: 0, stream: .dropout)
        let (output, tape) = network.forwardRecording(image, dropout: &stream, on: engine)
        #expect(output == network.forward(image, on: engine))
        var gradients = network.parameters.zeros
        network.backward(output.timesItsShare, through: tape, accumulatingInto: &gradients, on: engine)
        try expectClose(output, gradients, try Golden.load().separatedAutoencoder)
    }

    @Test func theContextExtractorMatchesPyTorch() throws {
        let (output, tape) = extractor.forwardRecording(image, on: engine)
        #expect(output == extractor.forward(image, on: engine))
        #expect(output.shape == [8, 24, 24])
        var gradients = extractor.parameters.zeros
        extractor.backward(output.timesItsShare, through: tape, accumulatingInto: &gradients, on: engine)
        try expectClose(output, gradients, try Golden.load().extractor)
    }

    private func expectClose(_ output: Tensor, _ gradients: ParameterSet, _ golden: Golden.Network) throws {
        let (height, width) = (output.shape[1], output.shape[2])
        let sampled = output.values.indices.filter { $0 % width % 5 == 0 && $0 / width % height % 5 == 0 }
            .map { output.values[$0] }
        #expect(sampled.count == golden.output.count)
        let largest = golden.output.map(abs).max() ?? 0
        let error = zip(sampled, golden.output).map { abs($0 - $1) }.max() ?? .infinity
        #expect(error <= 1e-5 * largest, "off by \(error) of \(largest)")

        #expect(gradients.count == golden.gradientNorms.count)
        let whole = golden.gradientNorms.values.reduce(0) { max($0, $1) }
        for (position, name) in gradients.names.enumerated() {
            let norm = gradients[position].values.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
            let expected = try #require(golden.gradientNorms[name])
            // Biases before a normalisation have no gradient but rounding.
            #expect(abs(norm - expected) <= 3e-4 * expected + 1e-6 * whole, "\(name): \(norm), \(expected)")
        }
    }
}

extension Tensor {
    /// The gradient of half the mean square.
    fileprivate var timesItsShare: Tensor { Tensor(shape: shape, values: values.map { $0 / Float(count) }) }
}
