import Imaging
import TensorKernels
import Testing

@Suite struct ModelImageTests {
    @Test func unitRangeSeparatesThePlanesAndDividesBy255() {
        var generator = LinearCongruential(seed: 5)
        let image = ModelImage(pixels: generator.bytes(256 * 256 * 3))
        let tensor = image.unitRange()
        #expect(tensor.shape == [3, 256, 256])
        for channel in 0..<3 {
            for pixel in 0..<256 * 256 {
                let expected = Float(image.pixels[3 * pixel + channel]) / 255
                guard tensor.values[channel * 256 * 256 + pixel] == expected else {
                    Issue.record("channel \(channel), pixel \(pixel)")
                    return
                }
            }
        }
    }

    /// ALGORITHMS §9.4.
    @Test func halfBecomesTheDocumentedNumbers() {
        let normalised = ModelImage.normalise(Tensor(shape: [3, 1, 1], repeating: 0.5))
        for (value, expected) in zip(normalised.values, [0.0655021834, 0.1964285714, 0.4177777778]) {
            #expect(abs(Double(value) - expected) < 1e-7)
        }
    }

    @Test func normalisedIsNormaliseOfUnitRange() {
        var generator = LinearCongruential(seed: 6)
        let image = ModelImage(pixels: generator.bytes(256 * 256 * 3))
        #expect(image.normalised() == ModelImage.normalise(image.unitRange()))
    }
}
