import TensorKernels
import Testing

@testable import ConvNets

@Suite struct HardFeatureLossTests {
    @Test func quantilesMatchTheWorkedExamples() {
        let values: [Float] = [7, 1, 3, 9, 5]
        for (quantile, expected) in [(0, 1), (0.5, 5), (0.9, 8.2), (0.995, 8.96), (0.999, 8.992), (1, 9)] {
            let value = HardFeatureLoss.quantile(quantile, ofNonNegative: values)
            #expect(abs(Double(value) - expected) < 1e-6, "quantile \(quantile) is \(value)")
        }
    }

    @Test func quantileAgreesWithSorting() {
        var generator = LinearCongruential(seed: 8)
        for count in [1, 2, 3, 100, 999] {
            // A few values apart, all in one histogram bin, all equal, and spread over many magnitudes.
            for scale in [0, 1e-6, 1, 1e6] as [Float] {
                let values = (0..<count).map { _ in 1 + scale * generator.uniform() }
                let sorted = values.sorted()
                for quantile in [0, 0.25, 0.999, 1] {
                    let rank = quantile * Double(count - 1)
                    let lower = Double(sorted[Int(rank)])
                    let upper = Double(sorted[min(Int(rank) + 1, count - 1)])
                    let expected = Float(lower + (rank - rank.rounded(.down)) * (upper - lower))
                    #expect(HardFeatureLoss.quantile(quantile, ofNonNegative: values) == expected)
                }
            }
        }
    }

    @Test func meanOfTheLargestMatchesTheWorkedExample() {
        let prediction = Tensor(shape: [10], values: (1...10).map(Float.init))
        let (value, gradient) = HardFeatureLoss(quantile: 0.75)(
            prediction: prediction, target: Tensor(shape: [10], repeating: 0))
        #expect(abs(value - 81.6666666667) < 1e-9)
        #expect(gradient.values[..<7].allSatisfy { $0 == 0 })
        for (element, expected) in zip(gradient.values[7...], [16.0 / 3, 18.0 / 3, 20.0 / 3]) {
            #expect(abs(Double(element) - expected) < 1e-6)
        }
    }

    @Test func elementsAtTheQuantileItselfAreKept() {
        let target = Tensor(shape: [5], repeating: 0)
        let loss = HardFeatureLoss(quantile: 0.5)
        // The median is 3² = 9; without it the mean would be 20.5.
        let distinct = loss(prediction: Tensor(shape: [5], values: [5, 1, 3, 2, 4]), target: target)
        #expect(distinct.value == (9 + 16 + 25) / 3.0)
        #expect(distinct.gradient.values == [10 / 3, 0, 2, 0, 8 / 3])
        let equal = loss(prediction: Tensor(shape: [5], repeating: 2), target: target)
        #expect(equal.value == 4)
        #expect(equal.gradient.values.allSatisfy { $0 == 0.8 })
    }

    @Test func oneNaNMakesTheLossNaN() {
        var prediction = Tensor(shape: [5000], repeating: 1)
        prediction.values[17] = .nan
        let (value, _) = HardFeatureLoss()(prediction: prediction, target: Tensor(shape: [5000]))
        #expect(value.isNaN)
    }

    @Test func keepsOneElementInAThousandOfAFeatureMap() {
        var stream = RandomStream(seed: 4, stream: .initialisation)
        for side in [56, 64] {
            let shape = [384, side, side]
            var prediction = Tensor(shape: shape)
            var order = Array(0..<prediction.count)
            stream.shuffle(&order)
            // Differences 1, 2, … n in random places: no ties.
            for (place, rank) in order.enumerated() { prediction.values[place] = Float(rank + 1) }
            let (_, gradient) = HardFeatureLoss()(prediction: prediction, target: Tensor(shape: shape))
            #expect(gradient.values.count { $0 != 0 } == (side == 56 ? 1205 : 1573))
        }
    }
}

@Suite struct MeanSquaredErrorTests {
    /// ALGORITHMS §9.6.
    @Test func lossesOfTheAutoencoderMatchTheWorkedExample() {
        let teacher = Tensor(shape: [4], values: [1, -2, 0.5, 3])
        let autoencoder = Tensor(shape: [4], values: [0.5, -1, 0, 1])
        let student = Tensor(shape: [4], values: [0, -2.5, 1, 2])
        let reconstruction = MeanSquaredError(prediction: autoencoder, target: teacher)
        #expect(reconstruction.value == 1.375)
        #expect(reconstruction.predictionGradient.values == [-0.25, 0.5, -0.25, -1])
        let imitation = MeanSquaredError(prediction: autoencoder, target: student)
        #expect(imitation.value == 1.125)
        #expect(imitation.predictionGradient.values == [0.25, 0.75, -0.5, -0.5])
        #expect(imitation.targetGradient.values == [-0.25, -0.75, 0.5, 0.5])
    }
}

@Suite struct PenaltyLossTests {
    @Test func itIsTheMeanSquareAndItsGradient() {
        let loss = PenaltyLoss(prediction: Tensor(shape: [4], values: [1, -2, 0.5, 3]))
        #expect(loss.value == 14.25 / 4)
        #expect(loss.gradient.values == [0.5, -1, 0.25, 1.5])
    }
}

@Suite struct ReconstructionDifferenceConstraintTests {
    private let teacher = Tensor(shape: [4], values: [1, -2, 0.5, 3])
    private let autoencoder = Tensor(shape: [4], values: [0.5, -1, 0, 1])

    /// ALGORITHMS §9.6.
    @Test func lossAndGradientsMatchTheWorkedExample() {
        let student = Tensor(shape: [4], values: [0, -2.5, 1, 2])
        let constraint = ReconstructionDifferenceConstraint(
            teacher: teacher, reconstruction: autoencoder, imitation: student)
        #expect(constraint.value == 2.53125)
        #expect(constraint.reconstructionGradient.values == [0.375, 0.75, 0, -6])
        #expect(constraint.imitationGradient.values == [-0.75, 0.375, 0, 3])
    }

    @Test func itIsBlindToTheSignOfADifference() {
        let mirrored = Tensor(shape: [4], values: zip(teacher.values, autoencoder.values).map { 2 * $0 - $1 })
        let constraint = ReconstructionDifferenceConstraint(
            teacher: teacher, reconstruction: autoencoder, imitation: mirrored)
        #expect(constraint.value == 0)
        #expect(constraint.reconstructionGradient.values.allSatisfy { $0 == 0 })
    }

    /// Central differences of a loss of fourth order: a step of 1e-2 leaves errors of some 1e-4 of the gradient.
    @Test func gradientsMatchFiniteDifferences() {
        var generator = LinearCongruential(seed: 31)
        let shape = [3, 4, 5]
        let teacher = generator.tensor(shape, in: -2...2)
        let reconstruction = generator.tensor(shape, in: -2...2)
        let imitation = generator.tensor(shape, in: -2...2)
        let constraint = ReconstructionDifferenceConstraint(
            teacher: teacher, reconstruction: reconstruction, imitation: imitation)
        expectDifferences(of: reconstruction, gradient: constraint.reconstructionGradient, tolerance: 1e-3) {
            ReconstructionDifferenceConstraint(teacher: teacher, reconstruction: $0, imitation: imitation).value
        }
        expectDifferences(of: imitation, gradient: constraint.imitationGradient, tolerance: 1e-3) {
            ReconstructionDifferenceConstraint(teacher: teacher, reconstruction: reconstruction, imitation: $0).value
        }
    }
}

@Suite struct FeatureSeparationConstraintTests {
    /// ALGORITHMS §9.6: three channels at three locations, with the median as quantile.
    private let teacher = Tensor(shape: [3, 1, 3], values: [1, 0, 2, 2, 1, 0, 0, -1, 1])
    private let autoencoder = Tensor(shape: [3, 1, 3], values: [0, 0, 1, 0, 1, 0, 1, 1, -1])

    @Test func theHingeMatchesTheWorkedExample() {
        let result = FeatureSeparationConstraint(margin: 2, quantile: 0.5)(
            teacher: teacher, reconstruction: autoencoder)
        #expect(abs(result.value - 0.4721219561) < 1e-9)
        #expect(result.keptLocations == 3 && result.singleChannelLocations == 1)
        // The second location keeps one channel alone, and is as far as it can be.
        #expect([1, 4, 7].allSatisfy { result.gradient.values[$0] == 0 })
        let satisfied = FeatureSeparationConstraint(margin: 1, quantile: 0.5)(
            teacher: teacher, reconstruction: autoencoder)
        #expect(satisfied.value == 0)
        #expect(satisfied.gradient.values.allSatisfy { $0 == 0 })
    }

    /// d of single locations, from hinges that only they open: margins just above it.
    @Test func distancesMatchTheWorkedExample() {
        for (margin, open) in [(1.1694205693, 0.0), (1.4142135624, 1.4142135624 - 1.1694205693)] {
            let result = FeatureSeparationConstraint(margin: Float(margin), quantile: 0.5)(
                teacher: teacher, reconstruction: autoencoder)
            #expect(abs(result.value - open / 3) < 1e-7)
        }
    }

    /// The second and the third of four locations differ most; their whole vectors count.
    @Test func aMaskOfLocationsKeepsTheWholeVector() {
        let teacher = Tensor(shape: [2, 1, 4], values: [1, 3, 0, 1, 0, 4, 2, 0])
        let reconstruction = Tensor(shape: [2, 1, 4], values: [1, 0, 2, 1, 0, 1, 0, 0.5])
        let result = FeatureSeparationConstraint(margin: 2, mask: .location, quantile: 0.5)(
            teacher: teacher, reconstruction: reconstruction)
        #expect(result.keptLocations == 2 && result.singleChannelLocations == 0)
        // (0.6, 0.8) and (0, 1) are √0.4 apart, (0, 1) and (1, 0) √2.
        #expect(abs(result.value - (2 - 0.4.squareRoot() + 2 - 2.0.squareRoot()) / 2) < 1e-6)
        #expect([0, 3, 4, 7].allSatisfy { result.gradient.values[$0] == 0 })
    }

    /// A hinge without margin never opens, whatever it looks at.
    @Test(arguments: FeatureSeparationConstraint.Mask.allCases)
    func aMarginOfZeroAsksForNothing(mask: FeatureSeparationConstraint.Mask) {
        var generator = LinearCongruential(seed: 32)
        let result = FeatureSeparationConstraint(margin: 0, mask: mask)(
            teacher: generator.tensor([8, 6, 6], in: -1...1), reconstruction: generator.tensor([8, 6, 6], in: -1...1))
        #expect(result.value == 0)
        #expect(result.gradient.values.allSatisfy { $0 == 0 })
    }

    /// Steps small enough that no element enters or leaves the mask.
    @Test(arguments: FeatureSeparationConstraint.Mask.allCases)
    func gradientsMatchFiniteDifferences(mask: FeatureSeparationConstraint.Mask) {
        var generator = LinearCongruential(seed: 33)
        let teacher = generator.tensor([6, 4, 5], in: -1...1)
        let reconstruction = generator.tensor([6, 4, 5], in: -1...1)
        let constraint = FeatureSeparationConstraint(margin: 2, mask: mask, quantile: 0.6)
        let result = constraint(teacher: teacher, reconstruction: reconstruction)
        expectDifferences(of: reconstruction, gradient: result.gradient, step: 2e-4, tolerance: 5e-3) {
            constraint(teacher: teacher, reconstruction: $0).value
        }
    }

    @Test func equalVectorsAreNotPulledApart() {
        // All differences are zero, so all elements are kept.
        let same = Tensor(shape: [2, 1, 1], values: [1, 2])
        let result = FeatureSeparationConstraint(margin: 1)(teacher: same, reconstruction: same)
        #expect(result.value == 1)
        #expect(result.gradient.values == [0, 0])
    }

    @Test func aVectorWithoutDirectionStaysWhereItIs() {
        let result = FeatureSeparationConstraint(margin: 2)(
            teacher: Tensor(shape: [2, 1, 1], values: [3, 4]), reconstruction: Tensor(shape: [2, 1, 1]))
        // One of two elements is kept; a is zero and t of length 1.
        #expect(result.value == 1)
        #expect(result.gradient.values == [0, 0])
    }

    @Test func oneNaNMakesTheLossNaN() {
        var generator = LinearCongruential(seed: 34)
        let teacher = generator.tensor([4, 5, 5], in: -1...1)
        for mask in FeatureSeparationConstraint.Mask.allCases {
            var damaged = teacher
            damaged.values[17] = .nan
            let result = FeatureSeparationConstraint(margin: 1, mask: mask)(
                teacher: teacher, reconstruction: damaged)
            #expect(result.value.isNaN, "\(mask)")
        }
    }
}

/// Central differences of a loss along random directions against the gradient's components.
///
/// - Parameter tolerance: As a share of the gradient's length, for what is not linear in a step and for rounding.
private func expectDifferences(
    of point: Tensor, gradient: Tensor, step: Float = 1e-2, tolerance: Double, loss: (Tensor) -> Double
) {
    var generator = LinearCongruential(seed: 35)
    let length = gradient.values.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
    #expect(length > 1e-3)
    for _ in 0..<5 {
        let direction = point.values.map { _ in generator.uniform() < 0.5 ? -step : step }
        func away(_ sign: Float) -> Double {
            loss(Tensor(shape: point.shape, values: zip(point.values, direction).map { $0 + sign * $1 }))
        }
        let difference = (away(1) - away(-1)) / (2 * Double(step))
        let component = zip(gradient.values, direction).reduce(0.0) { $0 + Double($1.0) * Double($1.1 / step) }
        #expect(abs(difference - component) < tolerance * length, "\(difference) and \(component) of \(length)")
    }
}
