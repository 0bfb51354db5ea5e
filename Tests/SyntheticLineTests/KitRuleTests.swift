import Testing

@testable import SyntheticLine

@Suite struct KitRuleTests {
    private func good(_ seed: UInt64) -> Kit { Specimen(seed: seed, defect: nil).kit }

    @Test func everyGoodKitObeysTheRule() {
        for seed in UInt64(0)..<400 {
            #expect(KitRule.violations(of: good(seed)) == [], "seed \(seed)")
        }
    }

    @Test func bothWaysRoundOfEitherRowOccurAmongGoodKits() {
        let arrangements = Set(
            (UInt64(0)..<60).map { seed in
                [Compartment.upperLeft, .lowerLeft].map { good(seed).contents(of: $0) }
            })
        #expect(arrangements.count == 4)
    }

    @Test func namesTheRowOfAMissingPart() {
        var kit = good(1)
        kit.parts.removeAll { $0.kind == .washer }
        #expect(KitRule.violations(of: kit) == [.upperRow])
        kit.parts.removeAll { $0.kind == .cap }
        #expect(KitRule.violations(of: kit) == [.upperRow, .lowerRow])
    }

    @Test func noticesAPartOnTheWallBetweenCompartments() {
        var kit = good(2)
        kit.parts[0].pose.origin = Vector(0, 0)
        #expect(KitRule.violations(of: kit).contains(.outsideCompartments(count: 1)))
    }

    @Test(arguments: DefectKind.logical)
    func everyLogicalDefectBreaksTheRule(_ kind: DefectKind) {
        for seed in UInt64(0)..<150 {
            let specimen = Specimen(seed: seed, defect: kind)
            #expect(!KitRule.violations(of: specimen.kit).isEmpty, "\(kind) seed \(seed)")
            #expect(!specimen.findings.isEmpty, "\(kind) seed \(seed)")
            #expect(
                KitRule.violations(of: Specimen(seed: seed, defect: kind, soundTwin: true).kit) == [],
                "\(kind) seed \(seed)")
        }
    }

    @Test(arguments: DefectKind.structural)
    func everyStructuralDefectLeavesTheRuleIntact(_ kind: DefectKind) {
        for seed in UInt64(0)..<150 {
            let specimen = Specimen(seed: seed, defect: kind)
            #expect(KitRule.violations(of: specimen.kit) == [], "\(kind) seed \(seed)")
            #expect(specimen.damage?.kind == kind, "\(kind) seed \(seed)")
        }
    }

    /// Nothing unphysical: no part runs through another or through a wall, whatever the defect.
    @Test(arguments: [nil] + DefectKind.logical)
    func partsLieFreeOnAFloorOrOnTheBelt(_ kind: DefectKind?) {
        for seed in UInt64(0)..<100 {
            let parts = Specimen(seed: seed, defect: kind).kit.parts
            for (index, part) in parts.enumerated() {
                if let compartment = part.compartment {
                    #expect(part.fits(in: compartment), "seed \(seed) part \(index)")
                } else {
                    let clear = part.footprint.allSatisfy { KitTray.outline($0) > part.kind.footprintRadius }
                    #expect(clear, "seed \(seed) part \(index)")
                }
                #expect(!parts[..<index].contains(where: part.overlaps), "seed \(seed) part \(index)")
            }
        }
    }

    /// The capsule that stands for a part when it is laid out holds all of its silhouette.
    @Test(arguments: PartKind.allCases)
    func footprintsHoldTheWholePart(_ kind: PartKind) {
        for y in -50...50 {
            for x in -50...50 {
                let point = Vector(Float(x), Float(y))
                guard kind.silhouette(point) <= 0 else { continue }
                let along = max(abs(point.x) - kind.footprintHalfLength, 0)
                #expect(Vector(along, point.y).length <= kind.footprintRadius + 1, "\(kind) at \(x), \(y)")
            }
        }
    }
}
