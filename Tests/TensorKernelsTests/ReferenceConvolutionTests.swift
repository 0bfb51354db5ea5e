import TensorKernels
import Testing

@Suite struct ReferenceConvolutionTests {
    private let reference = ReferenceConvolution(threads: 2)
    private let definition = DirectConvolution()

    /// Every image up to 5×4 with every kernel up to 4, stride up to 3 and padding up to 4, so kernels wider than the
    /// image, windows that see padding only, and 1×1 outputs are among them.
    private static let smallGeometries: [ConvolutionGeometry] = {
        var geometries: [ConvolutionGeometry] = []
        for height in 1...5 {
            for width in 1...4 {
                for side in 1...4 {
                    for stride in 1...3 {
                        for padding in 0...4 where min(height, width) + 2 * padding >= side {
                            geometries.append(
                                ConvolutionGeometry(
                                    inputChannels: 1 + (height + side) % 3, inputHeight: height, inputWidth: width,
                                    outputChannels: 1 + (width + stride) % 3, kernelSide: side, stride: stride,
                                    padding: padding))
                        }
                    }
                }
            }
        }
        return geometries
    }()

    /// Large enough for several blocks of rows, groups of input channels and parts of output channels.
    private static let largerGeometries = [
        ConvolutionGeometry(
            inputChannels: 40, inputHeight: 30, inputWidth: 37, outputChannels: 5, kernelSide: 4, padding: 1),
        ConvolutionGeometry(inputChannels: 3, inputHeight: 70, inputWidth: 61, outputChannels: 9, kernelSide: 4),
        ConvolutionGeometry(
            inputChannels: 5, inputHeight: 33, inputWidth: 40, outputChannels: 7, kernelSide: 4, stride: 2, padding: 1),
        ConvolutionGeometry(inputChannels: 9, inputHeight: 8, inputWidth: 8, outputChannels: 6, kernelSide: 8),
        ConvolutionGeometry(inputChannels: 60, inputHeight: 7, inputWidth: 5, outputChannels: 70, kernelSide: 3),
    ]

    @Test func productOfUnrolledPatchesMatchesTheDefinition() {
        for (number, geometry) in (Self.smallGeometries + Self.largerGeometries).enumerated() {
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

    @Test func gradientsMatchTheDefinition() {
        for (number, geometry) in (Self.smallGeometries + Self.largerGeometries).enumerated() {
            var numbers = TestNumbers(seed: UInt64(number))
            let input = numbers.wholeNumbers(geometry.inputCount)
            let weights = numbers.wholeNumbers(geometry.weightCount)
            let outputGradient = numbers.wholeNumbers(geometry.outputCount)
            let start = numbers.wholeNumbers(geometry.weightCount)
            #expect(
                reference.inputGradient(from: outputGradient, weights: weights, geometry: geometry)
                    == definition.inputGradient(from: outputGradient, weights: weights, geometry: geometry),
                "\(geometry)")
            #expect(
                reference.weightGradient(
                    from: outputGradient, input: input, geometry: geometry, startingFrom: start)
                    == definition.weightGradient(
                        from: outputGradient, input: input, geometry: geometry, startingFrom: start),
                "\(geometry)")
        }
    }

    /// 64 output channels, so that one non-zero element per output position is still sparse.
    @Test func sparseGradientsMatchTheDefinition() {
        for (number, small) in Self.smallGeometries.enumerated() {
            let geometry = ConvolutionGeometry(
                inputChannels: small.inputChannels, inputHeight: small.inputHeight, inputWidth: small.inputWidth,
                outputChannels: 64, kernelSide: small.kernelSide, stride: small.stride, padding: small.padding)
            var numbers = TestNumbers(seed: UInt64(number))
            let input = numbers.wholeNumbers(geometry.inputCount)
            let weights = numbers.wholeNumbers(geometry.weightCount)
            let start = numbers.wholeNumbers(geometry.weightCount)
            var outputGradient = [Float](repeating: 0, count: geometry.outputCount)
            for position in 0..<geometry.positionCount {
                let channel = Int(numbers.next() >> 40) % 64
                outputGradient[channel * geometry.positionCount + position] = numbers.wholeNumbers(1)[0]
            }
            #expect(
                reference.inputGradient(from: outputGradient, weights: weights, geometry: geometry)
                    == definition.inputGradient(from: outputGradient, weights: weights, geometry: geometry),
                "\(geometry)")
            #expect(
                reference.weightGradient(from: outputGradient, input: input, geometry: geometry, startingFrom: start)
                    == definition.weightGradient(
                        from: outputGradient, input: input, geometry: geometry, startingFrom: start),
                "\(geometry)")
        }
    }

    @Test func rectifierLetsNaNThrough() {
        let geometry = ConvolutionGeometry(
            inputChannels: 1, inputHeight: 1, inputWidth: 3, outputChannels: 1, kernelSide: 1)
        let output = reference.forward(
            [-1, .nan, 1], weights: [1], bias: [0], activation: .rectifier, geometry: geometry)
        #expect(output[0] == 0 && output[1].isNaN && output[2] == 1)
    }

    /// Fractions, so that another order of summation would show. The engine promises the same bits for the same number of
    /// threads; since its cut ignores the threads, it keeps them for every number.
    @Test func repetitionsAndNumbersOfThreadsChangeNoBit() {
        for geometry in Self.largerGeometries {
            var numbers = TestNumbers(seed: 7)
            let input = numbers.fractions(geometry.inputCount)
            let weights = numbers.fractions(geometry.weightCount)
            let bias = numbers.fractions(geometry.outputChannels)
            let outputGradient = numbers.fractions(geometry.outputCount)
            let zeros = [Float](repeating: 0, count: geometry.weightCount)
            func everything(threads: Int) -> [[Float]] {
                let engine = ReferenceConvolution(threads: threads)
                return [
                    engine.forward(input, weights: weights, bias: bias, activation: .rectifier, geometry: geometry),
                    engine.inputGradient(from: outputGradient, weights: weights, geometry: geometry),
                    engine.weightGradient(
                        from: outputGradient, input: input, geometry: geometry, startingFrom: zeros),
                ]
            }
            let once = everything(threads: 2)
            for threads in [1, 2, 2, 3, 5] { #expect(everything(threads: threads) == once, "\(threads), \(geometry)") }
        }
    }
}

@Suite struct ConvolutionGeometryTests {
    @Test func countsMultiplicationsOfTheFirstLayerOfTheTeacher() {
        let geometry = ConvolutionGeometry(
            inputChannels: 3, inputHeight: 256, inputWidth: 256, outputChannels: 128, kernelSide: 4)
        #expect(geometry.outputHeight == 253 && geometry.outputWidth == 253)
        #expect(geometry.multiplyAccumulates == 393_271_296)
    }
}
