/// Some rows of a stack of planes in scratch memory, with room on both sides.
///
/// A row starts `margin` floats before its column 0 and is rounded up to whole lanes, so that sixteen columns can be read
/// or written from any column that is at most a margin outside the image.
///
/// - Layout: `[rows, planes, stride]`: the planes of a row lie side by side.
struct PaddedRows {
    let base: UnsafeMutablePointer<Float>

    /// In the image's coordinates.
    let rows: Range<Int>
    let planes: Int
    let margin: Int

    /// From one plane's row to the next, in floats.
    let stride: Int

    /// The floats that they need.
    static func count(rows: Int, planes: Int, width: Int, margin: Int) -> Int {
        rows * planes * stride(width: width, margin: margin)
    }

    /// A row's columns in whole lanes.
    static func lanedWidth(_ width: Int) -> Int {
        (width + FloatLanes.scalarCount - 1) / FloatLanes.scalarCount * FloatLanes.scalarCount
    }

    /// From one plane's row to the next, in floats.
    static func stride(width: Int, margin: Int) -> Int { lanedWidth(width) + 2 * margin }

    /// Zero everywhere.
    init(zeroing base: UnsafeMutablePointer<Float>, rows: Range<Int>, planes: Int, width: Int, margin: Int) {
        self.base = base
        self.rows = rows
        self.planes = planes
        self.margin = margin
        stride = Self.stride(width: width, margin: margin)
        base.update(repeating: 0, count: rows.count * planes * stride)
    }

    /// A copy of planes of an image `[planes, height, width]`, zero beside the image.
    init(
        copying image: UnsafePointer<Float>, height: Int, width: Int, rows: Range<Int>, planes: Int, margin: Int,
        into base: UnsafeMutablePointer<Float>
    ) {
        self.init(zeroing: base, rows: rows, planes: planes, width: width, margin: margin)
        for plane in 0..<planes {
            for y in rows {
                start(row: y, plane: plane).update(from: image + (plane * height + y) * width, count: width)
            }
        }
    }

    /// Column 0 of a plane's row.
    @inline(__always)
    func start(row: Int, plane: Int) -> UnsafeMutablePointer<Float> {
        base + (((row - rows.lowerBound) * planes + plane) * stride + margin)
    }
}
