import TensorKernels

extension ConvolutionEngine {
    func forward(
        _ input: [Float], weights: [Float], bias: [Float], activation: Activation, geometry: ConvolutionGeometry
    ) -> [Float] {
        // Overwritten wholly, or the comparison fails.
        var output = [Float](repeating: .nan, count: geometry.outputCount)
        var span = output.mutableSpan
        forward(
            input.span, weights: weights.span, bias: bias.span, activation: activation, geometry: geometry, into: &span)
        return output
    }

    func inputGradient(from outputGradient: [Float], weights: [Float], geometry: ConvolutionGeometry) -> [Float] {
        var gradient = [Float](repeating: .nan, count: geometry.inputCount)
        var span = gradient.mutableSpan
        inputGradient(from: outputGradient.span, weights: weights.span, geometry: geometry, into: &span)
        return gradient
    }

    func weightGradient(
        from outputGradient: [Float], input: [Float], geometry: ConvolutionGeometry, startingFrom start: [Float]
    ) -> [Float] {
        var gradient = start
        var span = gradient.mutableSpan
        weightGradient(from: outputGradient.span, input: input.span, geometry: geometry, accumulatingInto: &span)
        return gradient
    }
}

/// Reproducible test numbers.
struct TestNumbers: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    /// Knuth's MMIX linear congruential generator, the weak lower bits mixed with the upper ones.
    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state ^ (state >> 33)
    }

    /// Whole numbers in -4...4, whose products and sums `Float` holds exactly, so that any order of summation agrees.
    mutating func wholeNumbers(_ count: Int) -> [Float] {
        (0..<count).map { _ in Float(Int(next() >> 40) % 9 - 4) }
    }

    /// Numbers in -1..<1 with all 24 bits.
    mutating func fractions(_ count: Int) -> [Float] {
        (0..<count).map { _ in Float(next() >> 40) * 0x1p-23 - 1 }
    }
}

/// The root of the mean squared difference over that of the mean square.
func relativeError(of values: [Float], to expected: [Float]) -> Double {
    var difference = 0.0
    var square = 0.0
    for (value, expected) in zip(values, expected) {
        difference += Double(value - expected) * Double(value - expected)
        square += Double(expected) * Double(expected)
    }
    return values.count == expected.count ? (difference / square).squareRoot() : .infinity
}
