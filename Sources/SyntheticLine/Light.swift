/// The lamp and the lens, which drift a little from part to part and never tell good from bad.
struct Light: Hashable, Sendable {
    /// Overall brightness against nominal exposure.
    var gain: Float
    /// Colour of the lamp, near white.
    var tint: Colour
    /// Change of brightness from the picture's middle to its edge, to the right and downwards.
    var tilt: Vector
    /// Share of light lost in the picture's corners.
    var vignette: Float
    /// Towards the lamp, in the image frame with z out of the picture; a unit vector.
    var direction: Colour

    /// The lamp in some state of its drift.
    ///
    /// - Parameter state: Seven values in `0...1`.
    init(state: [Float]) {
        func spread(_ index: Int, _ limit: Float) -> Float { (2 * state[index] - 1) * limit }
        gain = 1 + spread(0, 0.13)
        let warmth = spread(1, 0.05)
        tint = Colour(1 + warmth, 1, 1 - warmth)
        tilt = Vector(spread(2, 0.12), spread(3, 0.12))
        vignette = 0.22 + spread(4, 0.05)
        direction = Colour(-0.42 + spread(5, 0.08), -0.55 + spread(6, 0.08), 0.75).normalized
    }

    static let stateCount = 7

    /// A state of its own, uniform over the whole drift.
    static func random(using random: inout RandomSource) -> Light {
        Light(state: (0..<stateCount).map { _ in random.unit() })
    }

    /// The state after some time of slow drift, within the same limits as `random`.
    ///
    /// - Parameter time: In parts passed; about six bring a new, unrelated state.
    static func drifting(at time: Float, seed: UInt64) -> Light {
        let noise = LatticeNoise(seed: seed)
        return Light(state: (0..<stateCount).map { noise.value(at: Vector(time / 6, Float($0) * 7 + 0.5)) })
    }

    /// How much light reaches a point of the picture.
    ///
    /// - Parameter place: Both coordinates −1…1 from edge to edge.
    func illumination(at place: Vector) -> Float {
        gain * (1 + tilt.dot(place)) * (1 - vignette * 0.5 * place.dot(place))
    }

    /// The lamp's direction in a frame turned by `direction` against the image.
    func direction(in frame: Vector) -> Colour {
        let flat = Vector(direction.x, direction.y).rotated(backBy: frame)
        return Colour(flat.x, flat.y, direction.z)
    }
}

extension Material {
    /// Radiance towards the camera straight above, before the lamp's strength.
    ///
    /// Lambert's cosine for what scatters, a power of the halfway cosine (Blinn 1977) for the highlight; metal also
    /// mirrors the bright and dark halves of the room.
    ///
    /// - Parameters:
    ///   - normal: Unit normal in the part's frame.
    ///   - place: Point from the part's middle.
    ///   - lamp: Unit vector towards the lamp in the part's frame.
    func radiance(normal: Colour, place: Vector, lamp: Colour) -> Colour {
        let diffuse = max(normal.dot(lamp), 0)
        let halfway = (lamp + Colour(0, 0, 1)).normalized
        let facing = max(normal.dot(halfway), 0)
        let squared = facing * facing
        let fourth = squared * squared
        let eighth = fourth * fourth
        let sharp = eighth * eighth * eighth * eighth
        switch finish {
        case .plastic:
            return albedo * (0.22 + 0.95 * diffuse) + Colour(repeating: gloss * sharp)
        case .metal:
            let room = 0.5 + 0.5 * (normal.x * lamp.x + normal.y * lamp.y) * 1.4
            return albedo * (0.25 + 0.45 * diffuse + 0.45 * room) + albedo * (gloss * 0.9 * sharp)
        case .turnedMetal:
            let flatLamp = Vector(lamp.x, lamp.y)
            let across = place.dot(flatLamp)
            let share = across * across / max(place.dot(place) * flatLamp.dot(flatLamp), 1e-6)
            let bowTie = share * share * share
            let room = 0.5 + 0.5 * (normal.x * lamp.x + normal.y * lamp.y) * 1.4
            return albedo * (0.22 + 0.40 * diffuse + 0.30 * room) + albedo * (gloss * (0.7 * bowTie + 0.5 * sharp))
        }
    }
}
