import Foundation
import Testing

@testable import SyntheticLine

/// A picture with a defect against the same one without: what differs is what the ground truth says.
@Suite struct DefectMaskTests {
    /// How far a part's or the tray's shadow and the motion blur reach beyond an edge, in pixels.
    private let shadowReach = 12

    /// In grey values. Both pictures have the same noise, so only rounding and far shadows stay below this.
    private let visibleChange = 6

    private func item(_ kind: DefectKind, _ round: Int) -> SyntheticItem {
        let kinds = kind.isLogical ? DefectKind.logical : DefectKind.structural
        let index = round * kinds.count + (kinds.firstIndex(of: kind) ?? 0)
        let item = SyntheticItem(seed: 77, split: kind.isLogical ? .testLogical : .testStructural, index: index)
        #expect(item.defect == kind)
        return item
    }

    @Test(arguments: DefectKind.allCases)
    func nothingChangesOutsideTheGroundTruthAndTheVanishedParts(_ kind: DefectKind) {
        for round in 0..<6 {
            let item = item(kind, round)
            let labelled = item.render()
            let twin = SceneRenderer.photograph(item.scene(soundTwin: true))
            let explained = grown(explainedPixels(item, labelled), by: shadowReach, width: twin.width)
            let changed = changedPixels(labelled.image, twin)
            let unexplained = changed.indices.count { changed[$0] && !explained[$0] }
            #expect(unexplained == 0, "\(kind) \(round)")
        }
    }

    @Test(arguments: DefectKind.allCases)
    func everyRegionHoldsAVisibleChange(_ kind: DefectKind) {
        for round in 0..<6 {
            let item = item(kind, round)
            let labelled = item.render()
            let twin = SceneRenderer.photograph(item.scene(soundTwin: true))
            let changed = changedPixels(labelled.image, twin)
            #expect(!labelled.masks.isEmpty, "\(kind) \(round)")
            for mask in labelled.masks {
                let marked = mask.pixels.indices.filter { mask.pixels[$0] != 0 }
                #expect(marked.count >= 8, "\(kind) \(round): \(marked.count) pixels marked")
                #expect(Set(mask.pixels).subtracting([0]) == [mask.definition.pixelValue])
                let share = Double(marked.count { changed[$0] }) / Double(marked.count)
                // The place of a missing part is a small share of where it could be.
                #expect(share > (mask.definition.name.hasPrefix("missing") ? 0.015 : 0.1), "\(kind) \(round): \(share)")
            }
        }
    }

    @Test func aMissingPartIsLookedForOnTheWholeFreeFloor() throws {
        for round in 0..<4 {
            let labelled = item(.missing, round).render()
            for mask in labelled.masks {
                let area = mask.pixels.count { $0 != 0 }
                guard case .pixels(let threshold) = mask.definition.saturation else {
                    Issue.record("\(mask.definition.name) saturates with the region")
                    continue
                }
                #expect(area > 3 * threshold, "\(mask.definition.name)")
                // 114 × 98 pixels of floor, and no wall.
                #expect(area < 114 * 98)
            }
        }
    }

    @Test func goodPartsHaveNoRegions() {
        #expect(SyntheticItem(seed: 1, split: .testGood, index: 0).render().masks.isEmpty)
    }

    @Test func definitionsHaveTheirOwnGreyValues() {
        let definitions = SyntheticDataset.defectDefinitions
        #expect(Set(definitions.map(\.pixelValue)).count == definitions.count)
        #expect(Set(definitions.map(\.name)).count == definitions.count)
        #expect(!definitions.map(\.pixelValue).contains(0))
    }

    @Test func definitionsAreWrittenAsTheOfficialToolsReadThem() throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let missing = try #require(String(data: encoder.encode(DefectDefinition.missing(.washer)), encoding: .utf8))
        let area = PartKind.washer.area
        #expect(
            missing
                == #"{"defect_name":"missing_washer","pixel_value":254,"relative_saturation":false,"#
                + #""saturation_threshold":\#(area)}"#)
        let data = try encoder.encode(SyntheticDataset.defectDefinitions)
        #expect(try JSONDecoder().decode([DefectDefinition].self, from: data) == SyntheticDataset.defectDefinitions)
    }

    /// π(20.5² − 9.5²) = 1036.7; counting pixel middles comes within the edge's rounding.
    @Test func aPartsAreaIsItsSilhouettes() {
        #expect(abs(PartKind.washer.area - 1037) < 20)
    }

    /// The ground truth and where parts used to lie that are there no more.
    private func explainedPixels(_ item: SyntheticItem, _ labelled: LabelledImage) -> [Bool] {
        var explained = [Bool](repeating: false, count: labelled.image.width * labelled.image.height)
        for mask in labelled.masks {
            for index in mask.pixels.indices where mask.pixels[index] != 0 { explained[index] = true }
        }
        let tray = item.scene(soundTwin: true).trays[0]
        let present = item.scene(soundTwin: false).trays[0].specimen.kit.parts
        let vanished = tray.specimen.kit.parts.filter { part in
            !present.contains { $0.pose == part.pose && $0.kind == part.kind }
        }
        for index in explained.indices {
            let place = Vector(
                Float(index % labelled.image.width) + 0.5, Float(index / labelled.image.width) + 0.5)
            let point = tray.pose.inner(place)
            if vanished.contains(where: { $0.silhouette($0.pose.inner(point)) <= 0 }) { explained[index] = true }
        }
        return explained
    }

    private func changedPixels(_ image: RenderedImage, _ other: RenderedImage) -> [Bool] {
        (0..<image.width * image.height).map { index in
            (0..<3).contains { channel in
                abs(Int(image.pixels[index * 3 + channel]) - Int(other.pixels[index * 3 + channel])) > visibleChange
            }
        }
    }

    /// Dilated by a square.
    private func grown(_ region: [Bool], by reach: Int, width: Int) -> [Bool] {
        let height = region.count / width
        var wide = region
        for y in 0..<height {
            for x in 0..<width where region[y * width + x] {
                for near in max(x - reach, 0)...min(x + reach, width - 1) { wide[y * width + near] = true }
            }
        }
        var grown = wide
        for y in 0..<height {
            for x in 0..<width where wide[y * width + x] {
                for near in max(y - reach, 0)...min(y + reach, height - 1) { grown[near * width + x] = true }
            }
        }
        return grown
    }
}
