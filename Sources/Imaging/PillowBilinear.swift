/// Pillow's `BILINEAR` resize of 8-bit RGB images, to the bit (ALGORITHMS §1.1).
///
/// A triangle filter that widens when it shrinks an image (antialiasing), horizontally first and then vertically, in
/// fixed point with rounding to bytes after each pass. An axis that keeps its length is not touched. The models of the
/// papers were trained on such images; another resize would be another camera.
///
/// This is Pillow up to version 12. Since 13.0 it takes some pictures that shrink in height vertically first
/// (python-pillow/Pillow#9549); the bytes between the passes are then rounded elsewhere, and values differ by one.
public struct PillowBilinear: Hashable, Sendable {
    public let inputWidth: Int
    public let inputHeight: Int
    public let outputWidth: Int
    public let outputHeight: Int

    private let columns: Filter?
    private let rows: Filter?

    /// Prepares the weights once; the same resize is then applied to every frame.
    ///
    /// - Precondition: Every dimension is at least 1.
    public init(inputWidth: Int, inputHeight: Int, outputWidth: Int, outputHeight: Int) {
        precondition(min(inputWidth, inputHeight, outputWidth, outputHeight) >= 1, "no pixels to resize")
        self.inputWidth = inputWidth
        self.inputHeight = inputHeight
        self.outputWidth = outputWidth
        self.outputHeight = outputHeight
        columns = inputWidth == outputWidth ? nil : Filter(from: inputWidth, to: outputWidth)
        rows = inputHeight == outputHeight ? nil : Filter(from: inputHeight, to: outputHeight)
    }

    /// Resizes a rectangle of a larger image.
    ///
    /// - Parameters:
    ///   - pixels: The whole image, RGB, dense rows of `bytesPerRow`.
    ///   - offset: Where the rectangle's first byte is.
    /// - Returns: `outputWidth · outputHeight · 3` bytes, RGB, dense rows.
    /// - Precondition: The rectangle of `inputWidth × inputHeight` pixels lies inside `pixels`.
    public func resize(_ pixels: Span<UInt8>, bytesPerRow: Int, offset: Int = 0) -> [UInt8] {
        precondition(
            offset + (inputHeight - 1) * bytesPerRow + inputWidth * 3 <= pixels.count, "the rectangle leaves the image")
        return pixels.withUnsafeBufferPointer { pixels in
            let narrowed = [UInt8](unsafeUninitializedCapacity: inputHeight * outputWidth * 3) { target, count in
                for y in 0..<inputHeight {
                    let source = UnsafeBufferPointer(rebasing: pixels[(offset + y * bytesPerRow)...])
                    let row = UnsafeMutableBufferPointer(rebasing: target[(y * outputWidth * 3)...])
                    if let columns {
                        columns.filterPixels(source, into: row)
                    } else {
                        for i in 0..<outputWidth * 3 { row[i] = source[i] }
                    }
                }
                count = inputHeight * outputWidth * 3
            }
            guard let rows else { return narrowed }
            return narrowed.withUnsafeBufferPointer { narrowed in
                [UInt8](unsafeUninitializedCapacity: outputHeight * outputWidth * 3) { target, count in
                    rows.filterRows(narrowed, bytesPerRow: outputWidth * 3, into: target)
                    count = outputHeight * outputWidth * 3
                }
            }
        }
    }

    /// One axis: which inputs each output is made of, and with which weights.
    ///
    /// With `scale = n/o`, `f = max(scale, 1)` and `c = (x + ½)·scale`, output x is made of the inputs from
    /// `⌊c − f + ½⌋` up to, but not including, `⌊c + f + ½⌋`, with weights `max(0, 1 − |(k − c + ½)·(1/f)|)` that are
    /// made to sum to one. The reciprocal is Pillow's: a division would round otherwise.
    private struct Filter: Hashable, Sendable {
        /// Bits behind the point of a weight.
        private static let precision: Int32 = 22

        private let taps: [Range<Int>]
        private let weightStarts: [Int]
        private let weights: [Int32]

        init(from inputLength: Int, to outputLength: Int) {
            let scale = Double(inputLength) / Double(outputLength)
            let support = max(scale, 1)
            var taps: [Range<Int>] = []
            var weightStarts: [Int] = []
            var weights: [Int32] = []
            for x in 0..<outputLength {
                let centre = (Double(x) + 0.5) * scale
                let low = max(0, Int(centre - support + 0.5))
                let high = min(inputLength, Int(centre + support + 0.5))
                let raw = (low..<high).map { max(0, 1 - abs((Double($0) - centre + 0.5) * (1 / support))) }
                let sum = raw.reduce(0, +)
                taps.append(low..<high)
                weightStarts.append(weights.count)
                weights += raw.map { Int32(($0 / sum * Double(1 << Self.precision) + 0.5).rounded(.down)) }
            }
            self.taps = taps
            self.weightStarts = weightStarts
            self.weights = weights
        }

        /// One row of RGB pixels.
        func filterPixels(_ source: UnsafeBufferPointer<UInt8>, into target: UnsafeMutableBufferPointer<UInt8>) {
            weights.withUnsafeBufferPointer { weights in
                for (x, range) in taps.enumerated() {
                    var (red, green, blue) = (Self.half, Self.half, Self.half)
                    var weight = weightStarts[x]
                    for k in range {
                        red &+= weights[weight] &* Int32(source[3 * k])
                        green &+= weights[weight] &* Int32(source[3 * k + 1])
                        blue &+= weights[weight] &* Int32(source[3 * k + 2])
                        weight += 1
                    }
                    target[3 * x] = Self.byte(red)
                    target[3 * x + 1] = Self.byte(green)
                    target[3 * x + 2] = Self.byte(blue)
                }
            }
        }

        /// All rows, each output row a weighted sum of input rows: the inner loop runs along the row.
        func filterRows(
            _ source: UnsafeBufferPointer<UInt8>, bytesPerRow: Int, into target: UnsafeMutableBufferPointer<UInt8>
        ) {
            withUnsafeTemporaryAllocation(of: Int32.self, capacity: bytesPerRow) { sums in
                for (y, range) in taps.enumerated() {
                    sums.update(repeating: Self.half)
                    for (weight, k) in zip(weights[weightStarts[y]...], range) {
                        let row = UnsafeBufferPointer(rebasing: source[(k * bytesPerRow)..<(k + 1) * bytesPerRow])
                        for i in 0..<bytesPerRow { sums[i] &+= weight &* Int32(row[i]) }
                    }
                    let output = UnsafeMutableBufferPointer(rebasing: target[(y * bytesPerRow)...])
                    for i in 0..<bytesPerRow { output[i] = Self.byte(sums[i]) }
                }
            }
        }

        private static let half: Int32 = 1 << (precision - 1)

        private static func byte(_ sum: Int32) -> UInt8 { UInt8(clamping: sum >> precision) }
    }
}
