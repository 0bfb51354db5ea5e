import TensorKernels
import Testing

@testable import Imaging

/// The 2×2 picture of ALGORITHMS §9.4 and what becomes of it.
@Suite struct AugmentationTests {
    private let picture = Tensor(
        shape: [3, 2, 2], values: [0.2, 0.4, 0.6, 0.8, 0.1, 0.5, 0.9, 0.3, 0, 1, 0.5, 0.25])

    private func expect(
        _ found: [Float], _ expected: [Double], sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(found.count == expected.count, sourceLocation: sourceLocation)
        for (index, (value, wanted)) in zip(found, expected).enumerated() {
            #expect(abs(Double(value) - wanted) < 1e-6, "value \(index)", sourceLocation: sourceLocation)
        }
    }

    @Test func greyWeighsTheChannelsLikeTorchvision() {
        let grey = Augmentation.grey(of: picture)
        expect(grey, [0.11848, 0.52706, 0.76464, 0.44372])
        #expect(abs(grey.reduce(0, +) / 4 - 0.463475) < 1e-6)
    }

    @Test func brightnessScalesAndClamps() {
        expect(
            Augmentation.brightness(1.2).applied(to: picture).values,
            [0.24, 0.48, 0.72, 0.96, 0.12, 0.6, 1, 0.36, 0, 1, 0.6, 0.3])
    }

    @Test func contrastBlendsWithTheMeanOfGrey() {
        let blended = Augmentation.contrast(0.8).applied(to: picture).values
        expect(Array(blended[..<4]), [0.252695, 0.412695, 0.572695, 0.732695])
        expect(Array(blended[8...]), [0.092695, 0.892695, 0.492695, 0.292695])
    }

    @Test func saturationBlendsWithThePixelsGreyAndClamps() {
        expect(
            Augmentation.saturation(1.2).applied(to: picture).values,
            [
                0.216304, 0.374588, 0.567072, 0.871256, 0.096304, 0.494588, 0.927072, 0.271256, 0, 1, 0.447072,
                0.211256,
            ])
    }

    @Test func aFactorOfOneChangesNothing() {
        for augmentation in [Augmentation.brightness(1), .contrast(1), .saturation(1)] {
            #expect(augmentation.applied(to: picture) == picture, "\(augmentation)")
        }
    }

    @Test func eachKindIsDrawnEquallyOftenWithFactorsOverTheWholeRange() {
        var generator = LinearCongruential(seed: 17)
        var factors: [String: [Float]] = [:]
        for _ in 0..<9000 {
            switch Augmentation.random(using: &generator) {
            case .brightness(let factor): factors["brightness", default: []].append(factor)
            case .contrast(let factor): factors["contrast", default: []].append(factor)
            case .saturation(let factor): factors["saturation", default: []].append(factor)
            }
        }
        #expect(factors.count == 3)
        for (kind, factors) in factors {
            // Binomial with n = 9000 and p = ⅓: σ = 45; the mean of 3000 factors has σ = 0.0021.
            #expect(abs(factors.count - 3000) < 5 * 45, "\(kind): \(factors.count)")
            #expect(factors.allSatisfy { $0 >= 0.8 && $0 <= 1.2 }, "\(kind)")
            let mean = factors.reduce(0) { $0 + Double($1) } / Double(factors.count)
            #expect(abs(mean - 1) < 5 * 0.0021, "\(kind): \(mean)")
            #expect(factors.contains { $0 < 0.81 } && factors.contains { $0 > 1.19 }, "\(kind)")
        }
    }

    /// A trained model must come out the same with the next compiler, so the way from bits to numbers is pinned.
    @Test func theDrawIsMadeOfTwoWordsInAFixedWay() {
        var lowest = ConstantGenerator(word: 0)
        #expect(Augmentation.random(using: &lowest) == .brightness(0.8))
        var middle = ConstantGenerator(word: 1 << 63)
        #expect(Augmentation.random(using: &middle) == .contrast(0.8 + 0.4 * 0.5))
        var highest = ConstantGenerator(word: .max)
        #expect(Augmentation.random(using: &highest) == .saturation(0.8 + 0.4 * (1 - 0x1p-24)))

        var generator = LinearCongruential(seed: 4)
        var twoWordsOn = generator
        _ = Augmentation.random(using: &generator)
        _ = (twoWordsOn.next(), twoWordsOn.next())
        #expect(generator.next() == twoWordsOn.next())
    }
}
