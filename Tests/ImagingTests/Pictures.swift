import Imaging

/// Knuth's MMIX linear congruential generator; `make_pillow_bilinear.py` draws the same bytes.
struct LinearCongruential: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state
    }

    mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(next() >> 56) } }
}

/// Repeats one answer for ever.
struct ConstantGenerator: RandomNumberGenerator {
    let word: UInt64

    func next() -> UInt64 { word }
}

extension PixelBuffer {
    convenience init(_ bytes: [UInt8]) {
        self.init(count: bytes.count) { span in
            for i in bytes.indices { span[i] = bytes[i] }
        }
    }
}

extension Frame {
    init(width: Int, height: Int, pixels: [UInt8]) {
        self.init(
            number: 0, width: width, height: height, capturedAt: MonotonicInstant(nanoseconds: 0),
            pixels: PixelBuffer(pixels))
    }

    var bytes: [UInt8] { withPixels { pixels in pixels.indices.map { pixels[$0] } } }
}

extension ModelImage {
    init(repeating byte: UInt8) {
        self.init(pixels: Array(repeating: byte, count: Self.side * Self.side * 3))
    }
}

/// The bytes of a rectangle of an RGB picture, row after row.
func cutOut(_ region: RegionOfInterest, of picture: [UInt8], width: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    for y in region.y..<region.y + region.height {
        let start = (y * width + region.x) * 3
        bytes += picture[start..<start + region.width * 3]
    }
    return bytes
}
