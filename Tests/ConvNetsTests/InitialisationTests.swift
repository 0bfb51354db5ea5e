import TensorKernels
import Testing

@testable import ConvNets

@Suite struct InitialisationTests {
    @Test func defaultWeightsFillPlusMinusOneOverTheRootOfTheInputs() {
        var stream = RandomStream(seed: 2, stream: .initialisation)
        let parameters = PatchDescriptionNetwork.defaultParameters(outputChannels: 384, using: &stream)
        for (position, inputs) in [(0, 48), (2, 2048), (4, 2304), (6, 4096)] {
            let bound = 1 / Float(inputs).squareRoot()
            for tensor in [parameters[position], parameters[position + 1]] {
                let largest = tensor.values.map(abs).max() ?? 0
                // Of 128 or more draws the largest is below 0.9 with probability 1e-6.
                #expect((0.9 * bound...bound).contains(largest))
            }
        }
    }

    @Test func theMediumNetworkStartsLikeTheSmallOne() {
        var stream = RandomStream(seed: 2, stream: .initialisation)
        let parameters = PatchDescriptionNetwork.defaultParameters(
            outputChannels: 768, size: .medium, using: &stream)
        for (position, inputs) in [(0, 48), (2, 4096), (4, 512), (6, 4608), (8, 8192), (10, 768)] {
            let bound = 1 / Float(inputs).squareRoot()
            for tensor in [parameters[position], parameters[position + 1]] {
                let largest = tensor.values.map(abs).max() ?? 0
                #expect((0.9 * bound...bound).contains(largest))
            }
        }
    }

    @Test func sameSeedGivesTheSameParameters() {
        func parameters(seed: UInt64) -> ParameterSet {
            var stream = RandomStream(seed: seed, stream: .initialisation)
            return Autoencoder.defaultParameters(outputChannels: 384, using: &stream)
        }
        #expect(parameters(seed: 1) == parameters(seed: 1))
        #expect(parameters(seed: 1) != parameters(seed: 2))
    }

    @Test func orthogonalTeacherHasOrthogonalRowsOrColumns() {
        var stream = RandomStream(seed: 3, stream: .initialisation)
        let parameters = PatchDescriptionNetwork.orthogonalParameters(outputChannels: 384, using: &stream)
        for (position, power) in [(0, 2.0), (2, 2), (4, 2), (6, 1)] {
            let weight = parameters[position]
            let rows = weight.shape[0]
            let columns = weight.count / rows
            // Rows of a wide matrix, columns of a tall one.
            func vector(_ number: Int) -> [Float] {
                rows <= columns
                    ? Array(weight.values[number * columns..<(number + 1) * columns])
                    : stride(from: number, to: weight.count, by: columns).map { weight.values[$0] }
            }
            for (first, second) in [(0, 0), (7, 7), (0, 1), (3, 40), (46, 47)] {
                let product = zip(vector(first), vector(second)).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
                #expect(abs(product - (first == second ? power : 0)) < 1e-5)
            }
            #expect(parameters[position + 1].values.allSatisfy { $0 == 0 })
        }
    }
}
