import Testing

@testable import TensorKernels

@Suite struct WinogradConvolutionTests {
    private let definition = DirectConvolution()

    /// Every instruction set that this CPU has; the others are tested under an emulated CPU.
    private static let engines = InstructionSet.allCases.filter { $0 <= .best }.map {
        WinogradConvolution(threads: 2, instructionSet: $0, acceptsEverySize: true)
    }

    /// Both kernels with padding 0…4 on images of less than one tile, exactly one, and one more; channels below, at and
    /// above the width of a vector and of a panel.
    private static let geometries: [ConvolutionGeometry] = {
        let channels = [(1, 1), (3, 16), (16, 5), (17, 33), (32, 20), (40, 64)]
        let sizes = [(1, 3), (2, 2), (4, 9), (5, 6), (8, 8), (9, 7), (13, 8), (11, 23)]
        var geometries: [ConvolutionGeometry] = []
        for (number, (height, width)) in sizes.enumerated() {
            for side in 3...4 {
                for padding in 0...4 where min(height, width) + 2 * padding >= side {
                    let (inputs, outputs) = channels[(number + side + padding) % channels.count]
                    geometries.append(
                        ConvolutionGeometry(
                            inputChannels: inputs, inputHeight: height, inputWidth: width, outputChannels: outputs,
                            kernelSide: side, padding: padding))
                }
            }
        }
        return geometries
    }()

    /// So wide that each row of tiles is a group of its own.
    private static let largeGeometry = ConvolutionGeometry(
        inputChannels: 130, inputHeight: 14, inputWidth: 620, outputChannels: 35, kernelSide: 4, padding: 1)

    @Test func forwardMatchesTheDefinition() {
        for (number, geometry) in Self.geometries.enumerated() {
            let numbers = Numbers(geometry, seed: UInt64(number))
            for activation in [Activation.identity, .rectifier] {
                let expected = definition.forward(
                    numbers.input, weights: numbers.weights, bias: numbers.bias, activation: activation,
                    geometry: geometry)
                for engine in Self.engines {
                    let output = engine.forward(
                        numbers.input, weights: numbers.weights, bias: numbers.bias, activation: activation,
                        geometry: geometry)
                    #expect(
                        relativeError(of: output, to: expected) < 1e-5,
                        "\(geometry), \(activation), \(engine.instructionSet)")
                }
            }
        }
    }

    @Test func inputGradientMatchesTheDefinition() {
        for (number, geometry) in Self.geometries.enumerated() {
            let numbers = Numbers(geometry, seed: UInt64(number))
            let expected = definition.inputGradient(
                from: numbers.outputGradient, weights: numbers.weights, geometry: geometry)
            for engine in Self.engines {
                let gradient = engine.inputGradient(
                    from: numbers.outputGradient, weights: numbers.weights, geometry: geometry)
                #expect(relativeError(of: gradient, to: expected) < 1e-5, "\(geometry), \(engine.instructionSet)")
            }
        }
    }

    @Test func weightGradientIsAddedAndMatchesTheDefinition() {
        for (number, geometry) in Self.geometries.enumerated() {
            let numbers = Numbers(geometry, seed: UInt64(number))
            let expected = definition.weightGradient(
                from: numbers.outputGradient, input: numbers.input, geometry: geometry, startingFrom: numbers.weights)
            for engine in Self.engines {
                let gradient = engine.weightGradient(
                    from: numbers.outputGradient, input: numbers.input, geometry: geometry,
                    startingFrom: numbers.weights)
                #expect(relativeError(of: gradient, to: expected) < 1e-5, "\(geometry), \(engine.instructionSet)")
            }
        }
    }

    /// Held against the reference, since the definition would take minutes.
    @Test func groupsOfTilesJoinWithoutASeam() {
        let geometry = Self.largeGeometry
        let numbers = Numbers(geometry, seed: 3)
        let engine = WinogradConvolution(threads: 2)
        let reference = ReferenceConvolution(threads: 2)
        #expect(
            relativeError(
                of: engine.forward(
                    numbers.input, weights: numbers.weights, bias: numbers.bias, activation: .identity,
                    geometry: geometry),
                to: reference.forward(
                    numbers.input, weights: numbers.weights, bias: numbers.bias, activation: .identity,
                    geometry: geometry)) < 1e-5)
        #expect(
            relativeError(
                of: engine.inputGradient(
                    from: numbers.outputGradient, weights: numbers.weights, geometry: geometry),
                to: reference.inputGradient(
                    from: numbers.outputGradient, weights: numbers.weights, geometry: geometry)) < 1e-5)
        #expect(
            relativeError(
                of: engine.weightGradient(
                    from: numbers.outputGradient, input: numbers.input, geometry: geometry,
                    startingFrom: numbers.weights),
                to: reference.weightGradient(
                    from: numbers.outputGradient, input: numbers.input, geometry: geometry,
                    startingFrom: numbers.weights)) < 1e-5)
    }

    /// What the engine does not transform itself must still come out: strides, other kernels, few channels, gradients
    /// that are nearly all zeros.
    @Test func everyOtherGeometryIsTheReferences() {
        let engine = WinogradConvolution(threads: 2)
        let reference = ReferenceConvolution(threads: 2)
        let geometries = [
            ConvolutionGeometry(
                inputChannels: 16, inputHeight: 21, inputWidth: 30, outputChannels: 16, kernelSide: 4, stride: 2,
                padding: 1),
            ConvolutionGeometry(inputChannels: 16, inputHeight: 8, inputWidth: 8, outputChannels: 20, kernelSide: 8),
            ConvolutionGeometry(inputChannels: 16, inputHeight: 9, inputWidth: 8, outputChannels: 20, kernelSide: 1),
            ConvolutionGeometry(inputChannels: 3, inputHeight: 40, inputWidth: 40, outputChannels: 32, kernelSide: 4),
        ]
        for geometry in geometries {
            let numbers = Numbers(geometry, seed: 1)
            let output = engine.forward(
                numbers.input, weights: numbers.weights, bias: numbers.bias, activation: .rectifier, geometry: geometry)
            let expected = reference.forward(
                numbers.input, weights: numbers.weights, bias: numbers.bias, activation: .rectifier, geometry: geometry)
            #expect(relativeError(of: output, to: expected) < 1e-6, "\(geometry)")
        }

        let geometry = ConvolutionGeometry(
            inputChannels: 20, inputHeight: 30, inputWidth: 30, outputChannels: 64, kernelSide: 3)
        let numbers = Numbers(geometry, seed: 1)
        var sparse = [Float](repeating: 0, count: geometry.outputCount)
        for index in stride(from: 5, to: sparse.count, by: 777) { sparse[index] = numbers.outputGradient[index] }
        #expect(
            engine.inputGradient(from: sparse, weights: numbers.weights, geometry: geometry)
                == reference.inputGradient(from: sparse, weights: numbers.weights, geometry: geometry))
    }

    /// Measured: 3.2e-6 with chains of 128 products, 2.1e-6 with 32, 4.3e-6 with one chain of 256.
    @Test func oneLayerOfTheTeacherIsExactToFiveDigits() {
        let geometry = ConvolutionGeometry(
            inputChannels: 256, inputHeight: 23, inputWidth: 23, outputChannels: 32, kernelSide: 4)
        var numbers = Numbers(geometry, seed: 11)
        for index in numbers.input.indices { numbers.input[index] = max(0, numbers.input[index]) }
        let output = WinogradConvolution(threads: 2).forward(
            numbers.input, weights: numbers.weights, bias: numbers.bias, activation: .identity, geometry: geometry)
        let expected = definition.forward(
            numbers.input, weights: numbers.weights, bias: numbers.bias, activation: .identity, geometry: geometry)
        #expect(relativeError(of: output, to: expected) < 3.8e-6)
    }

    @Test func repetitionsAndNumbersOfThreadsChangeNoBit() {
        let geometries = [
            Self.geometries[20], Self.largeGeometry,
            ConvolutionGeometry(
                inputChannels: 64, inputHeight: 30, inputWidth: 41, outputChannels: 48, kernelSide: 3, padding: 1),
        ]
        for geometry in geometries {
            let numbers = Numbers(geometry, seed: 7)
            func everything(on engine: WinogradConvolution) -> [[Float]] {
                [
                    engine.forward(
                        numbers.input, weights: numbers.weights, bias: numbers.bias, activation: .rectifier,
                        geometry: geometry),
                    engine.inputGradient(
                        from: numbers.outputGradient, weights: numbers.weights, geometry: geometry),
                    engine.weightGradient(
                        from: numbers.outputGradient, input: numbers.input, geometry: geometry,
                        startingFrom: numbers.weights),
                ]
            }
            let twoThreads = WinogradConvolution(threads: 2)
            let once = everything(on: twoThreads)
            // The working memory is no longer fresh the second time.
            #expect(everything(on: twoThreads) == once, "\(geometry)")
            for threads in [1, 3, 5] {
                #expect(everything(on: WinogradConvolution(threads: threads)) == once, "\(threads), \(geometry)")
            }
        }
    }

    @Test func callersAtTheSameTimeDoNotShareMemory() async {
        let geometry = ConvolutionGeometry(
            inputChannels: 32, inputHeight: 40, inputWidth: 40, outputChannels: 32, kernelSide: 3)
        let engine = WinogradConvolution(threads: 1)
        await withTaskGroup { group in
            for seed in 0..<8 {
                group.addTask {
                    let numbers = Numbers(geometry, seed: UInt64(seed))
                    func forward(on engine: some ConvolutionEngine) -> [Float] {
                        engine.forward(
                            numbers.input, weights: numbers.weights, bias: numbers.bias, activation: .identity,
                            geometry: geometry)
                    }
                    let expected = forward(on: ReferenceConvolution(threads: 1))
                    for _ in 0..<4 { #expect(relativeError(of: forward(on: engine), to: expected) < 1e-5) }
                }
            }
        }
    }

    @Test func whatIsNoNumberStaysVisible() {
        let geometry = ConvolutionGeometry(
            inputChannels: 16, inputHeight: 20, inputWidth: 20, outputChannels: 16, kernelSide: 3)
        var numbers = Numbers(geometry, seed: 1)
        numbers.input[210] = .nan
        for engine in Self.engines {
            for activation in [Activation.identity, .rectifier] {
                let output = engine.forward(
                    numbers.input, weights: numbers.weights, bias: numbers.bias, activation: activation,
                    geometry: geometry)
                #expect(output[geometry.outputWidth * 9 + 9].isNaN, "\(engine.instructionSet), \(activation)")
            }
        }
    }
}

@Suite struct WinogradTransformTests {
    /// `Σᵣ A[r, y]·G[r, i]·Bᵀ[r, x]` is 1 where x = y + i and 0 elsewhere: then the three matrices compute the
    /// correlation of every filter with any data.
    ///
    /// The numbers are whole multiples of small powers of two, but for `G`, whose denominators 2¹·3²·5 make it inexact
    /// in the last bit; times 90 all sums are exact.
    @Test func theThreeMatricesComputeTheCorrelation() {
        for side in 3...4 {
            let transform = WinogradTransform(kernelSide: side)
            for y in 0..<transform.tileSide {
                for i in 0..<side {
                    for x in 0..<WinogradTransform.pointsPerAxis {
                        let sum = (0..<WinogradTransform.pointsPerAxis).reduce(0) { sum, r in
                            sum + transform.output.rows[r][y]
                                * (90 * transform.kernel.rows[r][i]).rounded(toMultipleOf: 0x1p-6)
                                * transform.data.rows[r][x]
                        }
                        #expect(sum == (x == y + i ? 90 : 0), "k \(side), y \(y), i \(i), x \(x)")
                    }
                }
            }
        }
    }

    @Test func dataAndOutputMatricesAreExactInSinglePrecision() {
        for side in 3...4 {
            let transform = WinogradTransform(kernelSide: side)
            for matrix in [transform.data, transform.output] {
                for row in matrix.rows {
                    for value in row { #expect(Double(Float(value)) == value) }
                }
            }
        }
    }

    /// The vector kernels compute opposite points together.
    @Test func rowsOfOppositePointsDifferInTheSignOfTheirOddColumns() {
        for side in 3...4 {
            let transform = WinogradTransform(kernelSide: side)
            for matrix in [transform.data, transform.kernel, transform.output] {
                for point in [1, 3, 5] {
                    for column in 0..<matrix.columns {
                        let sign: Double = column % 2 == 0 ? 1 : -1
                        #expect(matrix.rows[point][column] == sign * matrix.rows[point + 1][column])
                    }
                }
                for column in 0..<matrix.columns {
                    if column % 2 == 1 { #expect(matrix.rows[0][column] == 0) }
                    if column % 2 != (matrix.columns - 1) % 2 { #expect(matrix.rows[7][column] == 0) }
                }
            }
        }
    }
}

extension Double {
    fileprivate func rounded(toMultipleOf unit: Double) -> Double { (self / unit).rounded() * unit }
}

/// Everything that a layer is given, with all 24 bits.
private struct Numbers {
    var input: [Float]
    var weights: [Float]
    var bias: [Float]
    var outputGradient: [Float]

    init(_ geometry: ConvolutionGeometry, seed: UInt64) {
        var numbers = TestNumbers(seed: seed)
        input = numbers.fractions(geometry.inputCount)
        weights = numbers.fractions(geometry.weightCount)
        bias = numbers.fractions(geometry.outputChannels)
        outputGradient = numbers.fractions(geometry.outputCount)
    }
}
