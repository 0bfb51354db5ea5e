/// Value noise: random numbers at whole-numbered places, joined smoothly (Perlin's fade of 1985, 3t² − 2t³).
///
/// Endless and without memory, so a belt can run on as long as it likes.
struct LatticeNoise: Hashable, Sendable {
    let seed: UInt64

    /// A value in `0..<1`; neighbouring places one unit apart are independent.
    func value(at place: Vector) -> Float {
        let floorX = place.x.rounded(.down)
        let floorY = place.y.rounded(.down)
        let column = Int64(floorX)
        let row = Int64(floorY)
        let fadeX = Self.fade(place.x - floorX)
        let fadeY = Self.fade(place.y - floorY)
        let top = Self.mix(corner(column, row), corner(column + 1, row), fadeX)
        let bottom = Self.mix(corner(column, row + 1), corner(column + 1, row + 1), fadeX)
        return Self.mix(top, bottom, fadeY)
    }

    private func corner(_ column: Int64, _ row: Int64) -> Float {
        let place =
            UInt64(bitPattern: column) &* 0x9E37_79B9_7F4A_7C15
            ^ UInt64(bitPattern: row) &* 0xC2B2_AE3D_27D4_EB4F ^ seed
        return Float(RandomSource.scramble(place) >> 40) * 0x1p-24
    }

    private static func fade(_ t: Float) -> Float { t * t * (3 - 2 * t) }

    private static func mix(_ a: Float, _ b: Float, _ share: Float) -> Float { a + (b - a) * share }
}
