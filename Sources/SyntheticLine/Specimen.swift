/// One tray with its kit, good or not, as its seed makes it.
///
/// With the same seed, the tray with a defect and the one without differ in the defect alone.
struct Specimen: Hashable, Sendable {
    /// What the ground truth marks.
    struct Finding: Hashable, Sendable {
        enum Region: Hashable, Sendable {
            case surface([Surface])
            case damage
        }

        var definition: DefectDefinition
        var region: Region
    }

    var kit: Kit
    var damage: SurfaceDamage?
    var findings: [Finding]
    /// Offset and turn of the tray against its nominal place; every other tray travels the other way round.
    var pose: Pose

    /// - Parameters:
    ///   - defect: What is wrong, or nil for a good part.
    ///   - soundTwin: Leaves the defect away from a tray that is otherwise the one with it.
    init(seed: UInt64, defect: DefectKind?, soundTwin: Bool = false) {
        let source = RandomSource(seed: seed)
        var placing = source.stream(1)
        let turn = placing.smallTurn(limit: 0.06)
        pose = Pose(
            origin: Vector(placing.uniform(-11...11), placing.uniform(-13...13)),
            direction: placing.chance(0.5) ? turn : -turn)
        var arranging = source.stream(2)
        var damaging = source.stream(3)
        // Some arrangements leave no room for some defects: then the next one is drawn, for the twin as well.
        while true {
            let good = Kit.arranged(using: &arranging)
            kit = good
            damage = nil
            findings = []
            guard let defect else { return }
            if defect.isLogical {
                guard let broken = LogicalDefect.make(defect, in: good, using: &damaging) else { continue }
                if !soundTwin {
                    kit = broken.kit
                    findings = broken.findings
                }
            } else {
                guard let damage = SurfaceDamage.make(defect, in: good, using: &damaging) else { continue }
                if !soundTwin {
                    self.damage = damage
                    findings = [Finding(definition: .wholeRegion(defect), region: .damage)]
                    if case .brokenEdge(let chip) = damage.shape, case .part(let index) = damage.surface {
                        kit.parts[index].chip = chip
                    }
                }
            }
            return
        }
    }
}
