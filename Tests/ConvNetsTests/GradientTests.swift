import TensorKernels
import Testing

@testable import ConvNets

/// Backward passes against finite differences of the forward pass, for every parameter tensor.
///
/// The loss is `⟨output, G⟩` for a fixed random G, summed in `Double`. A central difference along a random direction of
/// ±step per parameter is compared with the gradient's component. Positive weights with gain 1 keep every other rectifier
/// open and biases of −50 close the rest, so no step crosses a kink: the loss is linear in the parameters of one layer,
/// and only float32 rounding is left, which 0.1 % of the gradient's length covers.
@Suite struct GradientTests {
    private let engine = ReferenceConvolution(threads: 2)

    @Test(arguments: PatchDescriptionNetwork.Size.allCases, [false, true])
    func patchDescriptionNetwork(size: PatchDescriptionNetwork.Size, padded: Bool) throws {
        var generator = LinearCongruential(seed: 11)
        var network = try PatchDescriptionNetwork.narrow(
            outputChannels: 6, size: size, padded: padded, using: &generator)
        network.parameters.fixRectifiers(besides: [size == .small ? "conv4" : "conv6"], using: &generator)
        let image = generator.tensor([3, 41, 48], in: 0.5...2)
        for channels in [0..<6, 2..<5] {
            let (output, tape) = network.forwardRecording(image, channels: channels, on: engine)
            #expect(output == network.forward(image, channels: channels, on: engine))
            let outputGradient = generator.tensor(output.shape, in: 0...1)
            var gradients = network.parameters.zeros
            network.backward(outputGradient, through: tape, accumulatingInto: &gradients, on: engine)
            try expectFiniteDifferences(of: network.parameters, gradients: gradients, using: &generator) { parameters in
                var moved = network
                moved.parameters = parameters
                return product(moved.forward(image, channels: channels, on: engine), outputGradient)
            }
        }
    }

    @Test(arguments: [0, 0.2] as [Float]) func autoencoder(dropout: Float) throws {
        var generator = LinearCongruential(seed: 12)
        var network = try Autoencoder.narrow(outputChannels: 6, using: &generator)
        network.parameters.fixRectifiers(
            besides: ["encoder.enconv6", "decoder.deconv8"], using: &generator)
        network.dropoutProbability = dropout
        let image = generator.tensor([3, 128, 128], in: 0.5...2)
        let masks = RandomStream(seed: 1, stream: .dropout)
        var sameMasks = masks
        let (output, tape) = network.forwardRecording(image, dropout: &sameMasks, on: engine)
        let outputGradient = generator.tensor(output.shape, in: 0...1)
        var gradients = network.parameters.zeros
        network.backward(outputGradient, through: tape, accumulatingInto: &gradients, on: engine)
        try expectFiniteDifferences(of: network.parameters, gradients: gradients, using: &generator) { parameters in
            var moved = network
            moved.parameters = parameters
            var sameMasks = masks
            return product(moved.forwardRecording(image, dropout: &sameMasks, on: engine).output, outputGradient)
        }
    }

    /// Normalised sums lie on both sides of every kink, so steps are small, and gradients only nearly agree.
    @Test func normalisedAutoencoder() throws {
        var generator = LinearCongruential(seed: 14)
        var network = try Autoencoder.narrow(outputChannels: 6, design: .instanceNormalised, using: &generator)
        network.dropoutProbability = 0
        let code = try #require(network.parameters.names.firstIndex(of: "encoder.enconv6.bias"))
        for index in network.parameters[code].values.indices { network.parameters[code].values[index] = 2 }
        let image = generator.tensor([3, 128, 128], in: 0.5...2)
        var stream = RandomStream(seed: 1, stream: .dropout)
        let (output, tape) = network.forwardRecording(image, dropout: &stream, on: engine)
        let outputGradient = generator.tensor(output.shape, in: -1...1)
        var gradients = network.parameters.zeros
        network.backward(outputGradient, through: tape, accumulatingInto: &gradients, on: engine)
        for position in 0..<gradients.count where gradients[position].shape.count == 4 {
            let gradient = gradients[position].values
            let length = gradient.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
            // Along the gradient, where the loss changes most, by a small share of the weights.
            let weights = network.parameters[position].values.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
            let step = 2e-4 * weights / length
            func loss(_ sign: Double) -> Double {
                var moved = network
                for index in gradient.indices {
                    moved.parameters[position].values[index] += Float(sign * step * Double(gradient[index]))
                }
                return product(moved.forward(image, on: engine), outputGradient)
            }
            let difference = (loss(1) - loss(-1)) / (2 * step)
            #expect(
                abs(difference - length * length) <= 0.03 * length * length,
                "\(gradients.names[position]): difference \(difference), gradient \(length * length)")
        }
    }

    @Test func backwardAddsToTheGradientsThatAreThere() throws {
        var generator = LinearCongruential(seed: 13)
        let network = try PatchDescriptionNetwork.narrow(outputChannels: 4, using: &generator)
        let (output, tape) = network.forwardRecording(generator.tensor([3, 40, 40], in: 0.5...2), on: engine)
        let outputGradient = generator.tensor(output.shape, in: 0...1)
        var once = network.parameters.zeros
        network.backward(outputGradient, through: tape, accumulatingInto: &once, on: engine)
        var twice = once
        network.backward(outputGradient, through: tape, accumulatingInto: &twice, on: engine)
        for position in 0..<once.count {
            let largest = once[position].values.map(abs).max() ?? 0
            for (first, second) in zip(once[position].values, twice[position].values) {
                #expect(abs(second - 2 * first) <= 1e-5 * largest)
            }
        }
        twice.reset()
        #expect(twice == network.parameters.zeros)
    }

    private func expectFiniteDifferences(
        of parameters: ParameterSet, gradients: ParameterSet, using generator: inout LinearCongruential,
        loss: (ParameterSet) -> Double
    ) throws {
        for position in 0..<parameters.count {
            let shape = parameters[position].shape
            // A quarter of the smallest weight, and a bias's step smaller than the bias.
            let step = shape.count == 4 ? 0.25 / Float(shape[1] * shape[2] * shape[3]) : 0.05
            let direction = parameters[position].values.map { _ in generator.uniform() < 0.5 ? -1 : 1 as Float }
            func lossAway(by distance: Float) -> Double {
                var moved = parameters
                for index in direction.indices { moved[position].values[index] += distance * direction[index] }
                return loss(moved)
            }
            let difference = (lossAway(by: step) - lossAway(by: -step)) / Double(2 * step)
            let gradient = gradients[position].values
            let component = zip(gradient, direction).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
            let length = gradient.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
            #expect(length > 0, "\(parameters.names[position])")
            #expect(
                abs(difference - component) <= 0.001 * length,
                "\(parameters.names[position]): difference \(difference), gradient \(component) of length \(length)")
        }
    }

    private func product(_ a: Tensor, _ b: Tensor) -> Double {
        zip(a.values, b.values).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
    }
}

extension ParameterSet {
    /// Positive weights whose sums keep the mean of inputs every other of which is zero; biases that decide the rectifiers.
    ///
    /// - Parameter besides: The layers that have none.
    fileprivate mutating func fixRectifiers(
        besides unrectified: [String], using generator: inout LinearCongruential
    ) {
        for position in 0..<count {
            let shape = self[position].shape
            for index in self[position].values.indices {
                if shape.count == 4 {
                    let fanIn = Float(shape[1] * shape[2] * shape[3])
                    self[position].values[index] = generator.uniform(in: 0.5...1.5) * 2 / fanIn
                } else {
                    let closes = index % 2 == 1 && !unrectified.contains { names[position] == "\($0).bias" }
                    self[position].values[index] = closes ? -50 : 0.1
                }
            }
        }
    }
}
