/// What the camera looks at: the belt, the trays in view, the lamp.
struct Scene: Sendable {
    struct Tray: Sendable {
        var specimen: Specimen
        /// Where the tray's middle is in the picture.
        var pose: Pose
    }

    /// How far the belt has moved to the right since the start, in pixels.
    var beltTravel: Float
    var trays: [Tray]
    var light: Light
    /// Seed of the sensor's noise.
    var noiseSeed: UInt64
}

/// Draws a scene: belt, trays, parts and damage into linear light, then the sensor.
///
/// Plain rasterising: every surface is a signed distance and a height, every edge is half a pixel of ramp. Only
/// additions, products, quotients and square roots of `Float` take part, each of which IEEE 754 fixes to the last bit
/// (Swift contracts none of them), so the bytes are the same on every x86-64 machine.
struct SceneRenderer: Sendable {
    /// Side of the square picture, in pixels.
    static let side = 320

    /// How far the belt moves while the shutter is open, in pixels.
    static let motionBlur: Float = 2.2

    /// Standard deviation of the sensor's noise, in grey values.
    static let noiseDeviation: Float = 2

    private static let beltNoise = LatticeNoise(seed: 0xBE17)
    private static let beltBlotches = LatticeNoise(seed: 0xB107)
    private static let beltStreaks = LatticeNoise(seed: 0x57EA)
    private static let liningNoise = LatticeNoise(seed: 0xF0A3)
    private static let breakNoise = LatticeNoise(seed: 0xB6EA)

    /// Draws everything up to the lens.
    static func draw(_ scene: Scene) -> Canvas {
        var canvas = Canvas(width: side, height: side)
        drawBelt(travel: scene.beltTravel, on: &canvas)
        for tray in scene.trays {
            drawTray(tray, light: scene.light, on: &canvas)
            for index in tray.specimen.kit.parts.indices {
                drawPart(index, of: tray, light: scene.light, on: &canvas)
            }
            if let damage = tray.specimen.damage { draw(damage, on: tray, light: scene.light, on: &canvas) }
        }
        return canvas
    }

    // MARK: Belt

    /// Dark green rubber with a slanting weave, blotches, and streaks along the travel.
    private static func drawBelt(travel: Float, on canvas: inout Canvas) {
        canvas.paintAll { place, light, owner in
            let belt = Vector(place.x - travel, place.y)
            let grain = beltNoise.value(at: belt / 2.4)
            let blotch = beltBlotches.value(at: Vector(belt.x / 70, belt.y / 45))
            let streak = beltStreaks.value(at: Vector(belt.x / 150, belt.y / 3.5))
            let weave = ((belt.x + belt.y * 0.5) / 8).triangleWave
            let tone = 0.62 + 0.30 * grain + 0.25 * blotch + 0.22 * streak * streak + 0.16 * weave
            light = Colour(0.052, 0.074, 0.066) * tone
            owner = Canvas.code(of: .belt)
        }
    }

    // MARK: Tray

    private static let rimWidth: Float = 3

    /// Height of the plate: flat on top, rounded off over the last pixels before each edge.
    private static func wallHeight(_ point: Vector) -> Float {
        let edge = min(-KitTray.outline(point), Compartment.nearest(to: point).outline(point))
        let rest = 1 - (edge / rimWidth).clamped(to: 0...1)
        return -2.2 * rest * rest
    }

    private static func drawTray(_ tray: Scene.Tray, light lamp: Light, on canvas: inout Canvas) {
        let chip: Chip? =
            if case .brokenEdge(let chip) = tray.specimen.damage?.shape, tray.specimen.damage?.surface == .wall {
                chip
            } else { nil }
        let toLamp = lamp.direction(in: tray.pose.direction)
        let lampSide = Vector(toLamp.x, toLamp.y)
        let plastic = Material(albedo: Colour(0.27, 0.28, 0.29), finish: .plastic, gloss: 0.10)
        let reach = KitTray.halfSize.length + 14

        canvas.paint(around: tray.pose.origin, reach: reach) { place, light, owner in
            let point = tray.pose.inner(place)
            let whole = KitTray.outline(point)
            guard whole < 16 else { return }
            let compartment = Compartment.nearest(to: point)
            let inside = compartment.outline(point)
            // A chip takes a piece of the rim; the floor behind it stays.
            let outline = chip.map { max(whole, min(-$0.outline(point), inside)) } ?? whole
            let shadow = KitTray.outline(point + lampSide * 12).smoothStep(from: 5, to: -5)
            light *= 1 - 0.55 * shadow
            let coverage = SignedDistance.coverage(outline)
            guard coverage > 0 else { return }

            var colour = Colour.zero
            if inside > -0.5 {
                let height = wallHeight(point)
                let slope = Vector(
                    wallHeight(point + Vector(0.5, 0)) - height, wallHeight(point + Vector(0, 0.5)) - height)
                let normal = Colour(-slope.x * 2, -slope.y * 2, 1).normalized
                colour = plastic.radiance(normal: normal, place: point, lamp: toLamp)
                colour *= 0.96 + 0.08 * liningNoise.value(at: point / 3)
                if let chip, chip.outline(point) < 2.5 {
                    colour *= 1.1 + 0.8 * breakNoise.value(at: point / 1.5)
                }
            }
            if inside < 0.5 {
                let floor = floorColour(compartment, at: point)
                let cast = compartment.outline(point + lampSide * 14).smoothStep(from: -4, to: 4)
                let corner = inside.smoothStep(from: -10, to: 1)
                colour += (floor * ((1 - 0.5 * cast) * (1 - 0.3 * corner)) - colour) * SignedDistance.coverage(inside)
            }
            light += (colour - light) * coverage
            if outline <= 0 {
                owner = Canvas.code(of: inside <= 0 ? .floor(compartment) : .wall)
            }
        }
    }

    private static func floorColour(_ compartment: Compartment, at point: Vector) -> Colour {
        let grain = liningNoise.value(at: point / 1.7)
        if compartment.isUpper {
            let rib = (point.x / 7.6).triangleWave.smoothStep(from: 0.2, to: 0.8)
            return Colour(0.105, 0.105, 0.11) * (0.62 + 0.45 * rib + 0.25 * grain)
        }
        let pores = liningNoise.value(at: point / 4.1 + Vector(91, 37))
        return Colour(0.035, 0.085, 0.19) * (0.6 + 0.45 * grain + 0.35 * pores)
    }

    // MARK: Parts

    private static func drawPart(
        _ index: Int, of tray: Scene.Tray, light lamp: Light, on canvas: inout Canvas
    ) {
        let part = tray.specimen.kit.parts[index]
        let pose = tray.pose.outer(part.pose)
        let toLamp = lamp.direction(in: pose.direction)
        let lampSide = Vector(toLamp.x, toLamp.y)
        let material = part.kind.material
        let reach = part.kind.footprintHalfLength + part.kind.footprintRadius + 16

        canvas.paint(around: pose.origin, reach: reach) { place, light, owner in
            let point = pose.inner(place)
            let outline = part.silhouette(point)
            let shadow = part.silhouette(point + lampSide * 6).smoothStep(from: 3.5, to: -3)
            let contact = outline.smoothStep(from: 5, to: 0)
            light *= (1 - 0.55 * shadow) * (1 - 0.25 * contact)
            let coverage = SignedDistance.coverage(outline)
            guard coverage > 0 else { return }

            let height = part.kind.height(point)
            let slope = Vector(
                part.kind.height(point + Vector(0.5, 0)) - height, part.kind.height(point + Vector(0, 0.5)) - height)
            let normal = Colour(-slope.x * 2, -slope.y * 2, 1).normalized
            var colour = material.radiance(normal: normal, place: point, lamp: toLamp) * part.shade
            if let chip = part.chip, chip.outline(point) < 2 {
                colour *= 0.6 + 0.9 * breakNoise.value(at: point / 1.3)
            }
            light += (colour - light) * coverage
            if outline <= 0 { owner = Canvas.code(of: .part(index)) }
        }
    }

    // MARK: Damage

    /// Draws what lies on a surface; a broken edge is already missing from it.
    private static func draw(
        _ damage: SurfaceDamage, on tray: Scene.Tray, light lamp: Light, on canvas: inout Canvas
    ) {
        let toLamp = lamp.direction(in: tray.pose.direction)
        let (centre, reach) = damage.extent
        canvas.paint(around: tray.pose.outer(centre), reach: reach) { place, light, owner in
            guard Canvas.owner(owner, shows: damage.surface) else { return }
            let point = tray.pose.inner(place)
            switch damage.shape {
            case .scratch(let scratch):
                let flank = scratch.outline(point - Vector(toLamp.x, toLamp.y) * 2)
                light *= 1 - 0.5 * scratch.strength * SignedDistance.coverage(flank)
                let bare = light * 1.7 + Colour(repeating: 0.24)
                light += (bare - light) * (scratch.strength * SignedDistance.coverage(scratch.outline(point)))
            case .dent(let dent):
                let slope = dent.slope(point)
                let normal = Colour(-slope.x, -slope.y, 1).normalized
                let change = normal.dot(toLamp) / toLamp.z
                light *= max(0.25, 1 + 1.5 * (change - 1))
            case .stain(let stain):
                let outline = stain.outline(point)
                let soaked = outline.smoothStep(from: 1.5, to: -1.5)
                let rim = 1 - abs((outline + 2.5) / 2.5).clamped(to: 0...1)
                let residue = Colour(0.070, 0.036, 0.012)
                let share: Float = stain.strength * soaked * (0.75 + 0.5 * rim)
                light *= 1 - 0.85 * share
                light += residue * share
            case .brokenEdge:
                break
            }
        }
    }
}

extension SurfaceDamage {
    /// A disc that holds everything the damage changes, in the tray's frame.
    var extent: (centre: Vector, reach: Float) {
        switch shape {
        case .scratch(let scratch):
            let middle = (scratch.start + scratch.end) / 2
            return (middle, (scratch.end - middle).length + (scratch.bend - middle).length + 6)
        case .dent(let dent):
            return (dent.centre, dent.radius + 1)
        case .stain(let stain):
            let middle = stain.blobs[0].centre
            return (middle, stain.blobs.map { ($0.centre - middle).length + $0.radius }.reduce(0, max) + 5)
        case .brokenEdge(let chip):
            let middle = chip.discs[0].centre
            return (middle, chip.discs.map { ($0.centre - middle).length + $0.radius }.reduce(0, max) + 1)
        }
    }
}
