import Foundation
import Imaging
import TensorKernels
import Testing

@testable import AnomalyScoring

@Suite struct HeatMapTests {
    private let white = ModelImage(pixels: Array(repeating: 255, count: 3 * 256 * 256))

    /// The colour of a map that has one value everywhere, on a white picture.
    private func colour(of value: Float, isLogistic: Bool = false) -> [UInt8] {
        var options = MapOptions()
        options.padMaps = false
        options.logistic = isLogistic
        return Array(overlay(value, options).prefix(3))
    }

    private func overlay(_ value: Float, _ options: MapOptions) -> [UInt8] {
        let map = Tensor(shape: [1, 256, 256], values: Array(repeating: value, count: 256 * 256))
        return HeatMap.overlay(map, options: options, on: white)
    }

    /// Zero is no finding there, only nothing.
    @Test func theFrameAroundAPaddedMapHasNoColour() {
        let pixels = overlay(0.3, MapOptions())
        func colour(_ y: Int, _ x: Int) -> [UInt8] { Array(pixels[3 * (y * 256 + x)..<3 * (y * 256 + x + 1)]) }
        for place in [0, 17, 238, 255] {
            #expect(colour(place, 128) == [255, 255, 255] && colour(128, place) == [255, 255, 255])
        }
        #expect(colour(18, 128) == [255, 127, 127] && colour(128, 237) == [255, 127, 127])
    }

    @Test func normalIsBlueSuspiciousYellowAndBadRed() {
        #expect(colour(of: -1) == [127, 127, 178])
        #expect(colour(of: 0.1) == [255, 242, 127])
        #expect(colour(of: 0.3) == [255, 127, 127])
        #expect(colour(of: 9) == [255, 127, 127])
    }

    /// DFSC's maps lie between 0 and 1, with 0.5 for what others call 0.
    @Test(arguments: [-0.04, 0, 0.05, 0.1, 0.2, 0.29] as [Float])
    func aLogisticMapHasTheSameColours(_ value: Float) {
        let logistic = 1 / (1 + exp(-value))
        let (found, expected) = (colour(of: logistic, isLogistic: true), colour(of: value))
        #expect(zip(found, expected).allSatisfy { abs(Int($0) - Int($1)) <= 1 })
    }

    /// A value that is 0 or 1 but for rounding is as good or bad as can be.
    @Test func theEndsOfALogisticMapHaveColours() {
        #expect(colour(of: 0, isLogistic: true) == colour(of: -1))
        #expect(colour(of: 1, isLogistic: true) == colour(of: 9))
    }
}
