import TensorKernels

@testable import ConvNets

/// Narrow networks of the full architecture, with numbers that `make_efficientad_training.py` repeats bit by bit.
struct LinearCongruential: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    /// Knuth's MMIX linear congruential generator; `uniform()` takes the upper 24 bits.
    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state
    }

    mutating func tensor(_ shape: [Int], in range: ClosedRange<Float>) -> Tensor {
        Tensor(shape: shape, values: (0..<shape.reduce(1, *)).map { _ in uniform(in: range) })
    }
}

extension PatchDescriptionNetwork {
    /// Widths 5, 6, 7 and, for PDN-M, 8 and 9; then `outputChannels`.
    static func narrow(
        outputChannels: Int, size: Size = .small, padded: Bool = false,
        using generator: inout some RandomNumberGenerator
    ) throws -> PatchDescriptionNetwork {
        let kernelSides = size == .small ? [4, 4, 3, 4] : [4, 4, 1, 3, 4, 1]
        let widths = [3] + (5..<4 + kernelSides.count) + [outputChannels]
        let architecture = Architecture(
            layers: kernelSides.enumerated().map { position, side in
                .init(
                    name: "conv\(position + 1)", outputChannels: widths[position + 1], inputChannels: widths[position],
                    kernelSide: side)
            })
        return try PatchDescriptionNetwork(
            parameters: architecture.defaultParameters(using: &generator), size: size, padded: padded)
    }
}

extension Autoencoder {
    /// For images of 128×128 pixels: the code's kernel has side 4.
    static func narrow(
        outputChannels: Int, design: Design = .plain, using generator: inout some RandomNumberGenerator
    ) throws -> Autoencoder {
        let widths = [3, 4, 4, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 6, outputChannels]
        let names = (1...6).map { "encoder.enconv\($0)" } + (1...8).map { "decoder.deconv\($0)" }
        let architecture = Architecture(
            layers: names.enumerated().map { position, name in
                .init(
                    name: name, outputChannels: widths[position + 1], inputChannels: widths[position],
                    kernelSide: position < 12 ? 4 : 3)
            })
        return try Autoencoder(parameters: architecture.defaultParameters(using: &generator), design: design)
    }
}

extension ContextExtractor {
    /// Six channels in two heads at the attention.
    static func narrow(
        outputChannels: Int, using generator: inout some RandomNumberGenerator
    ) throws -> ContextExtractor {
        let architecture = architecture(widths: [3, 4, 6, 5, 5, 7, outputChannels], heads: 2)
        return try ContextExtractor(parameters: architecture.defaultParameters(using: &generator), heads: 2)
    }
}

extension ParameterSet {
    /// Every weight 1/(inputs of an output), every bias 0: a network of means.
    static func means(_ shapes: [(name: String, shape: [Int])]) -> ParameterSet {
        ParameterSet(
            shapes.map { name, shape in
                let fanIn = shape.count == 4 ? shape[1] * shape[2] * shape[3] : 0
                return (name, Tensor(shape: shape, repeating: fanIn > 0 ? 1 / Float(fanIn) : 0))
            })
    }
}
