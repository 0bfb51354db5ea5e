import Testing

@testable import Evaluation

@Suite struct GroundTruthTests {
    @Test func saturationsAreTruncatedSharesAndBoundedPixels() throws {
        // ALGORITHMS §9.10: a share of 0.5 of 7 pixels are 3.
        #expect(SaturationThreshold.share(0.5).saturation(ofArea: 7) == 3)
        #expect(SaturationThreshold.share(1).saturation(ofArea: 7) == 7)
        #expect(SaturationThreshold.pixels(5).saturation(ofArea: 7) == 5)
        #expect(SaturationThreshold.pixels(500).saturation(ofArea: 7) == 7)
    }

    @Test func aMaskIsItsRunsAndValues() {
        let mask = Self.mask([0, 3, 3, 0, 0, 9, 3, 0, 1], width: 3)
        #expect(mask.width == 3 && mask.height == 3)
        #expect(mask.values == [1, 3, 9])
        #expect(mask.region.area == 5)
        #expect(
            mask.region.runs.map { [$0.row, $0.columns.lowerBound, $0.columns.upperBound] }
                == [[0, 1, 3], [1, 2, 3], [2, 0, 1], [2, 2, 3]])
    }

    @Test func masksThatAreNoGroundTruthAreRefused() {
        let empty = Self.mask([0, 0, 0, 0], width: 2)
        let one = Self.mask([7, 0, 0, 0], width: 2)
        #expect(throws: GroundTruthError.emptyMask) { try GroundTruth(componentsOf: empty) }
        #expect(throws: GroundTruthError.emptyMask) { try GroundTruth(channels: [empty], saturations: [:]) }
        #expect(throws: GroundTruthError.severalValues([4, 7])) {
            try GroundTruth(channels: [Self.mask([7, 4, 0, 0], width: 2)], saturations: [7: .share(1), 4: .share(1)])
        }
        #expect(throws: GroundTruthError.unknownValue(7, known: [8, 200])) {
            try GroundTruth(channels: [one], saturations: [200: .share(1), 8: .share(1)])
        }
        #expect(throws: GroundTruthError.nothingToFind(7, area: 1)) {
            try GroundTruth(channels: [one], saturations: [7: .share(0.5)])
        }
        #expect(throws: GroundTruthError.wrongSize(width: 1, height: 4, expectedWidth: 2, expectedHeight: 2)) {
            try GroundTruth(channels: [one, Self.mask([7, 7, 7, 7], width: 1)], saturations: [7: .share(1)])
        }
        #expect(throws: GroundTruthError.wrongSize(width: 2, height: 2, expectedWidth: 4, expectedHeight: 1)) {
            try GroundTruth(componentsOf: one).checkSize(width: 4, height: 1)
        }
    }

    @Test func errorsSayWhatToDo() {
        #expect(
            GroundTruthError.unknownValue(7, known: [8, 200]).description
                == "the mask has the grey value 7, which defects_config.json does not define (it has 8, 200); add it there "
                + "or correct the mask")
    }

    private static func mask(_ pixels: [UInt8], width: Int) -> Mask { Mask(pixels: pixels.span, width: width) }
}
