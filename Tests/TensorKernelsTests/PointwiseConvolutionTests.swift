import TensorKernels
import Testing

@Suite struct PointwiseConvolutionTests {
    private let reference = ReferenceConvolution(threads: 2)
    private let definition = DirectConvolution()

    /// A single pixel, several parts of positions, several parts of either kind of channels; then strides and padding,
    /// where the image is not the matrix of its patches.
    private static let geometries = [
        ConvolutionGeometry(inputChannels: 17, inputHeight: 1, inputWidth: 1, outputChannels: 33, kernelSide: 1),
        ConvolutionGeometry(inputChannels: 7, inputHeight: 35, inputWidth: 33, outputChannels: 5, kernelSide: 1),
        ConvolutionGeometry(inputChannels: 3, inputHeight: 70, inputWidth: 81, outputChannels: 20, kernelSide: 1),
        ConvolutionGeometry(inputChannels: 515, inputHeight: 5, inputWidth: 3, outputChannels: 9, kernelSide: 1),
        ConvolutionGeometry(inputChannels: 260, inputHeight: 4, inputWidth: 7, outputChannels: 301, kernelSide: 1),
        ConvolutionGeometry(
            inputChannels: 6, inputHeight: 35, inputWidth: 33, outputChannels: 5, kernelSide: 1, stride: 2),
        ConvolutionGeometry(
            inputChannels: 6, inputHeight: 9, inputWidth: 12, outputChannels: 5, kernelSide: 1, padding: 2),
        // One weight is one weight, however far the next would be.
        ConvolutionGeometry(
            inputChannels: 6, inputHeight: 9, inputWidth: 12, outputChannels: 5, kernelSide: 1, dilation: 3),
    ]

    @Test func forwardMatchesTheDefinition() {
        for (number, geometry) in Self.geometries.enumerated() {
            var numbers = TestNumbers(seed: UInt64(number))
            let input = numbers.wholeNumbers(geometry.inputCount)
            let weights = numbers.wholeNumbers(geometry.weightCount)
            let bias = numbers.wholeNumbers(geometry.outputChannels)
            for activation in [Activation.identity, .rectifier] {
                let output = reference.forward(
                    input, weights: weights, bias: bias, activation: activation, geometry: geometry)
                let expected = definition.forward(
                    input, weights: weights, bias: bias, activation: activation, geometry: geometry)
                #expect(output == expected, "\(geometry), \(activation)")
            }
        }
    }

    @Test(arguments: [1, 97]) func gradientsMatchTheDefinition(oneIn: Int) {
        for (number, geometry) in Self.geometries.enumerated() {
            var numbers = TestNumbers(seed: UInt64(number))
            let input = numbers.wholeNumbers(geometry.inputCount)
            let weights = numbers.wholeNumbers(geometry.weightCount)
            let start = numbers.wholeNumbers(geometry.weightCount)
            // Every element, or so few that the sparse sums take over.
            var outputGradient = numbers.wholeNumbers(geometry.outputCount)
            for index in outputGradient.indices where index % oneIn != 0 { outputGradient[index] = 0 }
            let inputGradient = reference.inputGradient(from: outputGradient, weights: weights, geometry: geometry)
            #expect(
                inputGradient
                    == definition.inputGradient(from: outputGradient, weights: weights, geometry: geometry),
                "\(geometry)")
            let weightGradient = reference.weightGradient(
                from: outputGradient, input: input, geometry: geometry, startingFrom: start)
            #expect(
                weightGradient
                    == definition.weightGradient(
                        from: outputGradient, input: input, geometry: geometry, startingFrom: start),
                "\(geometry)")
        }
    }

    /// Fractions, so that another order of summation would show.
    @Test func numbersOfThreadsChangeNoBit() {
        for geometry in Self.geometries {
            var numbers = TestNumbers(seed: 7)
            let input = numbers.fractions(geometry.inputCount)
            let weights = numbers.fractions(geometry.weightCount)
            let bias = numbers.fractions(geometry.outputChannels)
            let outputGradient = numbers.fractions(geometry.outputCount)
            func everything(threads: Int) -> [[Float]] {
                let engine = ReferenceConvolution(threads: threads)
                return [
                    engine.forward(input, weights: weights, bias: bias, activation: .rectifier, geometry: geometry),
                    engine.inputGradient(from: outputGradient, weights: weights, geometry: geometry),
                    engine.weightGradient(
                        from: outputGradient, input: input, geometry: geometry, startingFrom: weights),
                ]
            }
            let once = everything(threads: 1)
            for threads in [2, 3, 5] { #expect(everything(threads: threads) == once, "\(threads), \(geometry)") }
        }
    }
}
