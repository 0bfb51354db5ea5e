import TensorKernels
import Testing

@testable import ConvNets

@Suite struct TeacherWideningTests {
    /// The shift is 32, where neighbouring floats are 4e-6 apart.
    @Test(arguments: [false, true]) func theWideNetworkComputesTheSame(padded: Bool) throws {
        var generator = LinearCongruential(seed: 61)
        let parameters = PatchDescriptionNetwork.orthogonalParameters(outputChannels: 384, using: &generator)
        let small = try PatchDescriptionNetwork(parameters: parameters, padded: padded)
        let medium = try PatchDescriptionNetwork(
            parameters: TeacherWidening(of: small).parameters, size: .medium, padded: padded)
        #expect(medium.parameters.valueCount == 8_026_624)
        for engine in [WinogradConvolution(threads: 2), ReferenceConvolution(threads: 2)] as [any ConvolutionEngine] {
            for range in [-2...2, 2.6...2.7, -2.2 ... -2.1] as [ClosedRange<Float>] {
                let image = generator.tensor([3, 96, 80], in: range)
                let (expected, found) = (small.forward(image, on: engine), medium.forward(image, on: engine))
                #expect(found.shape == expected.shape)
                let largest = expected.values.map(abs).max() ?? 0
                #expect(largest > 0.5 && largest < TeacherWidening.shift / 2)
                let error = zip(found.values, expected.values).map { abs($0 - $1) }.max() ?? .infinity
                // The engine's own error is 1e-5 of the largest value.
                #expect(error < 1e-5 + 3e-5 * largest, "\(error) of \(largest)")
            }
        }
    }

    @Test func theParametersAreThoseOfThePublishedArchitecture() throws {
        var generator = LinearCongruential(seed: 62)
        let small = try PatchDescriptionNetwork(
            parameters: PatchDescriptionNetwork.defaultParameters(outputChannels: 384, using: &generator))
        let wide = TeacherWidening(of: small).parameters
        let shapes = PatchDescriptionNetwork.parameterShapes(outputChannels: 384, size: .medium)
        #expect(wide.names == shapes.map(\.name))
        for (position, shape) in shapes.enumerated() { #expect(wide[position].shape == shape.shape) }
    }
}
