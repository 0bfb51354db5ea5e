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
