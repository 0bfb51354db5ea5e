import Imaging
import Testing

@testable import SyntheticLine

@Suite struct SyntheticDatasetTests {
    private func small(seed: UInt64) -> SyntheticDataset {
        var configuration = SyntheticDataset.Configuration()
        configuration.seed = seed
        configuration.trainingCount = 2
        configuration.validationCount = 1
        configuration.goodCount = 1
        configuration.logicalCount = 5
        configuration.structuralCount = 4
        return SyntheticDataset(configuration)
    }

    @Test func theSameSeedGivesTheSameBytes() {
        #expect(small(seed: 4).items.map { $0.render() } == small(seed: 4).items.map { $0.render() })
    }

    @Test func everyPictureDiffersFromEveryOther() {
        let images = (small(seed: 4).items + small(seed: 5).items).map { $0.render().image }
        #expect(Set(images).count == images.count)
    }

    @Test func aLongerSplitBeginsLikeAShorterOne() {
        var longer = small(seed: 4).configuration
        longer.trainingCount = 30
        longer.goodCount = 7
        let items = Set(SyntheticDataset(longer).items)
        #expect(small(seed: 4).items.allSatisfy(items.contains))
    }

    @Test func filesLieAsInLOCO() {
        let items = small(seed: 1).items
        #expect(
            items.map(\.imagePath) == [
                "train/good/000.png", "train/good/001.png", "validation/good/000.png", "test/good/000.png",
                "test/logical_anomalies/000.png", "test/logical_anomalies/001.png", "test/logical_anomalies/002.png",
                "test/logical_anomalies/003.png", "test/logical_anomalies/004.png",
                "test/structural_anomalies/000.png", "test/structural_anomalies/001.png",
                "test/structural_anomalies/002.png", "test/structural_anomalies/003.png",
            ])
        #expect(items[5].maskPath(region: 1) == "ground_truth/logical_anomalies/001/001.png")
        #expect(items[0].maskPath(region: 0) == nil)
        #expect(SyntheticItem(seed: 1, split: .trainingGood, index: 1234).imagePath == "train/good/1234.png")
    }

    @Test func defectsTakeTurns() {
        let items = small(seed: 1).items
        #expect(items.prefix(4).allSatisfy { $0.defect == nil })
        #expect(items[4..<9].map(\.defect) == [.missing, .extra, .swapped, .misplaced, .missing])
        #expect(items[9...].map(\.defect) == [.scratch, .dent, .stain, .brokenEdge])
    }

    @Test func aFrameCarriesThePicturesBytes() {
        let image = small(seed: 1).items[0].render().image
        let frame = image.frame(number: 3, capturedAt: MonotonicInstant(nanoseconds: 5))
        #expect(frame.width == 320 && frame.height == 320 && frame.number == 3)
        let isSame = frame.withPixels { bytes in bytes.indices.allSatisfy { bytes[$0] == image.pixels[$0] } }
        #expect(isSame)
    }

    /// Bright enough to tell parts from floor, without large burnt-out areas, whatever the lamp does.
    @Test func picturesAreReasonablyExposed() {
        for item in small(seed: 2).items {
            let pixels = item.render().image.pixels
            let burntOut = Double(pixels.count { $0 == 255 }) / Double(pixels.count)
            let mean = pixels.reduce(0.0) { $0 + Double($1) } / Double(pixels.count)
            #expect(burntOut < 0.005, "\(item.imagePath): \(burntOut)")
            #expect((50...130).contains(mean), "\(item.imagePath): \(mean)")
        }
    }
}
