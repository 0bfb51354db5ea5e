import AnomalyScoring
import Imaging
import InspectionProtocol
import TensorKernels
import Testing

@testable import InspectionRuntime

@Suite struct AnomalousRegionTests {
    /// A 4×4 map of a region of 40×20 source pixels at (100, 200): a cell is 10×5 pixels.
    private func find(_ rows: [[Float]], above limit: Float = 1) -> [AnomalousRegion] {
        AnomalousRegion.find(
            in: Tensor(shape: [1, rows.count, rows[0].count], values: rows.flatMap { $0 }),
            showing: RegionOfInterest(x: 100, y: 200, width: 40, height: 20), above: limit)
    }

    @Test func cellsThatShareAnEdgeAreOneRegion() {
        let regions = find([
            [0, 2, 0, 0],
            [0, 3, 4, 0],
            [0, 0, 0, 0],
            [9, 0, 0, 0],
        ])
        #expect(
            regions == [
                AnomalousRegion(x: 100, y: 215, width: 10, height: 5, areaInPixels: 50, peak: 9, mean: 9),
                AnomalousRegion(x: 110, y: 200, width: 20, height: 10, areaInPixels: 150, peak: 4, mean: 3),
            ])
    }

    @Test func cellsThatShareACornerAreTwoRegions() {
        #expect(find([[2, 0, 0, 0], [0, 2, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]).count == 2)
    }

    @Test func theLimitItselfDoesNotStandOut() {
        #expect(find([[1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1]]).isEmpty)
    }

    @Test func aMapThatStandsOutEverywhereIsOneRegionOfTheWholeSize() {
        let regions = find(Array(repeating: [2, 2, 2, 2], count: 4))
        #expect(
            regions == [AnomalousRegion(x: 100, y: 200, width: 40, height: 20, areaInPixels: 800, peak: 2, mean: 2)])
    }

    @Test func onlyTheHighestSixteenAreKept() {
        var values = [Float](repeating: 0, count: 64 * 64)
        for index in 0..<20 { values[index * 128 + 5] = Float(index + 2) }
        let regions = AnomalousRegion.find(
            in: Tensor(shape: [1, 64, 64], values: values),
            showing: RegionOfInterest(x: 0, y: 0, width: 64, height: 64), above: 1)
        #expect(regions.map(\.peak) == (6...21).reversed().map(Double.init))
    }

    /// Against flood-free labelling: cells joined until nothing changes, on random maps.
    @Test func agreesWithLabelsThatSpreadUntilNothingChanges() {
        var generator = SplitMix64(state: 3)
        for _ in 0..<50 {
            let values = (0..<48).map { _ in Float.random(in: 0..<2, using: &generator) }
            let found = AnomalousRegion.find(
                in: Tensor(shape: [1, 6, 8], values: values),
                showing: RegionOfInterest(x: 0, y: 0, width: 8, height: 6), above: 1)
            var labels = values.indices.map { values[$0] > 1 ? $0 : -1 }
            var changed = true
            while changed {
                changed = false
                for cell in labels.indices where labels[cell] >= 0 {
                    for neighbour in [cell - 8, cell + 8] + (cell % 8 > 0 ? [cell - 1] : [])
                        + (cell % 8 < 7 ? [cell + 1] : [])
                    where labels.indices.contains(neighbour) && labels[neighbour] > labels[cell] {
                        labels[cell] = labels[neighbour]
                        changed = true
                    }
                }
            }
            let areas = Dictionary(grouping: labels.filter { $0 >= 0 }) { $0 }.values.map(\.count)
            #expect(found.map(\.areaInPixels).sorted() == areas.sorted())
        }
    }
}

/// The same numbers in every run.
private struct SplitMix64: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
