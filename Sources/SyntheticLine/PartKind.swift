/// The small parts that a kit tray carries.
enum PartKind: String, CaseIterable, Codable, Hashable, Sendable {
    case hexNut = "hex_nut"
    case washer
    case screw
    case pin
    case cap
    case oRing = "o_ring"

    /// Half the length of the footprint's straight middle; 0 for round parts, in pixels.
    ///
    /// A footprint is a capsule along the part's own x axis and holds the whole part.
    var footprintHalfLength: Float {
        switch self {
        case .screw: 31
        case .pin: 15
        case .hexNut, .washer, .cap, .oRing: 0
        }
    }

    /// The footprint's radius, in pixels.
    var footprintRadius: Float {
        switch self {
        case .hexNut: 17.5
        case .washer: 21
        case .screw: 11.5
        case .pin: 6.5
        case .cap: 23
        case .oRing: 20.5
        }
    }

    /// Signed distance of the silhouette seen from above, holes left out, in the part's own frame.
    func silhouette(_ point: Vector) -> Float {
        switch self {
        case .hexNut:
            return max(SignedDistance.hexagon(point, apothem: 15), 6.8 - point.length)
        case .washer:
            let radius = point.length
            return max(radius - 20.5, 9.5 - radius)
        case .screw:
            let shank = SignedDistance.roundedRectangle(
                point - Vector(5, 0), halfSize: Vector(32, 5.8), radius: 2.5)
            let head = SignedDistance.roundedRectangle(
                point - Vector(-32, 0), halfSize: Vector(6, 11), radius: 3)
            return min(shank, head)
        case .pin:
            return SignedDistance.roundedRectangle(point, halfSize: Vector(20, 6), radius: 2.5)
        case .cap:
            return point.length - 22.6 + 1.2 * Self.knurl(point)
        case .oRing:
            return abs(point.length - 16.4) - 3.6
        }
    }

    /// Height of the surface above the floor, in pixels; meaningful inside the silhouette.
    func height(_ point: Vector) -> Float {
        switch self {
        case .hexNut:
            // A 30° chamfer around the top takes the corners off; a countersink leads into the thread.
            let radius = point.length
            return 9 - 0.58 * max(radius - 13.8, 0) - 1.1 * max(9.4 - radius, 0)
        case .washer:
            let radius = point.length
            let edge = min(20.5 - radius, radius - 9.5)
            return 3 - 0.5 * max(1.8 - edge, 0)
        case .screw:
            if point.x < -26 {
                let across = point.y / 12
                return 4 + 9 * max(1 - across * across, 0).squareRoot() - 0.7 * max(-35 - point.x, 0)
            }
            let across = point.y / 6.4
            let thread = 1.1 * ((point.x + 0.35 * point.y) / 4.6).triangleWave
            return 6 * max(1 - across * across, 0).squareRoot() + thread - 0.6 * max(point.x - 33, 0)
        case .pin:
            let across = point.y / 6.6
            return 6.4 * max(1 - across * across, 0).squareRoot() - 0.7 * max(abs(point.x) - 17.5, 0)
        case .cap:
            let radius = point.length
            let rib = min(abs(point.x), abs(point.y))
            let cross: Float = radius < 10 ? 1.2 * (1 - rib.smoothStep(from: 1.5, to: 3)) : 0
            let shoulder = max(radius - 15.5, 0)
            return 12 - 0.05 * shoulder * shoulder - 1.2 * radius.smoothStep(from: 13.5, to: 11)
                + cross - 0.9 * Self.knurl(point) * radius.smoothStep(from: 16, to: 18)
        case .oRing:
            let across = (point.length - 16.4) / 3.9
            return 3.8 * max(1 - across * across, 0).squareRoot()
        }
    }

    /// How the surface takes light.
    var material: Material {
        switch self {
        case .hexNut: Material(albedo: Colour(0.50, 0.50, 0.52), finish: .turnedMetal, gloss: 0.55)
        case .washer: Material(albedo: Colour(0.58, 0.57, 0.54), finish: .turnedMetal, gloss: 0.65)
        case .screw: Material(albedo: Colour(0.44, 0.45, 0.48), finish: .metal, gloss: 0.60)
        case .pin: Material(albedo: Colour(0.60, 0.46, 0.22), finish: .metal, gloss: 0.60)
        case .cap: Material(albedo: Colour(0.55, 0.13, 0.05), finish: .plastic, gloss: 0.20)
        case .oRing: Material(albedo: Colour(0.018, 0.018, 0.02), finish: .plastic, gloss: 0.16)
        }
    }

    /// 0 on the teeth of a cap's rim, 1 in the grooves between them: 32 around the circle.
    ///
    /// Mirroring folds the circle into one half tooth, which needs no angle.
    private static func knurl(_ point: Vector) -> Float {
        var x = abs(point.x)
        var y = abs(point.y)
        if y > x { swap(&x, &y) }
        // Mirror axes at 22.5° and 11.25°.
        for axis in [Vector(0.923_879_5, 0.382_683_43), Vector(0.980_785_3, 0.195_090_32)] {
            let beyond = y * axis.x - x * axis.y
            if beyond > 0 {
                x += 2 * beyond * axis.y
                y -= 2 * beyond * axis.x
            }
        }
        // Within 0…11.25° now: a tooth at the lower end, a groove at the upper.
        return (y / max(x, 1) * 5.03).smoothStep(from: 0.35, to: 0.75)
    }
}

/// How a surface takes light.
struct Material: Hashable, Sendable {
    enum Finish: Hashable, Sendable {
        case plastic
        case metal
        /// Lathe marks around the centre: the highlight spreads into a bow tie across it.
        case turnedMetal
    }

    var albedo: Colour
    var finish: Finish
    /// Strength of the highlight.
    var gloss: Float
}
