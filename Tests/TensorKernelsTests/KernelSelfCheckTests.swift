import Testing

@testable import TensorKernels

@Suite struct KernelSelfCheckTests {
    @Test func everyPathOfThisMachineIsRight() {
        let checks = KernelSelfCheck.all(threads: 2)
        #expect(checks.map(\.path) == AvailableKernels.instructionSets + ["OpenBLAS"])
        for check in checks {
            #expect(check.isRight, "\(check)")
            #expect((check.scoring == nil) == (check.path == "OpenBLAS"))
        }
    }

    /// The instruction sets exist one on top of the other, and the last one runs.
    @Test func theBestInstructionSetIsTheLastOne() {
        #expect(AvailableKernels.instructionSets.first == "baseline")
        #expect(AvailableKernels.instructionSets.last == WinogradConvolution(threads: 1).instructionSet)
    }

    @Test(arguments: [WrongEngine.Fault.forward, .inputGradient, .weightGradient], [Float.nan, 0.01])
    func aWrongEngineIsFound(fault: WrongEngine.Fault, error: Float) {
        let check = KernelSelfCheck(
            path: "wrong", engine: WrongEngine(fault: fault, error: error), layers: Self.layers, scoring: nil)
        #expect(!check.isRight)
        let wrong = [check.forward, check.inputGradient, check.weightGradient].map { !($0 <= KernelSelfCheck.limit) }
        #expect(wrong == [fault == .forward, fault == .inputGradient, fault == .weightGradient])
    }

    @Test func wrongScoringStagesAreFound() {
        for (scoring, isRight) in [(Double.infinity, false), (.nan, false), (2e-5, false), (1e-7, true), (nil, true)] {
            let check = KernelSelfCheck(
                path: "", engine: DirectConvolution(), layers: Self.layers, scoring: scoring)
            #expect(check.isRight == isRight && check.forward == 0)
        }
    }

    private static let layers = [
        CheckedLayer(
            ConvolutionGeometry(inputChannels: 5, inputHeight: 9, inputWidth: 8, outputChannels: 7, kernelSide: 3),
            seed: 1)
    ]
}

/// The definition, but for the last number of one of its results.
struct WrongEngine: ConvolutionEngine {
    enum Fault { case forward, inputGradient, weightGradient }

    let fault: Fault
    let error: Float

    func forward(
        _ input: Span<Float>, weights: Span<Float>, bias: Span<Float>, activation: Activation,
        geometry: ConvolutionGeometry, into output: inout MutableSpan<Float>
    ) {
        DirectConvolution().forward(
            input, weights: weights, bias: bias, activation: activation, geometry: geometry, into: &output)
        if fault == .forward { output[output.count - 1] += error }
    }

    func inputGradient(
        from outputGradient: Span<Float>, weights: Span<Float>, geometry: ConvolutionGeometry,
        into inputGradient: inout MutableSpan<Float>
    ) {
        DirectConvolution().inputGradient(
            from: outputGradient, weights: weights, geometry: geometry, into: &inputGradient)
        if fault == .inputGradient { inputGradient[inputGradient.count - 1] += error }
    }

    func weightGradient(
        from outputGradient: Span<Float>, input: Span<Float>, geometry: ConvolutionGeometry,
        accumulatingInto weightGradient: inout MutableSpan<Float>
    ) {
        DirectConvolution().weightGradient(
            from: outputGradient, input: input, geometry: geometry, accumulatingInto: &weightGradient)
        if fault == .weightGradient { weightGradient[weightGradient.count - 1] += error }
    }
}
