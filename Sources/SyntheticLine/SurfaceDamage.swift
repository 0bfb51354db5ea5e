/// A structural defect: something is wrong with one surface while the kit's rule holds. Lengths in pixels, tray frame.
struct SurfaceDamage: Hashable, Sendable {
    enum Shape: Hashable, Sendable {
        case scratch(Scratch)
        case dent(Dent)
        case stain(Stain)
        /// A piece broken off the tray's rim, or, where the surface is a part, off that part's edge.
        case brokenEdge(Chip)
    }

    var shape: Shape
    var surface: Surface

    var kind: DefectKind {
        switch shape {
        case .scratch: .scratch
        case .dent: .dent
        case .stain: .stain
        case .brokenEdge: .brokenEdge
        }
    }

    /// Damages a good kit, or nil where the first guess finds no place for it.
    static func make(_ kind: DefectKind, in kit: Kit, using random: inout RandomSource) -> SurfaceDamage? {
        switch kind {
        case .scratch:
            guard let (place, surface) = spot(in: kit, among: [.wall, .floor, .part], using: &random) else {
                return nil
            }
            let direction = surface == .wall ? alongTheWall(at: place, using: &random) : random.direction()
            let reach = random.uniform(20...48)
            let bend = Vector(-direction.y, direction.x) * random.uniform(-7...7) * (surface == .wall ? 0.3 : 1)
            let scratch = Scratch(
                start: place - direction * reach, bend: place + bend, end: place + direction * reach,
                halfWidth: random.uniform(1.3...3), strength: random.uniform(0.55...1))
            return SurfaceDamage(shape: .scratch(scratch), surface: surface)
        case .dent:
            guard let (place, surface) = spot(in: kit, among: [.wall, .floor, .part], using: &random) else {
                return nil
            }
            // Soft linings give way over a wide patch, hard walls and parts over a narrow one.
            let radius = if case .floor = surface { random.uniform(9...18) } else { random.uniform(6...10) }
            let dent = Dent(centre: place, radius: radius, depth: radius * random.uniform(0.45...0.75))
            return SurfaceDamage(shape: .dent(dent), surface: surface)
        case .stain:
            guard let (place, _) = spot(in: kit, among: [.wall, .floor], using: &random) else { return nil }
            let blobs = (0..<(3 + random.index(below: 4))).map { _ in
                Disc(
                    centre: place + random.direction() * random.uniform(0...20), radius: random.uniform(8...16))
            }
            let stain = Stain(
                blobs: blobs, strength: random.uniform(0.6...0.95), noise: LatticeNoise(seed: random.next()))
            return SurfaceDamage(shape: .stain(stain), surface: .everything)
        case .brokenEdge:
            return random.chance(0.5) ? brokenTray(using: &random) : brokenPart(in: kit, using: &random)
        case .missing, .extra, .swapped, .misplaced:
            preconditionFailure("\(kind) is not a structural defect")
        }
    }

    private enum SurfaceClass { case wall, floor, part }

    /// A random place well inside a surface of one of the classes, all equally likely, or nil where the kit covers it.
    private static func spot(
        in kit: Kit, among classes: [SurfaceClass], using random: inout RandomSource
    ) -> (Vector, Surface)? {
        let wanted = random.pick(classes)
        for _ in 0..<300 {
            let place = Vector(random.uniform(-1...1), random.uniform(-1...1)) * KitTray.halfSize
            if let surface = surface(of: wanted, at: place, in: kit) { return (place, surface) }
        }
        return nil
    }

    private static func surface(of wanted: SurfaceClass, at place: Vector, in kit: Kit) -> Surface? {
        let compartment = Compartment.nearest(to: place)
        let inside = compartment.outline(place)
        switch wanted {
        case .part:
            // An O-ring is rubber: it neither dents nor shows a scratch.
            return kit.parts.firstIndex { $0.kind != .oRing && $0.silhouette($0.pose.inner(place)) < -2 }
                .map(Surface.part)
        case .wall:
            return KitTray.outline(place) < -2.5 && inside > 2 ? .wall : nil
        case .floor:
            let isFree = !kit.parts.contains { $0.silhouette($0.pose.inner(place)) < 8 }
            return inside < -8 && isFree ? .floor(compartment) : nil
        }
    }

    private static func alongTheWall(at place: Vector, using random: inout RandomSource) -> Vector {
        let isUpright = abs(place.x) < 6 || abs(place.x) > KitTray.halfSize.x - 12
        return random.smallTurn(limit: 0.12).rotated(by: isUpright ? Vector(0, 1) : Vector(1, 0))
    }

    private static func brokenTray(using random: inout RandomSource) -> SurfaceDamage {
        let isUpright = random.chance(0.5)
        let side: Float = random.chance(0.5) ? -1 : 1
        let along = random.uniform(-0.92...0.92)
        let place =
            isUpright
            ? Vector(side * KitTray.halfSize.x, along * KitTray.halfSize.y)
            : Vector(along * KitTray.halfSize.x, side * KitTray.halfSize.y)
        return SurfaceDamage(
            shape: .brokenEdge(Chip.rough(at: place, size: random.uniform(9...15), using: &random)), surface: .wall)
    }

    private static func brokenPart(in kit: Kit, using random: inout RandomSource) -> SurfaceDamage? {
        let index = random.index(below: kit.parts.count)
        let part = kit.parts[index]
        // From the middle outwards until the last edge: where a chip comes off.
        let direction = random.direction()
        guard
            let reach = stride(from: Float(45), to: 4, by: -0.5).first(where: {
                part.kind.silhouette(direction * $0) < 0
            })
        else { return nil }
        let size = min(random.uniform(8...13), part.kind.footprintRadius * 0.85)
        return SurfaceDamage(
            shape: .brokenEdge(Chip.rough(at: direction * reach, size: size, using: &random)), surface: .part(index))
    }
}

/// What a pixel shows.
enum Surface: Hashable, Sendable {
    case belt
    case wall
    case floor(Compartment)
    case part(Int)
    /// The tray and all that lies in it.
    case everything
}

struct Disc: Hashable, Sendable {
    var centre: Vector
    var radius: Float

    func outline(_ point: Vector) -> Float { (point - centre).length - radius }
}

/// A groove along a quadratic Bézier curve, bright where it has been torn open, with a dark flank.
struct Scratch: Hashable, Sendable {
    var start: Vector
    var bend: Vector
    var end: Vector
    var halfWidth: Float
    var strength: Float

    /// Signed distance of the groove; it tapers towards its ends.
    func outline(_ point: Vector) -> Float {
        let pieces = 12
        var nearest = Float.infinity
        var from = start
        for piece in 1...pieces {
            let t = Float(piece) / Float(pieces)
            let to = start * ((1 - t) * (1 - t)) + bend * (2 * t * (1 - t)) + end * (t * t)
            let span = to - from
            let share = ((point - from).dot(span) / span.dot(span)).clamped(to: 0...1)
            let middle = abs(2 * (t - 0.5 / Float(pieces)) - 1)
            nearest = min(nearest, (point - from - span * share).length - halfWidth * (1 - 0.6 * middle * middle))
            from = to
        }
        return nearest
    }
}

/// A shallow round depression.
struct Dent: Hashable, Sendable {
    var centre: Vector
    var radius: Float
    var depth: Float

    func outline(_ point: Vector) -> Float { (point - centre).length - radius }

    /// ∇ of the height −depth·(1 − (r/R)²)².
    func slope(_ point: Vector) -> Vector {
        let offset = (point - centre) / radius
        let rest = max(1 - offset.dot(offset), 0)
        return offset * (4 * depth / radius * rest)
    }
}

/// Something spilt: discs that ran together, with a ragged edge, darker towards the rim where it dried.
struct Stain: Hashable, Sendable {
    var blobs: [Disc]
    var strength: Float
    var noise: LatticeNoise

    func outline(_ point: Vector) -> Float {
        let nearest = blobs.reduce(Float.infinity) { min($0, $1.outline(point)) }
        return nearest + 5 * (noise.value(at: point / 6) - 0.5)
    }
}

/// A broken-off piece: everything within these discs is gone.
struct Chip: Hashable, Sendable {
    var discs: [Disc]

    func outline(_ point: Vector) -> Float { discs.reduce(Float.infinity) { min($0, $1.outline(point)) } }

    static func rough(at place: Vector, size: Float, using random: inout RandomSource) -> Chip {
        Chip(
            discs: (0..<4).map { index in
                let offset = index == 0 ? Vector(0, 0) : random.direction() * size * random.uniform(0.4...0.9)
                return Disc(
                    centre: place + offset, radius: size * (index == 0 ? 0.85 : random.uniform(0.25...0.6)))
            })
    }
}
