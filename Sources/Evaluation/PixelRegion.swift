/// A set of pixels of one picture, kept as horizontal runs: a mask of two million pixels becomes some thousand numbers.
public struct PixelRegion: Hashable, Sendable {
    /// Neighbouring pixels of one row.
    public struct Run: Hashable, Sendable {
        public let row: Int

        /// Never empty.
        public let columns: Range<Int>
    }

    /// From top to bottom and from left to right; two runs of a row do not touch.
    public let runs: [Run]

    /// How many pixels there are.
    public let area: Int

    init(runs: [Run]) {
        self.runs = runs
        area = runs.reduce(0) { $0 + $1.columns.count }
    }

    /// All pixels that are not zero.
    ///
    /// - Parameter mask: `[height, width]`, row-major, one byte each.
    /// - Precondition: `mask` has whole rows.
    public init(nonZeroPixelsOf mask: Span<UInt8>, width: Int) {
        precondition(width > 0 && mask.count % width == 0, "\(mask.count) pixels are no rows of \(width)")
        var runs: [Run] = []
        for row in 0..<mask.count / width {
            var x = 0
            while x < width {
                guard mask[row * width + x] != 0 else {
                    x += 1
                    continue
                }
                let first = x
                while x < width, mask[row * width + x] != 0 { x += 1 }
                runs.append(Run(row: row, columns: first..<x))
            }
        }
        self.init(runs: runs)
    }

    /// Marks the pixels in a picture.
    ///
    /// - Parameters:
    ///   - picture: `[height, width]`, row-major.
    ///   - width: Of the picture, which holds the whole region.
    func paint(into picture: inout [Bool], width: Int) {
        for run in runs {
            for x in run.columns { picture[run.row * width + x] = true }
        }
    }
}
