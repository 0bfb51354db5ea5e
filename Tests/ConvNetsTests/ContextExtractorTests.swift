import TensorKernels
import Testing

@testable import ConvNets

@Suite struct ContextExtractorTests {
    private let engine = ReferenceConvolution(threads: 2)

    /// ALGORITHMS §9.1.
    @Test func countsAreThePublishedOnes() throws {
        let extractor = try ContextExtractor(
            parameters: .means(ContextExtractor.parameterShapes(outputChannels: 384)))
        #expect(extractor.parameters.valueCount == 12_498_448)
        #expect(extractor.multiplyAccumulates(imageHeight: 256, imageWidth: 256) == 68_095_496_192)
        #expect(extractor.outputChannels == 384)
        let sides = extractor.layerSizes(imageHeight: 256, imageWidth: 256).flatMap {
            [$0.inputHeight, $0.outputHeight]
        }
        #expect(sides == [256, 253, 126, 123, 61, 61, 61, 57, 57, 56, 56, 56])

        let autoencoder = Autoencoder.parameterShapes(outputChannels: 384).valueCount
        for (size, total) in [(PatchDescriptionNetwork.Size.medium, 33_236_880), (.small, 20_556_304)] {
            let branches = [384, 768].reduce(0) {
                $0 + PatchDescriptionNetwork.parameterShapes(outputChannels: $1, size: size).valueCount
            }
            #expect(branches + autoencoder + extractor.parameters.valueCount == total)
        }
    }

    /// ALGORITHMS §9.2, with the attention out of the way.
    @Test func aNetworkOfMeansFadesWhereItPads() throws {
        let extractor = try Self.meansWithoutAttention()
        let output = extractor.forward(Tensor(shape: [3, 256, 256], repeating: 1), on: engine)
        #expect(output.shape == [4, 56, 56])
        for channel in [0, 3] {
            func value(_ y: Int, _ x: Int) -> Float { output.values[(channel * 56 + y) * 56 + x] }
            for (y, x, expected) in [(0, 0, 0.5625), (55, 55, 0.5625), (0, 28, 0.75), (28, 28, 1)] {
                #expect(abs(Double(value(y, x)) - expected) < 1e-5, "row \(y), column \(x)")
            }
        }
    }

    /// Without attention a cell sees 41×41 pixels, four more on every side than PDN-M's (ALGORITHMS §2.5).
    @Test func theDilationWidensTheField() throws {
        let extractor = try Self.meansWithLocalAttention()
        var image = Tensor(shape: [3, 256, 256])
        let cell = (y: 28, x: 28)
        let before = extractor.forward(image, on: engine)
        var seen: [Int] = []
        for column in 90..<150 {
            image.values[128 * 256 + column] = 1
            let after = extractor.forward(image, on: engine)
            if after.values[cell.y * 56 + cell.x] != before.values[cell.y * 56 + cell.x] { seen.append(column) }
            image.values[128 * 256 + column] = 0
        }
        #expect(seen.count == 41 && seen == Array(seen[0]..<seen[0] + 41), "\(seen)")
    }

    /// The attention is not linear and some rectifiers change sides, so the difference only nearly agrees; the numbers of
    /// PyTorch, in `NetworkGoldenTests`, are closer.
    @Test func gradientsMatchFiniteDifferences() throws {
        var generator = LinearCongruential(seed: 41)
        var extractor = try ContextExtractor.narrow(outputChannels: 4, using: &generator)
        // Biases that keep most rectifiers open, so that few steps cross a kink.
        for name in ["conv1.bias", "conv2.bias", "conv3.bias", "conv4.bias", "conv5.bias"] {
            let position = try #require(extractor.parameters.names.firstIndex(of: name))
            for index in extractor.parameters[position].values.indices {
                extractor.parameters[position].values[index] = 6
            }
        }
        let image = generator.tensor([3, 64, 60], in: -1...1)
        let (output, tape) = extractor.forwardRecording(image, on: engine)
        let outputGradient = generator.tensor(output.shape, in: -1...1)
        var gradients = extractor.parameters.zeros
        extractor.backward(outputGradient, through: tape, accumulatingInto: &gradients, on: engine)
        for position in 0..<gradients.count {
            let gradient = gradients[position].values
            let length = gradient.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
            let fanIn = extractor.parameters[position].count / extractor.parameters[position].shape[0]
            let step = 0.02 / Float(fanIn)
            for _ in 0..<2 {
                let direction = gradient.map { _ in generator.uniform() < 0.5 ? -step : step }
                func loss(_ sign: Float) -> Double {
                    var moved = extractor
                    for index in direction.indices {
                        moved.parameters[position].values[index] += sign * direction[index]
                    }
                    return zip(moved.forward(image, on: engine).values, outputGradient.values)
                        .reduce(0) { $0 + Double($1.0) * Double($1.1) }
                }
                let difference = (loss(1) - loss(-1)) / (2 * Double(step))
                let component = zip(gradient, direction).reduce(0.0) { $0 + Double($1.0) * Double($1.1 / step) }
                #expect(length > 0, "\(gradients.names[position])")
                #expect(
                    abs(difference - component) <= 0.05 * length,
                    "\(gradients.names[position]): difference \(difference), gradient \(component) of length \(length)")
            }
        }
    }

    @Test func parametersAreCheckedByName() throws {
        var generator = LinearCongruential(seed: 42)
        let parameters = try ContextExtractor.narrow(outputChannels: 4, using: &generator).parameters
        let network = "context extractor"
        func without(_ name: String) -> ParameterSet {
            ParameterSet(
                parameters.names.indices.filter { parameters.names[$0] != name }
                    .map { (parameters.names[$0], parameters[$0]) })
        }
        for name in ["conv2.weight", "attention.outlook5.attn.bias", "conv6.bias"] {
            #expect(throws: NetworkError.missingParameter(name, network: network)) {
                try ContextExtractor(parameters: without(name), heads: 2)
            }
        }
        var more = parameters
        more.append("conv7.weight", Tensor(shape: [1]))
        #expect(throws: NetworkError.unknownParameter("conv7.weight", network: network)) {
            try ContextExtractor(parameters: more, heads: 2)
        }
        // Three heads have other logits than two.
        let expected = NetworkError.wrongShape(
            "attention.outlook3.attn.weight", network: network, found: [162, 6, 1, 1], expected: "[243, 6, 1, 1]")
        #expect(throws: expected) { try ContextExtractor(parameters: parameters, heads: 3) }
        #expect(throws: NetworkError.self) { try ContextExtractor(parameters: parameters, heads: 4) }
        let reversed = ParameterSet(parameters.names.indices.reversed().map { (parameters.names[$0], parameters[$0]) })
        #expect(try ContextExtractor(parameters: reversed, heads: 2).parameters == parameters)
    }

    /// Every weight 1/(inputs of an output), and an attention that answers 1 whatever it sees: on a white image the same
    /// as none.
    private static func meansWithoutAttention() throws -> ContextExtractor {
        try means { parameters in
            parameters.set("attention.fusion.weight", repeating: 0)
            parameters.set("attention.fusion.bias", repeating: 1)
        }
    }

    /// Every weight 1/(inputs of an output), and an attention that looks nowhere else: place i takes the value at place i,
    /// so a pixel gets its own value as often as windows cover it.
    private static func meansWithLocalAttention() throws -> ContextExtractor {
        try means { parameters in
            for (window, places) in [(3, 9), (5, 25)] {
                parameters.set("attention.outlook\(window).attn.weight", repeating: 0)
                // A logit so low that its exponential is zero.
                parameters.set("attention.outlook\(window).attn.bias", repeating: -1000) { index in
                    index / places % places == index % places ? 0 : nil
                }
            }
        }
    }

    private static func means(_ change: (inout ParameterSet) -> Void) throws -> ContextExtractor {
        var parameters = ParameterSet.means(
            ContextExtractor.architecture(widths: [3, 4, 4, 4, 4, 4, 4], heads: 2).parameterShapes)
        change(&parameters)
        return try ContextExtractor(parameters: parameters, heads: 2)
    }
}

extension ParameterSet {
    fileprivate mutating func set(
        _ name: String, repeating value: Float, besides other: (_ index: Int) -> Float? = { _ in nil }
    ) {
        guard let position = names.firstIndex(of: name) else {
            Issue.record("no parameter '\(name)'")
            return
        }
        for index in self[position].values.indices { self[position].values[index] = other(index) ?? value }
    }
}

extension [(name: String, shape: [Int])] {
    fileprivate var valueCount: Int { reduce(0) { $0 + $1.shape.reduce(1, *) } }
}
