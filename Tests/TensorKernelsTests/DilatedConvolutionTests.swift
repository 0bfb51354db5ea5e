import TensorKernels
import Testing

@Suite struct DilatedConvolutionTests {
    private let reference = ReferenceConvolution(threads: 2)
    private let definition = DirectConvolution()

    /// Odd and even images, kernels from 1 to 5 with their weights 1 to 3 pixels apart, so that some see nothing but
    /// padding between their first and last weight; strides that step over the gaps.
    private static let geometries: [ConvolutionGeometry] = {
        var geometries: [ConvolutionGeometry] = []
        for (height, width) in [(1, 2), (3, 5), (7, 4), (9, 11), (13, 6)] {
            for side in 1...5 {
                for dilation in 1...3 {
                    for stride in 1...3 {
                        for padding in 0...5
                        where min(height, width) + 2 * padding >= (side - 1) * dilation + 1 {
                            geometries.append(
                                ConvolutionGeometry(
                                    inputChannels: 1 + (height + side) % 3, inputHeight: height, inputWidth: width,
                                    outputChannels: 1 + (width + stride) % 3, kernelSide: side, stride: stride,
                                    padding: padding, dilation: dilation))
                        }
                    }
                }
            }
        }
        return geometries
    }()

    /// Several groups of input channels and several blocks of rows; the first is a narrow conv4 of the context extractor
    /// (ALGORITHMS §2.5).
    private static let largerGeometries = [
        ConvolutionGeometry(
            inputChannels: 33, inputHeight: 61, inputWidth: 61, outputChannels: 5, kernelSide: 3, dilation: 2),
        ConvolutionGeometry(
            inputChannels: 40, inputHeight: 30, inputWidth: 37, outputChannels: 5, kernelSide: 4, padding: 3,
            dilation: 3),
        ConvolutionGeometry(
            inputChannels: 17, inputHeight: 33, inputWidth: 40, outputChannels: 7, kernelSide: 5, stride: 2, padding: 2,
            dilation: 2),
    ]

    @Test func weightsOfADilatedKernelSkipPixels() {
        let geometry = ConvolutionGeometry(
            inputChannels: 1, inputHeight: 5, inputWidth: 6, outputChannels: 1, kernelSide: 3, dilation: 2)
        #expect(geometry.outputHeight == 1 && geometry.outputWidth == 2)
        // Rows 0, 2 and 4 hold 1, 3 and 5 and weigh 1, 10 and 100; only the kernel's middle column counts, which lies two
        // pixels from the first.
        var image = (0..<30).map { Float($0 / 6 + 1) }
        image[26] = 5.5
        let output = reference.forward(
            image, weights: [0, 1, 0, 0, 10, 0, 0, 100, 0], bias: [0], activation: .identity, geometry: geometry)
        #expect(output == [581, 531])
    }

    @Test func sizesAndCountsAreThoseOfTheContextExtractor() {
        let conv4 = ConvolutionGeometry(
            inputChannels: 512, inputHeight: 61, inputWidth: 61, outputChannels: 512, kernelSide: 3, dilation: 2)
        #expect(conv4.outputHeight == 57 && conv4.outputWidth == 57)
        #expect(conv4.multiplyAccumulates == 7_665_352_704)
    }

    @Test func forwardMatchesTheDefinition() {
        for (number, geometry) in (Self.geometries + Self.largerGeometries).enumerated() {
            let numbers = Numbers(geometry, seed: UInt64(number))
            for activation in [Activation.identity, .rectifier] {
                #expect(
                    reference.forward(
                        numbers.input, weights: numbers.weights, bias: numbers.bias, activation: activation,
                        geometry: geometry)
                        == definition.forward(
                            numbers.input, weights: numbers.weights, bias: numbers.bias, activation: activation,
                            geometry: geometry),
                    "\(geometry), \(activation)")
            }
        }
    }

    @Test func gradientsMatchTheDefinition() {
        for (number, geometry) in (Self.geometries + Self.largerGeometries).enumerated() {
            expectGradients(of: geometry, with: Numbers(geometry, seed: UInt64(number)))
        }
    }

    /// 64 output channels, so that one non-zero element per output position is still sparse.
    @Test func sparseGradientsMatchTheDefinition() {
        for (number, dense) in Self.geometries.enumerated() {
            let geometry = ConvolutionGeometry(
                inputChannels: dense.inputChannels, inputHeight: dense.inputHeight, inputWidth: dense.inputWidth,
                outputChannels: 64, kernelSide: dense.kernelSide, stride: dense.stride, padding: dense.padding,
                dilation: dense.dilation)
            var numbers = Numbers(geometry, seed: UInt64(number))
            for index in numbers.outputGradient.indices
            where index / geometry.positionCount != index % geometry.positionCount % 64 {
                numbers.outputGradient[index] = 0
            }
            expectGradients(of: geometry, with: numbers)
        }
    }

    /// Kernels of side 3 and 4 with enough channels, which it would otherwise transform.
    @Test func theWinogradEngineLeavesDilatedKernelsToTheReference() {
        let engine = WinogradConvolution(threads: 2)
        for side in 3...4 {
            let geometry = ConvolutionGeometry(
                inputChannels: 20, inputHeight: 30, inputWidth: 31, outputChannels: 18, kernelSide: side, padding: 1,
                dilation: 2)
            let numbers = Numbers(geometry, seed: UInt64(side))
            #expect(
                engine.forward(
                    numbers.input, weights: numbers.weights, bias: numbers.bias, activation: .rectifier,
                    geometry: geometry)
                    == definition.forward(
                        numbers.input, weights: numbers.weights, bias: numbers.bias, activation: .rectifier,
                        geometry: geometry))
            #expect(
                engine.inputGradient(from: numbers.outputGradient, weights: numbers.weights, geometry: geometry)
                    == definition.inputGradient(
                        from: numbers.outputGradient, weights: numbers.weights, geometry: geometry))
            #expect(
                engine.weightGradient(
                    from: numbers.outputGradient, input: numbers.input, geometry: geometry,
                    startingFrom: numbers.weights)
                    == definition.weightGradient(
                        from: numbers.outputGradient, input: numbers.input, geometry: geometry,
                        startingFrom: numbers.weights))
        }
    }

    private func expectGradients(of geometry: ConvolutionGeometry, with numbers: Numbers) {
        #expect(
            reference.inputGradient(from: numbers.outputGradient, weights: numbers.weights, geometry: geometry)
                == definition.inputGradient(
                    from: numbers.outputGradient, weights: numbers.weights, geometry: geometry),
            "\(geometry)")
        #expect(
            reference.weightGradient(
                from: numbers.outputGradient, input: numbers.input, geometry: geometry, startingFrom: numbers.weights)
                == definition.weightGradient(
                    from: numbers.outputGradient, input: numbers.input, geometry: geometry,
                    startingFrom: numbers.weights),
            "\(geometry)")
    }
}

/// Whole numbers for everything that a layer is given: sums are exact, so any order of summation agrees.
private struct Numbers {
    let input: [Float]
    let weights: [Float]
    let bias: [Float]
    var outputGradient: [Float]

    init(_ geometry: ConvolutionGeometry, seed: UInt64) {
        var numbers = TestNumbers(seed: seed)
        input = numbers.wholeNumbers(geometry.inputCount)
        weights = numbers.wholeNumbers(geometry.weightCount)
        bias = numbers.wholeNumbers(geometry.outputChannels)
        outputGradient = numbers.wholeNumbers(geometry.outputCount)
    }
}
