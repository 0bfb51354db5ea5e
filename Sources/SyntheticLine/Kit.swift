/// A part and where it lies, in the tray's frame.
struct PlacedPart: Hashable, Sendable {
    var kind: PartKind
    var pose: Pose
    /// A piece broken off its edge.
    var chip: Chip?
    /// Lightness of this specimen against the ordinary one.
    var shade: Float = 1

    /// The compartment that holds the part's middle; nil on the belt.
    var compartment: Compartment? {
        let nearest = Compartment.nearest(to: pose.origin)
        return nearest.outline(pose.origin) < 0 ? nearest : nil
    }

    /// Signed distance of what is left of the part, in its own frame.
    func silhouette(_ point: Vector) -> Float {
        let whole = kind.silhouette(point)
        guard let chip else { return whole }
        return max(whole, -chip.outline(point))
    }

    /// Discs along the footprint's axis that together stand for it.
    var footprint: [Vector] {
        let half = kind.footprintHalfLength
        guard half > 0 else { return [pose.origin] }
        let steps = Int((half / kind.footprintRadius * 1.5).rounded(.up))
        return (-steps...steps).map { pose.outer(Vector(half * Float($0) / Float(steps), 0)) }
    }

    /// Whether two parts would overlap, with a pixel of air.
    func overlaps(_ other: PlacedPart) -> Bool {
        let reach = kind.footprintRadius + other.kind.footprintRadius + 1
        return footprint.contains { mine in other.footprint.contains { ($0 - mine).length < reach } }
    }

    /// Whether the whole footprint lies on the compartment's floor.
    func fits(in compartment: Compartment) -> Bool {
        footprint.allSatisfy { compartment.outline($0) <= -kind.footprintRadius - 1 }
    }
}

/// What lies in one tray, and beside it.
struct Kit: Hashable, Sendable {
    var parts: [PlacedPart]

    /// A kit as it should be, arranged at random within the rule.
    static func arranged(using random: inout RandomSource) -> Kit {
        var kit = Kit(parts: [])
        for (compartment, filling) in KitRule.fillings(using: &random) {
            kit.parts += arrange(filling, in: compartment, using: &random)
        }
        return kit
    }

    /// Lays a filling out in its compartment, from the start again whenever one part finds no room.
    private static func arrange(
        _ filling: [PartKind], in compartment: Compartment, using random: inout RandomSource
    ) -> [PlacedPart] {
        while true {
            var kit = Kit(parts: [])
            for kind in filling {
                guard let part = kit.freePlace(for: kind, in: compartment, using: &random) else { break }
                kit.parts.append(part)
            }
            if kit.parts.count == filling.count { return kit.parts }
        }
    }

    /// A place for one more part in a compartment, or nil where some forty tries found none.
    func freePlace(
        for kind: PartKind, in compartment: Compartment, using random: inout RandomSource
    ) -> PlacedPart? {
        let room = KitTray.compartmentHalfSize
        for _ in 0..<40 {
            let offset = Vector(random.uniform(-room.x...room.x), random.uniform(-room.y...room.y))
            let part = PlacedPart(
                kind: kind, pose: Pose(origin: compartment.centre + offset, direction: random.direction()),
                shade: random.uniform(0.88...1.12))
            if part.fits(in: compartment), !parts.contains(where: part.overlaps) { return part }
        }
        return nil
    }

    /// The kinds in a compartment.
    func contents(of compartment: Compartment) -> [PartKind: Int] {
        parts.reduce(into: [:]) { counts, part in
            if part.compartment == compartment { counts[part.kind, default: 0] += 1 }
        }
    }
}
