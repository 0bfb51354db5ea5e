import Foundation
import Testing

@testable import AnomalyScoring

@Suite struct FeatureGaussianTests {
    /// ALGORITHMS §9.8.
    @Test func distanceOfTheWorkedExample() throws {
        let factor = try #require(lowerFactor(of: [2, 1, 1, 2], size: 2))
        #expect(agree(factor, [1.4142135624, 0, 0.7071067812, 1.2247448714]))
        let gaussian = FeatureGaussian(mean: [1, 2], choleskyFactor: factor, shrinkage: 0)
        #expect(abs(gaussian.distance(of: [3, 1]) - 2.1602468995) < 1e-9)
        #expect(gaussian.distance(of: [1, 2]) == 0)
    }

    @Test func fourRowsOfTwoFeatures() {
        let covariance = LedoitWolfCovariance(of: [[1, 2], [3, 0], [2, 5], [4, 1]])
        #expect(agree(covariance.mean, [2.5, 2]))
        #expect(agree([covariance.shrinkage], [0.7724137931]))
        #expect(agree(covariance.values, [2.1189655172, -0.2275862069, -0.2275862069, 2.6310344828]))
    }

    private let wide = [[1.0, 2, 0, 1], [3, 0, 1, -1], [2, 5, -2, 0]]

    @Test func fewerRowsThanFeatures() throws {
        let covariance = LedoitWolfCovariance(of: wide)
        #expect(agree(covariance.mean, [2, 2.3333333333, -0.3333333333, 0]))
        #expect(agree([covariance.shrinkage], [0.3416750083]))
        let (first, second, between) = (covariance.values[0], covariance.values[5], covariance.values[6])
        #expect(agree([first, second, between], [1.0463055648, 3.3870166463, -1.6823860898]))

        let gaussian = try FeatureGaussian(fitting: wide)
        #expect(abs(gaussian.distance(of: [2, 2, 2, 2]) - 3.2907850102) < 1e-9)
        #expect(gaussian.shrinkage == covariance.shrinkage && gaussian.mean == covariance.mean)
    }

    /// What shrinkage is for: with the sample covariance alone every training part would be equally far away.
    @Test func trainingPartsDifferInDistance() throws {
        let gaussian = try FeatureGaussian(fitting: wide)
        let distances = wide.map { gaussian.distance(of: $0) }
        #expect(abs(distances[0] - distances[1]) > 0.01 && abs(distances[0] - distances[2]) > 0.01)
    }

    private struct Golden: Decodable {
        let shrinkage: Double
        let diagonal: [Double]
        let firstRow: [Double]
        let distances: [Double]
    }

    @Test func agreesWithScikitLearn() throws {
        let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Golden/ledoit_wolf.json")
        let golden = try JSONDecoder().decode(Golden.self, from: Data(contentsOf: file))
        var generator = LinearCongruential(seed: 7)
        func vector() -> [Double] {
            let noise = (0..<48).map { _ in generator.unit() }
            return noise.indices.map { i -> Double in
                let neighbour = i % 2 == 1 ? noise[i - 1] * 3 : 0
                return noise[i] * Double(1 + i % 7) + neighbour
            }
        }
        let rows = (0..<30).map { _ in vector() }
        let probes = (0..<golden.distances.count).map { _ in vector() }

        let covariance = LedoitWolfCovariance(of: rows)
        #expect(agree([covariance.shrinkage], [golden.shrinkage], within: 1e-12))
        #expect(agree((0..<48).map { covariance.values[$0 * 49] }, golden.diagonal, within: 1e-12))
        #expect(agree(Array(covariance.values[..<48]), golden.firstRow, within: 1e-12))
        let gaussian = try FeatureGaussian(fitting: rows)
        #expect(agree(probes.map { gaussian.distance(of: $0) }, golden.distances, within: 1e-11))
    }

    @Test func theFactorMultipliesBackToTheMatrix() throws {
        var generator = LinearCongruential(seed: 9)
        let size = 24
        let rows = (0..<60).map { _ in (0..<size).map { _ in generator.unit() } }
        let matrix = LedoitWolfCovariance(of: rows).values
        let factor = try #require(lowerFactor(of: matrix, size: size))
        for i in 0..<size {
            for j in 0..<size {
                let product = (0..<size).reduce(0) { $0 + factor[i * size + $1] * factor[j * size + $1] }
                #expect(abs(product - matrix[i * size + j]) < 1e-14, "(\(i), \(j))")
                if j > i { #expect(factor[i * size + j] == 0, "(\(i), \(j))") }
            }
        }
    }

    @Test func aMatrixThatIsNotPositiveDefiniteHasNoFactor() {
        #expect(lowerFactor(of: [1, 2, 2, 1], size: 2) == nil)
        #expect(lowerFactor(of: [1, 1, 1, 1], size: 2) == nil)
        #expect(lowerFactor(of: [0, 0, 0, 0], size: 2) == nil)
        #expect(lowerFactor(of: [.nan, 0, 0, 1], size: 2) == nil)
    }

    /// D20: two rows have ρ = 0 and one direction of spread; 10⁻⁶ of the mean variance, here 1, makes up the other.
    @Test func aSingularCovarianceWithoutShrinkageGetsARidge() throws {
        let gaussian = try FeatureGaussian(fitting: [[1, 2], [3, 4]])
        #expect(gaussian.shrinkage == 0)
        #expect(abs(gaussian.distance(of: [3, 4]) - (2 / (2 + 1e-6)).squareRoot()) < 1e-9)
        #expect(abs(gaussian.distance(of: [3, 2]) - 2e6.squareRoot()) < 1e-3)
    }

    @Test func equalFeaturesAreRefused() {
        // Three times 0.1 sum to something else than 3 · 0.1: a spread of rounding errors must not count as one.
        for rows in [[[1.0, 2.0]], [[1, 2], [1, 2]], [[0.1, 0.7], [0.1, 0.7], [0.1, 0.7]]] {
            #expect(throws: CalibrationError.noFeatureSpread(pictureCount: rows.count)) {
                try FeatureGaussian(fitting: rows)
            }
        }
        #expect(throws: CalibrationError.noPictures) { try FeatureGaussian(fitting: []) }
    }

    @Test(arguments: [Double.nan, .infinity])
    func featuresThatAreNotFiniteAreRefused(value: Double) {
        #expect(throws: CalibrationError.notFinite("a pooled feature")) {
            try FeatureGaussian(fitting: [[1, 2], [3, value]])
        }
    }
}
