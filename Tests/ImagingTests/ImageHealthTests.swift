import Imaging
import Testing

@Suite struct ImageHealthTests {
    private let limits = ImageHealth.Limits()

    @Test func measuresMeanDeviationAndSaturation() {
        // A quarter each of 0, 10, 90 and 255: mean 88.75, mean square 18306.25 − mean² 7876.5625.
        let bytes: [UInt8] = [0, 10, 90, 255]
        let health = ImageHealth(of: ModelImage(pixels: (0..<256 * 256 * 3).map { bytes[$0 % 4] }))
        #expect(health.meanBrightness == 88.75)
        #expect(abs(health.contrast - (18306.25 - 7876.5625).squareRoot()) < 1e-9)
        #expect(health.saturatedShare == 0.25)
        #expect(health.complaint(within: limits) == nil)
    }

    @Test func aConstantPictureHasNoContrastAtAll() {
        for byte: UInt8 in [1, 100, 254] { #expect(ImageHealth(of: ModelImage(repeating: byte)).contrast == 0) }
    }

    @Test func namesWhatIsWrong() {
        #expect(ImageHealth(of: ModelImage(repeating: 0)).complaint(within: limits) == .tooDark)
        #expect(ImageHealth(of: ModelImage(repeating: 128)).complaint(within: limits) == .blank)
        #expect(ImageHealth(of: ModelImage(repeating: 255)).complaint(within: limits) == .overexposed)
    }

    @Test func aNoisyPictureOfABeltCanBeJudged() {
        var generator = LinearCongruential(seed: 2)
        let noisy = ModelImage(pixels: generator.bytes(256 * 256 * 3).map { 40 + $0 % 8 })
        #expect(ImageHealth(of: noisy).complaint(within: limits) == nil)
    }

    @Test func theLimitsDecide() {
        let bytes: [UInt8] = [0, 10, 90, 255]
        let health = ImageHealth(of: ModelImage(pixels: (0..<256 * 256 * 3).map { bytes[$0 % 4] }))
        var limits = ImageHealth.Limits()
        limits.minimumBrightness = 89
        #expect(health.complaint(within: limits) == .tooDark)
        limits = ImageHealth.Limits()
        limits.minimumContrast = 103
        #expect(health.complaint(within: limits) == .blank)
        limits = ImageHealth.Limits()
        limits.maximumSaturatedShare = 0.24
        #expect(health.complaint(within: limits) == .overexposed)
        limits.maximumSaturatedShare = 0.25
        #expect(health.complaint(within: limits) == nil)
    }
}
