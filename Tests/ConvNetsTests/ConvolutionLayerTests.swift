import TensorKernels
import Testing

@testable import ConvNets

/// What layers beyond those of the patch description networks can be: dilated, and without a bias.
@Suite struct ConvolutionLayerTests {
    private let engine = ReferenceConvolution(threads: 2)
    private let parameters: ParameterSet
    private let input: Tensor

    init() {
        var generator = LinearCongruential(seed: 31)
        parameters = ParameterSet([
            ("conv.weight", generator.tensor([5, 3, 3, 3], in: -1...1)),
            ("conv.bias", generator.tensor([5], in: -1...1)),
        ])
        input = generator.tensor([3, 9, 8], in: -1...1)
    }

    @Test func dilationWidensWhatALayerSees() {
        let layer = ConvolutionLayer(
            name: "conv", weightIndex: 0, stride: 1, padding: 1, dilation: 2, activation: .identity)
        #expect(
            layer.geometry(inputHeight: 61, inputWidth: 60, parameters: parameters)
                == ConvolutionGeometry(
                    inputChannels: 3, inputHeight: 61, inputWidth: 60, outputChannels: 5, kernelSide: 3, padding: 1,
                    dilation: 2))
        let output = layer.forward(input, parameters: parameters, on: engine)
        #expect(output.shape == [5, 7, 6])
        // Output (0, 0) sees the pixels −1, 1 and 3 of either axis, the first in the padding.
        var sum = parameters[1].values[0]
        for c in 0..<3 {
            for (i, y) in [(1, 1), (2, 3)] {
                for (j, x) in [(1, 1), (2, 3)] {
                    sum += parameters[0].values[(c * 3 + i) * 3 + j] * input.values[(c * 9 + y) * 8 + x]
                }
            }
        }
        #expect(abs(output.values[0] - sum) < 1e-5)
    }

    /// The tensor behind the weights is another layer's.
    @Test func aLayerWithoutABiasLeavesTheNextTensorAlone() {
        let layer = ConvolutionLayer(
            name: "conv", weightIndex: 0, stride: 1, padding: 0, activation: .identity, hasBias: false)
        var withZeros = parameters
        withZeros[1] = Tensor(shape: [5])
        let biased = ConvolutionLayer(name: "conv", weightIndex: 0, stride: 1, padding: 0, activation: .identity)
        let output = layer.forward(input, parameters: parameters, on: engine)
        #expect(output == biased.forward(input, parameters: withZeros, on: engine))
        let some = layer.forward(input, parameters: parameters, channels: 2..<4, on: engine)
        #expect(some == biased.forward(input, parameters: withZeros, channels: 2..<4, on: engine))

        var gradients = parameters.zeros
        layer.addParameterGradients(from: output, input: input, to: &gradients, on: engine)
        var expected = parameters.zeros
        biased.addParameterGradients(from: output, input: input, to: &expected, on: engine)
        #expect(gradients[0] == expected[0])
        #expect(gradients[1].values.allSatisfy { $0 == 0 })
    }
}
