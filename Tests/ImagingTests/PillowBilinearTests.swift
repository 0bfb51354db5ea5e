import Foundation
import Imaging
import Testing

@Suite struct PillowBilinearTests {
    /// ALGORITHMS §9.3.
    @Test(arguments: [
        (4, [7, 51, 113, 98]), (3, [11, 94, 98]), (12, [0, 5, 12, 18, 25, 67, 213, 129, 22, 84, 114, 128]),
    ])
    func rowAndColumnMatchTheWorkedExample(length: Int, expected: [UInt8]) {
        let grey: [UInt8] = [0, 10, 20, 30, 250, 7, 99, 128]
        let pixels = grey.flatMap { [$0, $0, $0] }
        let row = PillowBilinear(inputWidth: 8, inputHeight: 1, outputWidth: length, outputHeight: 1)
        #expect(row.resize(pixels.span, bytesPerRow: 24) == expected.flatMap { [$0, $0, $0] })
        let column = PillowBilinear(inputWidth: 1, inputHeight: 8, outputWidth: 1, outputHeight: length)
        #expect(column.resize(pixels.span, bytesPerRow: 3) == expected.flatMap { [$0, $0, $0] })
    }

    private struct Golden: Decodable {
        struct Case: Decodable {
            let from: [Int]
            let to: [Int]
            let pixels: Data?
            let digest: String?
        }

        let cases: [Case]
    }

    @Test func everyByteIsPillows() throws {
        let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Golden/pillow_bilinear.json")
        let golden = try JSONDecoder().decode(Golden.self, from: Data(contentsOf: file))
        #expect(golden.cases.count == 25)
        for (seed, example) in golden.cases.enumerated() {
            let (width, height) = (example.from[0], example.from[1])
            var generator = LinearCongruential(seed: UInt64(seed))
            let picture = generator.bytes(width * height * 3)
            let resize = PillowBilinear(
                inputWidth: width, inputHeight: height, outputWidth: example.to[0], outputHeight: example.to[1])
            let resized = resize.resize(picture.span, bytesPerRow: width * 3)
            #expect((example.pixels == nil) != (example.digest == nil))
            if let pixels = example.pixels { #expect(resized == Array(pixels), "\(example.from) to \(example.to)") }
            if let digest = example.digest { #expect(fnv1a(resized) == digest, "\(example.from) to \(example.to)") }
        }
    }

    private func fnv1a(_ bytes: [UInt8]) -> String {
        var digest: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in bytes { digest = (digest ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return String(repeating: "0", count: digest.leadingZeroBitCount / 4) + String(digest, radix: 16)
    }

    @Test func aConstantPictureStaysConstant() {
        for (width, height) in [(700, 3), (3, 700), (91, 57)] {
            for byte: UInt8 in [0, 1, 128, 254, 255] {
                let picture = [UInt8](repeating: byte, count: width * height * 3)
                let resize = PillowBilinear(
                    inputWidth: width, inputHeight: height, outputWidth: 64, outputHeight: 64)
                let resized = resize.resize(picture.span, bytesPerRow: width * 3)
                #expect(resized.allSatisfy { $0 == byte }, "\(byte) in \(width)×\(height)")
            }
        }
    }

    @Test func aRectangleOfALargerImageIsResizedAsIfItWereCutOut() {
        var generator = LinearCongruential(seed: 3)
        let (width, x, y) = (40, 7, 5)
        let picture = generator.bytes(width * 30 * 3)
        let region = cutOut(RegionOfInterest(x: x, y: y, width: 25, height: 20), of: picture, width: width)
        for (outputWidth, outputHeight) in [(11, 33), (25, 20), (25, 7), (30, 20)] {
            let resize = PillowBilinear(
                inputWidth: 25, inputHeight: 20, outputWidth: outputWidth, outputHeight: outputHeight)
            let inPlace = resize.resize(picture.span, bytesPerRow: width * 3, offset: (y * width + x) * 3)
            #expect(inPlace == resize.resize(region.span, bytesPerRow: 75), "to \(outputWidth)×\(outputHeight)")
        }
    }
}
