import Testing

@testable import TensorKernels

/// The stages of inference programs against the definition, on every instruction set that this CPU has.
@Suite struct InferenceStageTests {
    private static let instructionSets = InstructionSet.allCases.filter { $0 <= .best }
    private static let tolerance = 1e-5

    /// Less than a tile, one tile, one more, and several pieces; channels below, at and above a vector and a panel.
    private static let geometries: [ConvolutionGeometry] = {
        let channels = [(1, 1), (3, 16), (16, 5), (17, 33), (32, 20), (40, 70), (3, 40)]
        let sizes = [(1, 3), (4, 9), (5, 6), (8, 8), (9, 7), (13, 8), (11, 23), (31, 27)]
        var geometries: [ConvolutionGeometry] = []
        for (number, (height, width)) in sizes.enumerated() {
            for side in 3...4 {
                for padding in 0...2 where min(height, width) + 2 * padding >= side {
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

    private enum Order: CaseIterable { case tilewise, pointwise }

    @Test(arguments: instructionSets)
    func aWinogradStageMatchesTheDefinition(set: InstructionSet) throws {
        for (number, geometry) in Self.geometries.enumerated() {
            let numbers = StageNumbers(geometry, seed: UInt64(number))
            for activation in [Activation.identity, .rectifier] {
                let expected = numbers.convolved(activation)
                for order in Order.allCases {
                    for readsPlanes in geometry.inputChannels <= 16 ? [false, true] : [false] {
                        let output = run(
                            numbers, activation, order: order, readsPlanes: readsPlanes, isPooled: false, on: set)
                        #expect(
                            relativeError(of: output, to: expected) < Self.tolerance,
                            "\(geometry), \(activation), \(order), planes \(readsPlanes)")
                    }
                }
            }
        }
    }

    @Test(arguments: instructionSets)
    func aPooledWinogradStageMatchesTheDefinition(set: InstructionSet) throws {
        for (number, geometry) in Self.geometries.enumerated()
        where min(geometry.outputHeight, geometry.outputWidth) >= 2 {
            let numbers = StageNumbers(geometry, seed: UInt64(number))
            let pooling = AveragePooling(
                channels: geometry.outputChannels, inputHeight: geometry.outputHeight,
                inputWidth: geometry.outputWidth)
            let shape = [geometry.outputChannels, geometry.outputHeight, geometry.outputWidth]
            let expected = pooling.forward(Tensor(shape: shape, values: numbers.convolved(.rectifier))).values
            for order in Order.allCases {
                let output = run(numbers, .rectifier, order: order, readsPlanes: false, isPooled: true, on: set)
                #expect(relativeError(of: output, to: expected) < Self.tolerance, "\(geometry), \(order)")
            }
        }
    }

    /// Lattices of unequal size, of less than a tile, and of several.
    @Test(arguments: instructionSets)
    func aDilatedWinogradStageMatchesTheDefinition(set: InstructionSet) {
        for (number, (height, width, side, dilation, padding)) in [
            (7, 6, 3, 2, 0), (6, 9, 3, 2, 1), (11, 13, 4, 2, 0), (17, 26, 3, 2, 2), (31, 30, 4, 2, 3),
            (23, 19, 3, 3, 0), (61, 61, 3, 2, 0),
        ].enumerated() {
            let (inputs, outputs) = [(1, 1), (17, 33), (16, 5), (40, 20)][number % 4]
            let geometry = ConvolutionGeometry(
                inputChannels: inputs, inputHeight: height, inputWidth: width, outputChannels: outputs,
                kernelSide: side, padding: padding, dilation: dilation)
            let numbers = StageNumbers(geometry, seed: UInt64(number))
            let output = run(numbers, .identity, order: .pointwise, readsPlanes: false, isPooled: false, on: set)
            #expect(relativeError(of: output, to: numbers.convolved(.identity)) < Self.tolerance, "\(geometry)")
        }
    }

    /// The means of an image that is not stored; either order gives the same bits.
    @Test(arguments: instructionSets)
    func theMeansOfTilesAreThoseOfTheConvolution(set: InstructionSet) {
        for (number, geometry) in Self.geometries.enumerated() {
            let numbers = StageNumbers(geometry, seed: UInt64(number))
            let image = numbers.convolved(.rectifier)
            let expected = (0..<geometry.outputChannels).map { channel -> Double in
                let plane = image[channel * geometry.positionCount..<(channel + 1) * geometry.positionCount]
                return plane.reduce(0) { $0 + Double($1) } / Double(plane.count)
            }
            let results = Order.allCases.map { means(numbers, order: $0, on: set) }
            #expect(results[0] == results[1], "\(geometry)")
            // Of what the rectifier sees: it may leave nothing.
            let sums = numbers.convolved(.identity)
            let scale = (sums.reduce(0) { $0 + Double($1) * Double($1) } / Double(sums.count)).squareRoot()
            #expect(
                zip(results[0], expected).allSatisfy { abs($0 - $1) < Self.tolerance * scale }, "\(geometry)")
        }
    }

    private func means(_ numbers: StageNumbers, order: Order, on set: InstructionSet) -> [Double] {
        let geometry = numbers.geometry
        var plan = MemoryPlan()
        let source = PanelImage(
            channels: geometry.inputChannels, height: geometry.inputHeight, width: geometry.inputWidth,
            margin: geometry.padding,
            extent: WinogradStage.extent(
                height: geometry.outputHeight, width: geometry.outputWidth, kernelSide: geometry.kernelSide), in: &plan)
        let sums = TileSums(
            channels: geometry.outputChannels, height: geometry.outputHeight, width: geometry.outputWidth,
            kernelSide: geometry.kernelSide, in: &plan)
        let means = PooledValues(count: geometry.outputChannels, in: &plan)
        let stage = WinogradStage(
            [.init(.panels(source), padding: geometry.padding)],
            targets: [
                .init(
                    [(0, WinogradKernels(numbers.weights, threads: 2, instructionSet: set))], bias: numbers.bias,
                    to: .tileSums(sums, .rectifier))
            ], height: geometry.outputHeight, width: geometry.outputWidth, instructionSet: set)
        let phases = self.phases(of: stage, order: order, in: &plan) + [sums.means(to: means)]
        return InferenceProgram(phases.map { ("", $0) }, plan: plan, threads: 2).run { memory in
            write(numbers.input, to: source, in: memory)
        } collect: { memory in
            means.values(in: memory)
        }
    }

    private func phases(of stage: WinogradStage, order: Order, in plan: inout MemoryPlan) -> [any WorkPhase] {
        switch order {
        case .tilewise: [stage.tilewise()]
        case .pointwise: stage.pointwise(in: &plan).all
        }
    }

    /// `mean_c (scale · (W₁ ∗ x₁ − W₂ ∗ x₂) + bias)²`, the second kernel of side 3 in one of side 4, as the global map.
    @Test(arguments: instructionSets)
    func aMapOfTwoInputsMatchesTheDefinition(set: InstructionSet) throws {
        for (inputs, others, outputs) in [(5, 3, 7), (32, 40, 33), (20, 17, 150)] {
            let (height, width) = (13, 17)
            let first = StageNumbers(
                ConvolutionGeometry(
                    inputChannels: inputs, inputHeight: height + 3, inputWidth: width + 3, outputChannels: outputs,
                    kernelSide: 4), seed: 1)
            let second = StageNumbers(
                ConvolutionGeometry(
                    inputChannels: others, inputHeight: height, inputWidth: width, outputChannels: outputs,
                    kernelSide: 3, padding: 1), seed: 2)
            let scale = (0..<outputs).map { 0.5 + Float($0 % 3) }
            var plan = MemoryPlan()
            let map = PlaneImage(channels: 1, height: height, width: width, in: &plan)
            let extent = WinogradStage.extent(height: height, width: width, kernelSide: 4)
            let sources = [
                PanelImage(
                    channels: inputs, height: height + 3, width: width + 3, extent: extent, in: &plan),
                PanelImage(channels: others, height: height, width: width, margin: 1, extent: extent, in: &plan),
            ]
            let target = WinogradStage.Target(
                [
                    (0, WinogradKernels(first.weights, threads: 2, instructionSet: set)),
                    (
                        1,
                        WinogradKernels(
                            second.weights, embeddingSide: 4, scale: Array(repeating: -1, count: outputs), threads: 2,
                            instructionSet: set)
                    ),
                ], bias: first.bias, to: .meanSquares(map, scale: scale))
            let stage = WinogradStage(
                [.init(.panels(sources[0])), .init(.panels(sources[1]), padding: 1)], targets: [target],
                height: height, width: width, instructionSet: set)
            let maps = stage.mapwise(in: &plan, threads: 2)
            let phases = [maps.transform, maps.squares, maps.means]
            let program = InferenceProgram(phases.map { ("", $0) }, plan: plan, threads: 2)
            let output = program.run { memory in
                write(first.input, to: sources[0], in: memory)
                write(second.input, to: sources[1], in: memory)
            } collect: { memory in
                Array(UnsafeBufferPointer(start: memory + map.offset, count: map.count))
            }

            let zero = [Float](repeating: 0, count: outputs)
            let (a, b) = (first.convolved(.identity, bias: zero), second.convolved(.identity, bias: zero))
            let plane = height * width
            let expected = (0..<plane).map { position -> Float in
                var sum = 0.0
                for o in 0..<outputs {
                    let value =
                        Double(scale[o]) * Double(a[o * plane + position] - b[o * plane + position])
                        + Double(first.bias[o])
                    sum += value * value
                }
                return Float(sum / Double(outputs))
            }
            #expect(relativeError(of: output, to: expected) < Self.tolerance)
        }
    }

    @Test(arguments: instructionSets)
    func aPatchStageMatchesTheDefinition(set: InstructionSet) throws {
        for (number, (channels, outputs, side, stride, padding, length)) in [
            (3, 32, 4, 2, 1, 17), (32, 20, 4, 2, 1, 12), (40, 33, 3, 1, 1, 7), (5, 64, 8, 1, 0, 8), (3, 4, 5, 3, 2, 9),
            (64, 32, 1, 1, 0, 5),
        ].enumerated() {
            let geometry = ConvolutionGeometry(
                inputChannels: channels, inputHeight: length, inputWidth: length + 3, outputChannels: outputs,
                kernelSide: side, stride: stride, padding: padding)
            let numbers = StageNumbers(geometry, seed: UInt64(number))
            for readsPlanes in [false, true] {
                var plan = MemoryPlan()
                let planes = PlaneImage(
                    channels: channels, height: length, width: length + 3, in: &plan)
                let panels = PanelImage(channels: channels, height: length, width: length + 3, in: &plan)
                let result = PanelImage(
                    channels: outputs, height: geometry.outputHeight, width: geometry.outputWidth, in: &plan)
                let stage = PatchStage(
                    readsPlanes ? .planes(planes) : .panels(panels), weights: numbers.weights, bias: numbers.bias,
                    geometry: geometry, activation: .rectifier, to: result, instructionSet: set)
                let output = InferenceProgram([("", stage)], plan: plan, threads: 2).run { memory in
                    write(numbers.input, to: planes, in: memory)
                    write(numbers.input, to: panels, in: memory)
                } collect: { memory in
                    read(result, in: memory)
                }
                #expect(
                    relativeError(of: output, to: numbers.convolved(.rectifier)) < Self.tolerance,
                    "\(geometry), planes \(readsPlanes)")
            }
        }
    }

    @Test(arguments: instructionSets)
    func aPixelStageMatchesTheDefinition(set: InstructionSet) throws {
        for (inputs, others, outputs) in [(5, 3, 7), (64, 40, 33)] {
            let geometries = [inputs, others].map {
                ConvolutionGeometry(
                    inputChannels: $0, inputHeight: 4, inputWidth: 19, outputChannels: outputs, kernelSide: 1)
            }
            let numbers = geometries.enumerated().map { StageNumbers($1, seed: UInt64($0)) }
            let scale = (0..<outputs).map { 0.5 + Float($0 % 3) }
            var plan = MemoryPlan()
            let sources = geometries.map {
                PanelImage(channels: $0.inputChannels, height: 4, width: 19, margin: 1, in: &plan)
            }
            let addend = PanelImage(channels: outputs, height: 4, width: 19, in: &plan)
            let image = PanelImage(channels: outputs, height: 4, width: 19, in: &plan)
            let map = PlaneImage(channels: 1, height: 4, width: 19, in: &plan)
            let terms = zip(sources, numbers).map { (PixelStage.Source.panels($0), PixelKernels($1.weights)) }
            let stages = [
                PixelStage([terms[0]], bias: numbers[0].bias, to: .image(image, .rectifier), instructionSet: set),
                PixelStage(
                    terms, bias: numbers[0].bias, to: .meanSquares(map, scale: scale, addend: addend),
                    instructionSet: set),
            ]
            let program = InferenceProgram(stages.map { ("", $0) }, plan: plan, threads: 2)
            var generator = TestNumbers(seed: 7)
            let added = generator.fractions(outputs * 4 * 19)
            let (output, mapped) = program.run { memory in
                for (source, numbers) in zip(sources, numbers) { write(numbers.input, to: source, in: memory) }
                write(added, to: addend, in: memory)
            } collect: { memory in
                (read(image, in: memory), Array(UnsafeBufferPointer(start: memory + map.offset, count: map.count)))
            }
            #expect(relativeError(of: output, to: numbers[0].convolved(.rectifier)) < Self.tolerance)

            let zero = [Float](repeating: 0, count: outputs)
            let (a, b) = (numbers[0].convolved(.identity, bias: zero), numbers[1].convolved(.identity, bias: zero))
            let expected = (0..<4 * 19).map { position -> Float in
                let squares = (0..<outputs).map { o -> Double in
                    let index = o * 4 * 19 + position
                    let sum = Double(scale[o]) * (Double(a[index]) + Double(b[index]))
                    let value = sum + Double(numbers[0].bias[o]) + Double(added[index])
                    return value * value
                }
                return Float(squares.reduce(0, +) / Double(outputs))
            }
            #expect(relativeError(of: mapped, to: expected) < Self.tolerance)
        }
    }

    /// A mean a thousand times the deviation, and a channel that is the same everywhere, lose nothing; margins stay zero.
    @Test(arguments: instructionSets)
    func aNormalisedImageMatchesTheDefinition(set: InstructionSet) {
        for (channels, height, width) in [(1, 1, 3), (19, 9, 7), (40, 16, 33)] {
            var generator = TestNumbers(seed: 4)
            var input = generator.fractions(channels * height * width)
            let plane = height * width
            for position in 0..<plane {
                input[position] += 1000
                if channels > 2 { input[2 * plane + position] = -3 }
            }
            var plan = MemoryPlan()
            let image = PanelImage(
                channels: channels, height: height, width: width, margin: 1, extent: (height + 2, width + 2), in: &plan)
            let stage = NormalisationStage(image, instructionSet: set)
            let program = InferenceProgram([("", stage)], plan: plan, threads: 2)
            let (output, sum) = program.run { memory in
                write(input, to: image, in: memory)
            } collect: { memory in
                let all = UnsafeBufferPointer(start: memory + image.offset, count: image.panels * image.panelStep)
                return (read(image, in: memory), all.reduce(0) { $0 + Double($1) })
            }
            let expected = InstanceNormalisation(channels: channels, height: height, width: width).forward(
                Tensor(shape: [channels, height, width], values: input)
            ).values.map { max(0, $0) }
            #expect(zip(output, expected).allSatisfy { abs($0 - $1) < 1e-6 * max(1, $1) }, "\(channels) channels")
            // Nothing but the image is different from zero.
            #expect(abs(sum - output.reduce(0) { $0 + Double($1) }) < 1e-9 * max(1, sum))
        }
    }

    @Test(arguments: instructionSets)
    func anEnlargementMatchesTheResampling(set: InstructionSet) throws {
        for (channels, from, to) in [(3, (1, 1), (3, 3)), (33, (4, 5), (8, 11)), (64, (9, 7), (15, 15))] {
            let input = Tensor(
                shape: [channels, from.0, from.1],
                values: (0..<channels * from.0 * from.1).map { Float(($0 * 7919) % 101) / 50 - 1 })
            var plan = MemoryPlan()
            let source = PanelImage(channels: channels, height: from.0, width: from.1, in: &plan)
            let target = PanelImage(channels: channels, height: to.0, width: to.1, margin: 2, in: &plan)
            let stage = EnlargementStage(source, to: target, instructionSet: set)
            let output = InferenceProgram([("", stage)], plan: plan, threads: 2).run { memory in
                write(input.values, to: source, in: memory)
            } collect: { memory in
                read(target, in: memory)
            }
            let expected = BilinearResampling(
                channels: channels, inputHeight: from.0, inputWidth: from.1, outputHeight: to.0, outputWidth: to.1
            ).forward(input).values
            #expect(relativeError(of: output, to: expected) < 1e-6)
        }
    }

    /// The mean commutes with the convolution.
    @Test(arguments: instructionSets)
    func pooledValuesAreTheMeansOfTheConvolution(set: InstructionSet) throws {
        for (channels, outputs, side) in [(5, 3, 4), (40, 33, 3)] {
            let geometry = ConvolutionGeometry(
                inputChannels: channels, inputHeight: 11, inputWidth: 14, outputChannels: outputs, kernelSide: side)
            let numbers = StageNumbers(geometry, seed: 3)
            var plan = MemoryPlan()
            let source = PanelImage(channels: channels, height: 11, width: 14, in: &plan)
            let pooled = PooledValues(count: outputs, in: &plan)
            let stage = PooledConvolutionStage(
                source, weights: numbers.weights, bias: numbers.bias, to: pooled, in: &plan, instructionSet: set)
            let (windows, results) = stage.phases()
            let output = InferenceProgram([("", windows), ("", results)], plan: plan, threads: 2).run { memory in
                write(numbers.input, to: source, in: memory)
            } collect: { memory in
                pooled.values(in: memory)
            }
            let all = numbers.convolved(.identity)
            for o in 0..<outputs {
                let plane = all[o * geometry.positionCount..<(o + 1) * geometry.positionCount]
                let mean = plane.reduce(0) { $0 + Double($1) } / Double(plane.count)
                #expect(abs(output[o] - mean) < 1e-6)
            }
        }
    }

    @Test func everyNumberOfThreadsAndEitherOrderGiveTheSameBits() {
        let geometry = ConvolutionGeometry(
            inputChannels: 40, inputHeight: 71, inputWidth: 64, outputChannels: 70, kernelSide: 4)
        let numbers = StageNumbers(geometry, seed: 9)
        let one = run(
            numbers, .rectifier, order: .tilewise, readsPlanes: false, isPooled: true, on: .best, threads: 1)
        for order in Order.allCases {
            for threads in 1...4 {
                let several = run(
                    numbers, .rectifier, order: order, readsPlanes: false, isPooled: true, on: .best, threads: threads)
                #expect(one == several, "\(order), \(threads) threads")
            }
        }
    }

    // MARK: -

    private func run(
        _ numbers: StageNumbers, _ activation: Activation, order: Order, readsPlanes: Bool, isPooled: Bool,
        on set: InstructionSet, threads: Int = 2
    ) -> [Float] {
        let geometry = numbers.geometry
        var plan = MemoryPlan()
        let planes = PlaneImage(
            channels: geometry.inputChannels, height: geometry.inputHeight, width: geometry.inputWidth, in: &plan)
        let panels = PanelImage(
            channels: geometry.inputChannels, height: geometry.inputHeight, width: geometry.inputWidth,
            margin: geometry.padding,
            extent: WinogradStage.extent(
                height: geometry.outputHeight, width: geometry.outputWidth, kernelSide: geometry.kernelSide,
                dilation: geometry.dilation), in: &plan)
        let result = PanelImage(
            channels: geometry.outputChannels, height: geometry.outputHeight / (isPooled ? 2 : 1),
            width: geometry.outputWidth / (isPooled ? 2 : 1), margin: 1, in: &plan)
        let stage = WinogradStage(
            [.init(readsPlanes ? .planes(planes) : .panels(panels), padding: geometry.padding)],
            targets: [
                .init(
                    [(0, WinogradKernels(numbers.weights, threads: 2, instructionSet: set))], bias: numbers.bias,
                    to: .image(result, activation, isPooled: isPooled))
            ], height: geometry.outputHeight, width: geometry.outputWidth, dilation: geometry.dilation,
            instructionSet: set)
        let phases = self.phases(of: stage, order: order, in: &plan)
        let program = InferenceProgram(phases.map { ("", $0) }, plan: plan, threads: threads)
        return program.run { memory in
            write(numbers.input, to: planes, in: memory)
            write(numbers.input, to: panels, in: memory)
        } collect: { memory in
            read(result, in: memory)
        }
    }
}
