/// The scene as the lens sees it: linear light per pixel, and which surface it comes from.
struct Canvas {
    let width: Int
    let height: Int
    private(set) var light: [Colour]
    /// Which surface covers most of the pixel; see `code(of:)`.
    private(set) var owners: [UInt8]

    init(width: Int, height: Int) {
        self.width = width
        self.height = height
        light = [Colour](repeating: .zero, count: width * height)
        owners = [UInt8](repeating: 0, count: width * height)
    }

    /// Runs over the pixels of a square around a point, as far as they are in the picture.
    ///
    /// `body` gets the pixel's middle, its light and its owner, both to change.
    mutating func paint(
        around centre: Vector, reach: Float, _ body: (Vector, inout Colour, inout UInt8) -> Void
    ) {
        let columns = Self.pixels(from: centre.x - reach, to: centre.x + reach, below: width)
        let rows = Self.pixels(from: centre.y - reach, to: centre.y + reach, below: height)
        for y in rows {
            for x in columns {
                body(Vector(Float(x) + 0.5, Float(y) + 0.5), &light[y * width + x], &owners[y * width + x])
            }
        }
    }

    /// Everything in the picture.
    mutating func paintAll(_ body: (Vector, inout Colour, inout UInt8) -> Void) {
        let middle = Vector(Float(width), Float(height)) / 2
        paint(around: middle, reach: max(middle.x, middle.y), body)
    }

    /// The byte that stands for a surface in `owners`.
    static func code(of surface: Surface) -> UInt8 {
        switch surface {
        case .belt: 0
        case .wall: 1
        case .floor(let compartment): 2 + UInt8(compartment.rawValue)
        case .part(let index): 16 + UInt8(index)
        case .everything: preconditionFailure("no single pixel shows everything")
        }
    }

    /// Whether a pixel shows the surface.
    static func owner(_ owner: UInt8, shows surface: Surface) -> Bool {
        surface == .everything ? owner != code(of: .belt) : owner == code(of: surface)
    }

    private static func pixels(from start: Float, to end: Float, below limit: Int) -> Range<Int> {
        let first = min(max(Int(start.rounded(.down)), 0), limit)
        return first..<max(first, min(Int(end.rounded(.up)), limit))
    }
}
