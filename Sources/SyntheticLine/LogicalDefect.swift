/// A broken rule: the kit as it is now, and where to look.
struct LogicalDefect: Sendable {
    var kit: Kit
    var findings: [Specimen.Finding]

    /// Breaks the rule of a good kit, or nil where this arrangement leaves no room for it.
    static func make(_ kind: DefectKind, in kit: Kit, using random: inout RandomSource) -> LogicalDefect? {
        switch kind {
        case .missing: missing(in: kit, using: &random)
        case .extra: extra(in: kit, using: &random)
        case .swapped: random.chance(0.6) ? replaced(in: kit, using: &random) : exchanged(in: kit, using: &random)
        case .misplaced: misplaced(in: kit, using: &random)
        case .scratch, .dent, .stain, .brokenEdge: preconditionFailure("\(kind) is not a logical defect")
        }
    }

    /// One part, or now and then two, left out.
    private static func missing(in kit: Kit, using random: inout RandomSource) -> LogicalDefect {
        var defect = LogicalDefect(kit: kit, findings: [])
        for _ in 0..<(random.chance(0.2) ? 2 : 1) {
            let part = defect.kit.parts.remove(at: random.index(below: defect.kit.parts.count))
            if let home = part.compartment {
                defect.findings.append(
                    Specimen.Finding(definition: .missing(part.kind), region: .surface([.floor(home)])))
            }
        }
        return defect
    }

    /// One part too many in a compartment where its kind belongs.
    ///
    /// Any of its kind there could be the one too many, so the region is all of them.
    private static func extra(in kit: Kit, using random: inout RandomSource) -> LogicalDefect? {
        let model = random.pick(kit.parts)
        guard let home = model.compartment, let part = kit.freePlace(for: model.kind, in: home, using: &random) else {
            return nil
        }
        var kit = kit
        kit.parts.append(part)
        let same = kit.parts.indices.filter { kit.parts[$0].kind == part.kind && kit.parts[$0].compartment == home }
        return LogicalDefect(
            kit: kit,
            findings: [Specimen.Finding(definition: .extra(part.kind), region: .surface(same.map(Surface.part)))])
    }

    /// A part of a wrong kind in the place of a right one.
    private static func replaced(in kit: Kit, using random: inout RandomSource) -> LogicalDefect? {
        let index = random.index(below: kit.parts.count)
        var kit = kit
        let old = kit.parts.remove(at: index)
        let kind = random.pick(PartKind.allCases.filter { $0 != old.kind })
        guard let home = old.compartment, let part = kit.freePlace(for: kind, in: home, using: &random) else {
            return nil
        }
        kit.parts.insert(part, at: index)
        return LogicalDefect(
            kit: kit, findings: [Specimen.Finding(definition: .wholeRegion(.swapped), region: .surface([.part(index)]))]
        )
    }

    /// Two parts of different kinds and compartments, each in the other's compartment.
    private static func exchanged(in kit: Kit, using random: inout RandomSource) -> LogicalDefect? {
        let first = random.index(below: kit.parts.count)
        let second = random.index(below: kit.parts.count)
        guard kit.parts[first].kind != kit.parts[second].kind,
            let home = kit.parts[first].compartment, let away = kit.parts[second].compartment, home != away
        else { return nil }
        var rest = kit
        rest.parts.removeAll { $0 == kit.parts[first] || $0 == kit.parts[second] }
        guard let there = rest.freePlace(for: kit.parts[first].kind, in: away, using: &random) else { return nil }
        rest.parts.append(there)
        guard let here = rest.freePlace(for: kit.parts[second].kind, in: home, using: &random) else { return nil }
        var kit = kit
        kit.parts[first] = there
        kit.parts[second] = here
        return LogicalDefect(
            kit: kit,
            findings: [first, second].map {
                Specimen.Finding(definition: .wholeRegion(.swapped), region: .surface([.part($0)]))
            })
    }

    /// A part in a compartment that is not its own, or on the belt beside the tray.
    ///
    /// Two regions: where it lies, and where it is not.
    private static func misplaced(in kit: Kit, using random: inout RandomSource) -> LogicalDefect? {
        let index = random.index(below: kit.parts.count)
        let old = kit.parts[index]
        guard let home = old.compartment else { return nil }
        var rest = kit
        rest.parts.remove(at: index)
        let place: PlacedPart?
        if random.chance(0.3) {
            place = besideTheTray(old, using: &random)
        } else {
            let other = random.pick(Compartment.allCases.filter { $0 != home })
            place = rest.freePlace(for: old.kind, in: other, using: &random)
        }
        guard var part = place else { return nil }
        part.shade = old.shade
        var kit = kit
        kit.parts[index] = part
        return LogicalDefect(
            kit: kit,
            findings: [
                Specimen.Finding(definition: .wholeRegion(.misplaced), region: .surface([.part(index)])),
                Specimen.Finding(definition: .missing(old.kind), region: .surface([.floor(home)])),
            ])
    }

    /// On the belt above or below the tray, near enough to be in the picture wholly whatever the tray's jitter.
    private static func besideTheTray(_ part: PlacedPart, using random: inout RandomSource) -> PlacedPart? {
        let side: Float = random.chance(0.5) ? -1 : 1
        let length = part.kind.footprintHalfLength + part.kind.footprintRadius
        let y = KitTray.halfSize.y + part.kind.footprintRadius + random.uniform(2...4)
        guard y + part.kind.footprintRadius < KitTray.halfSize.y + 40 else { return nil }
        var part = part
        let x = random.uniform(-(KitTray.halfSize.x - length)...(KitTray.halfSize.x - length))
        part.pose = Pose(origin: Vector(x, side * y), direction: random.smallTurn(limit: 0.03))
        return part
    }
}
