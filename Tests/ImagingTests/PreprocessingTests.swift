import Foundation
import Imaging
import Testing

@Suite struct PreprocessingTests {
    private let frame: Frame = {
        var generator = LinearCongruential(seed: 11)
        return Frame(width: 320, height: 290, pixels: generator.bytes(320 * 290 * 3))
    }()

    @Test func aFrameOfTheModelsSizeIsTakenAsItIs() throws {
        var generator = LinearCongruential(seed: 1)
        let pixels = generator.bytes(256 * 256 * 3)
        let image = try Preprocessing().modelImage(of: Frame(width: 256, height: 256, pixels: pixels))
        #expect(image.pixels == pixels)
    }

    @Test func aRegionOfTheModelsSizeIsCutOutUnchanged() throws {
        let region = RegionOfInterest(x: 64, y: 34, width: 256, height: 256)
        let image = try Preprocessing(region: region).modelImage(of: frame)
        #expect(image.pixels == cutOut(region, of: frame.bytes, width: 320))
    }

    @Test func theWholeFrameAsARegionIsTheWholeFrame() throws {
        let region = RegionOfInterest(x: 0, y: 0, width: 320, height: 290)
        #expect(try Preprocessing(region: region).modelImage(of: frame) == Preprocessing().modelImage(of: frame))
    }

    @Test(arguments: [
        RegionOfInterest(x: 65, y: 0, width: 256, height: 256), RegionOfInterest(x: 0, y: 35, width: 256, height: 256),
        RegionOfInterest(x: -1, y: 0, width: 10, height: 10), RegionOfInterest(x: 0, y: -1, width: 10, height: 10),
        RegionOfInterest(x: 0, y: 0, width: 0, height: 10), RegionOfInterest(x: 0, y: 0, width: 10, height: 0),
        RegionOfInterest(x: 10, y: 0, width: -5, height: 10), RegionOfInterest(x: 1, y: 0, width: .max, height: 10),
        RegionOfInterest(x: .max, y: 0, width: 1, height: 1),
    ])
    func aRegionThatLeavesTheFrameIsRefused(region: RegionOfInterest) {
        let expected = ImagingError.regionOutsideFrame(region, frameWidth: 320, frameHeight: 290)
        #expect(throws: expected) { try Preprocessing(region: region).modelImage(of: frame) }
    }

    @Test func theRefusalSaysWhatDoesNotFitWhere() {
        let region = RegionOfInterest(x: 65, y: 2, width: 256, height: 200)
        let error = ImagingError.regionOutsideFrame(region, frameWidth: 320, frameHeight: 290)
        let text = String(describing: error)
        #expect(text.contains("256×200") && text.contains("(65, 2)") && text.contains("320×290"), "\(text)")
    }

    @Test func survivesCoding() throws {
        let region = RegionOfInterest(x: 1, y: 2, width: 3, height: 4)
        for preprocessing in [Preprocessing(), Preprocessing(region: region)] {
            let coded = try JSONEncoder().encode(preprocessing)
            #expect(try JSONDecoder().decode(Preprocessing.self, from: coded) == preprocessing)
        }
    }
}
