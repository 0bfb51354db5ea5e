import CKernels

/// How an image of outputs is covered by tiles: m×m outputs each, the last ones of a row or column possibly beyond the
/// image.
struct TileGrid: Sendable {
    /// m.
    let tileSide: Int

    let height: Int
    let width: Int

    /// Tiles from top to bottom and from left to right.
    let rows: Int
    let columns: Int

    init(height: Int, width: Int, tileSide: Int) {
        self.tileSide = tileSide
        self.height = height
        self.width = width
        rows = (height + tileSide - 1) / tileSide
        columns = (width + tileSide - 1) / tileSide
    }

    /// The rows of the image that a row of tiles covers.
    func imageRows(ofTileRow row: Int) -> Range<Int> {
        row * tileSide..<min((row + 1) * tileSide, height)
    }
}

/// The 64 panel matrices, one per point, of a group of transformed tiles or kernels.
///
/// A panel matrix of R rows and N columns is `[⌈N/32⌉, R, 32]`: the product reads it without repacking. Stored point by
/// point, or panel by panel, `[⌈N/32⌉, 64, R, 32]`, for readers that want some columns of all points.
struct PointMatrices {
    private(set) var base: UnsafeMutablePointer<Float>

    /// Tiles, or the input channels of the kernels.
    let rows: Int

    /// From the matrix of one point to the next, in floats.
    let sliceStep: Int

    /// From one panel to the next, in floats.
    let panelStep: Int

    /// The floats that 64 matrices need.
    static func count(rows: Int, columns: Int) -> Int {
        WinogradTransform.points * sliceStep(rows: rows, columns: columns)
    }

    init(base: UnsafeMutablePointer<Float>, rows: Int, columns: Int) {
        self.base = base
        self.rows = rows
        sliceStep = Self.sliceStep(rows: rows, columns: columns)
        panelStep = rows * VectorKernels.panelColumns
    }

    /// Panel by panel; takes `panelwiseCount` floats.
    init(panelwiseAt base: UnsafeMutablePointer<Float>, rows: Int) {
        self.base = base
        self.rows = rows
        sliceStep = rows * VectorKernels.panelColumns
        panelStep = WinogradTransform.points * sliceStep
    }

    static func panelwiseCount(rows: Int, columns: Int) -> Int {
        let panels = (columns + VectorKernels.panelColumns - 1) / VectorKernels.panelColumns
        return panels * WinogradTransform.points * rows * VectorKernels.panelColumns
    }

    /// One cache line more than whole pages: otherwise the 64 values of a tile would all fall into one set of the cache.
    private static func sliceStep(rows: Int, columns: Int) -> Int {
        let panels = (columns + VectorKernels.panelColumns - 1) / VectorKernels.panelColumns
        let floatsPerPage = 1024
        let floatsPerCacheLine = 16
        return (panels * rows * VectorKernels.panelColumns + floatsPerPage - 1) / floatsPerPage * floatsPerPage
            + floatsPerCacheLine
    }

    func matrix(ofPoint point: Int) -> UnsafeMutablePointer<Float> { base + point * sliceStep }

    /// The same matrices without their first rows.
    func rows(from first: Int) -> PointMatrices {
        var rest = self
        rest.base += first * VectorKernels.panelColumns
        return rest
    }

    func panels(ofPoint point: Int) -> beltwatch_panels {
        beltwatch_panels(base: matrix(ofPoint: point), panel_step: panelStep)
    }

    /// The next point's product with another matrix.
    func ahead(ofPoint point: Int, with other: PointMatrices) -> beltwatch_ahead {
        let next = min(point + 1, WinogradTransform.points - 1)
        return beltwatch_ahead(a: matrix(ofPoint: next), a_count: sliceStep, b: other.matrix(ofPoint: next))
    }

    func mutablePanels(ofPoint point: Int) -> beltwatch_mutable_panels {
        beltwatch_mutable_panels(base: matrix(ofPoint: point), panel_step: panelStep)
    }

    /// From point to point, and from row to row.
    var steps: beltwatch_point_slices {
        beltwatch_point_slices(slice_step: sliceStep, square_step: VectorKernels.panelColumns)
    }

    /// Where sixteen columns of a row start in the matrix of the first point.
    func lanes(block: Int, row: Int) -> UnsafeMutablePointer<Float> {
        let column = block * VectorKernels.lanes
        let (panel, inside) = column.quotientAndRemainder(dividingBy: VectorKernels.panelColumns)
        return base + panel * panelStep + row * VectorKernels.panelColumns + inside
    }
}

/// An image `[channels, height, width]` in someone else's memory.
struct PlanarImage<Pointer> {
    let base: Pointer
    let channels: Int
    let height: Int
    let width: Int

    /// Sixteen channels are transformed side by side.
    var laneBlocks: Int { (channels + VectorKernels.lanes - 1) / VectorKernels.lanes }

    func channels(ofBlock block: Int) -> Range<Int> {
        block * VectorKernels.lanes..<min((block + 1) * VectorKernels.lanes, channels)
    }
}
