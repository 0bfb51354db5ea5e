/// A point or a direction of the plane: x to the right, y down, in pixels.
typealias Vector = SIMD2<Float>

/// A linear-light colour: red, green, blue; 1 is the sensor's saturation at nominal exposure.
typealias Colour = SIMD3<Float>

extension SIMD2<Float> {
    var length: Float { (x * x + y * y).squareRoot() }

    func dot(_ other: Self) -> Float { x * other.x + y * other.y }

    /// Turned by the angle of the unit vector `direction` (complex multiplication).
    func rotated(by direction: Self) -> Self {
        Self(x * direction.x - y * direction.y, x * direction.y + y * direction.x)
    }

    /// Turned back by the angle of the unit vector `direction`.
    func rotated(backBy direction: Self) -> Self {
        Self(x * direction.x + y * direction.y, y * direction.x - x * direction.y)
    }
}

extension SIMD3<Float> {
    func dot(_ other: Self) -> Float { x * other.x + y * other.y + z * other.z }

    var normalized: Self { self / dot(self).squareRoot() }
}

extension Float {
    /// 0 up to `start`, 1 from `end` on, smooth between (3t² − 2t³).
    func smoothStep(from start: Float, to end: Float) -> Float {
        let t = ((self - start) / (end - start)).clamped(to: 0...1)
        return t * t * (3 - 2 * t)
    }

    func clamped(to range: ClosedRange<Float>) -> Float {
        Swift.min(Swift.max(self, range.lowerBound), range.upperBound)
    }

    /// A triangle wave of period 1 between 0 and 1.
    var triangleWave: Float {
        let phase = self - rounded(.down)
        return abs(2 * phase - 1)
    }
}

/// Where something lies: the place of its own origin and the direction of its own x axis, in the frame around it.
struct Pose: Hashable, Sendable {
    var origin: Vector
    /// A unit vector.
    var direction: Vector

    init(origin: Vector, direction: Vector = Vector(1, 0)) {
        self.origin = origin
        self.direction = direction
    }

    /// A point of this frame, seen from the frame around it.
    func outer(_ point: Vector) -> Vector { origin + point.rotated(by: direction) }

    /// A point of the frame around, seen from this one.
    func inner(_ point: Vector) -> Vector { (point - origin).rotated(backBy: direction) }

    /// The pose, in the frame around this one, of something posed within this one.
    func outer(_ pose: Pose) -> Pose {
        Pose(origin: outer(pose.origin), direction: pose.direction.rotated(by: direction))
    }
}

/// Signed distances: negative inside, in pixels; the edge is where they are zero.
///
/// Half a pixel of ramp around zero is the share of a pixel that a shape covers, which is all the antialiasing there is.
enum SignedDistance {
    static func roundedRectangle(_ point: Vector, halfSize: Vector, radius: Float) -> Float {
        let x = abs(point.x) - halfSize.x + radius
        let y = abs(point.y) - halfSize.y + radius
        let outside = Vector(max(x, 0), max(y, 0)).length
        return outside + min(max(x, y), 0) - radius
    }

    /// A regular hexagon with corners on the x axis; its sides lie `apothem` from the centre.
    ///
    /// The bound by the six half-planes: exact inside and beside the sides, short of the true distance at corners.
    static func hexagon(_ point: Vector, apothem: Float) -> Float {
        let x = abs(point.x)
        let y = abs(point.y)
        return max(x * 0.866_025_4 + y * 0.5, y) - apothem
    }

    /// The share of a pixel covered, from the signed distance of its centre.
    static func coverage(_ distance: Float) -> Float { (0.5 - distance).clamped(to: 0...1) }
}
