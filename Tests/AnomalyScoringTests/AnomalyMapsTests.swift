import TensorKernels
import Testing

@testable import AnomalyScoring

@Suite struct AnomalyMapsTests {
    /// The two channels on 2×2 cells of ALGORITHMS §9.5.
    private let teacher = Tensor(shape: [2, 2, 2], values: [1, 0, 2, -1, 0, 1, 1, 1])
    private let former = Tensor(shape: [2, 2, 2], values: [1, 0.5, 1, -1, 0, 0, 1, 3])
    private let autoencoder = Tensor(shape: [2, 2, 2], values: [0, 0, 1, 0, 1, 1, 0, 0])
    private let latter = Tensor(shape: [2, 2, 2], values: [0, 1, 1, 1, 1, 1, 2, 0])

    private var maps: AnomalyMaps {
        AnomalyMaps(
            studentTeacher: meanSquaredDifferenceMap(teacher, former),
            autoencoderStudent: meanSquaredDifferenceMap(autoencoder, latter))
    }

    @Test func mapsAreMeansOfSquaredDifferencesOverTheChannels() {
        #expect(maps.studentTeacher == Tensor(shape: [1, 2, 2], values: [0, 0.625, 0.5, 2]))
        #expect(maps.autoencoderStudent == Tensor(shape: [1, 2, 2], values: [0, 0.5, 2, 0.5]))
    }

    @Test func quantilesOfTheSmallPipeline() throws {
        let quantiles = try MapQuantiles(of: [maps])
        #expect(agree([quantiles.studentTeacher.lower, quantiles.studentTeacher.upper], [1.5875, 1.979375]))
        #expect(agree([quantiles.autoencoderStudent.lower, quantiles.autoencoderStudent.upper], [1.55, 1.9775]))
    }

    @Test func quantilesPoolTheCellsOfAllPictures() throws {
        // 4 cells of 0 and 4 of 1, 2, 3, 4: rank 0.9 · 7 = 6.3 lies between 3 and 4.
        let still = AnomalyMaps(
            studentTeacher: Tensor(shape: [1, 2, 2]), autoencoderStudent: Tensor(shape: [1, 2, 2]))
        let counting = Tensor(shape: [1, 2, 2], values: [3, 1, 4, 2])
        let quantiles = try MapQuantiles(
            of: [still, AnomalyMaps(studentTeacher: counting, autoencoderStudent: counting)])
        #expect(abs(quantiles.studentTeacher.lower - 3.3) < 1e-12)
    }

    @Test func combinedMapOfTheSmallPipeline() throws {
        let combined = try maps.combined(by: MapQuantiles(of: [maps]))
        #expect(
            agree(
                combined.values.map { Double($0) }, [-0.3838383838, -0.2456140351, -0.0861244019, -0.0701754386],
                within: 1e-7))
    }

    /// ALGORITHMS §9.5: DFSC's maps, each from 0 to 1 before they meet.
    @Test func logisticMapsOfTheSmallPipeline() throws {
        let expected = [0.4052117914, 0.4389033273, 0.4786776872, 0.4825974224]
        let quantiles = try MapQuantiles(of: [maps])
        let combined = maps.combined(by: quantiles, logistic: true)
        #expect(agree(combined.values.map { Double($0) }, expected, within: 1e-7))

        var options = MapOptions()
        options.logistic = true
        options.padMaps = false
        options.scoreResolution = 2
        #expect(maps.canonical(by: quantiles, options: options) == combined)
        options.logistic = false
        #expect(maps.canonical(by: quantiles, options: options) == maps.combined(by: quantiles))
    }

    /// ALGORITHMS §9.5.
    @Test(arguments: [(0, 0.5), (0.1, 0.5249791875), (-0.1, 0.4750208125)])
    func theLogisticFunctionIsTheTextbooks(value: Float, expected: Double) {
        let unit = MapQuantiles.Range(lower: 0, upper: 0.1)
        let map = Tensor(shape: [1, 1, 1], repeating: value)
        let combined = AnomalyMaps(studentTeacher: map, autoencoderStudent: map)
            .combined(by: MapQuantiles(studentTeacher: unit, autoencoderStudent: unit), logistic: true)
        #expect(abs(Double(combined.values[0]) - expected) < 1e-7)
    }

    @Test func pooledFeaturesOfTheSmallPipeline() {
        #expect(globalAveragePool(former) == [0.375, 1.0])
    }

    @Test(arguments: [(0.2, 0), (0.7, 0.1), (0, -0.04), (1.2, 0.2)])
    func normalisationIsLinearAndUnclamped(value: Double, expected: Double) {
        #expect(abs(MapQuantiles.Range(lower: 0.2, upper: 0.7).normalise(value) - expected) < 1e-12)
    }

    @Test func combinationTakesHalfOfEach() {
        let unit = MapQuantiles.Range(lower: 0, upper: 0.1)
        let combined = AnomalyMaps(
            studentTeacher: Tensor(shape: [1, 1, 1], repeating: 0.1),
            autoencoderStudent: Tensor(shape: [1, 1, 1], repeating: 0.2)
        ).combined(by: MapQuantiles(studentTeacher: unit, autoencoderStudent: unit))
        #expect(abs(combined.values[0] - 0.15) < 1e-7)
    }

    /// q_a → 0 and q_b → 0.1 with lower 0 and upper 0.1 leave a map's values as they are.
    private func canonical(of map: Tensor, _ options: MapOptions) -> Tensor {
        let unit = MapQuantiles.Range(lower: 0, upper: 0.1)
        return AnomalyMaps(studentTeacher: map, autoencoderStudent: map)
            .canonical(by: MapQuantiles(studentTeacher: unit, autoencoderStudent: unit), options: options)
    }

    private func oneHot(row: Int, column: Int) -> Tensor {
        var map = Tensor(shape: [1, 56, 56])
        map.values[row * 56 + column] = 1
        return map
    }

    /// ALGORITHMS §9.3: the score of a single cell, and where it lies.
    @Test func aPaddedPeakLandsOnItsReceptiveField() {
        let map = canonical(of: oneHot(row: 20, column: 30), MapOptions())
        #expect(map.shape == [1, 256, 256])
        let peak = map.values.max() ?? 0
        #expect(abs(peak - 0.765625) < 1e-6)
        let places = map.values.indices.filter { map.values[$0] > peak - 1e-6 }.map { [$0 / 256, $0 % 256] }
        #expect(places == [[97, 137], [97, 138], [98, 137], [98, 138]])
        #expect(abs(map.values.reduce(0, +) - 16) < 1e-4)
    }

    @Test func anUnpaddedPeakIsHigherAndElsewhere() {
        var options = MapOptions()
        options.padMaps = false
        let map = canonical(of: oneHot(row: 20, column: 30), options)
        let peak = map.values.max() ?? 0
        #expect(abs(peak - 0.938232421875) < 1e-6)
        #expect(map.values.firstIndex(of: peak) == 93 * 256 + 139)
    }

    @Test func theNativeResolutionWithoutPaddingIsTheCombinedMap() {
        var generator = LinearCongruential(seed: 8)
        var options = MapOptions()
        options.padMaps = false
        options.scoreResolution = 56
        let map = generator.tensor([1, 56, 56], in: 0...1)
        let found = canonical(of: map, options)
        #expect(zip(found.values, map.values).allSatisfy { abs($0 - $1) < 1e-6 })
    }

    @Test func aMapWithoutSpreadIsRefusedByName() {
        let flat = Tensor(shape: [1, 2, 2], repeating: 0.1)
        #expect(throws: CalibrationError.noMapSpread(map: "student-teacher")) {
            try MapQuantiles(of: [AnomalyMaps(studentTeacher: flat, autoencoderStudent: maps.autoencoderStudent)])
        }
        #expect(throws: CalibrationError.noMapSpread(map: "autoencoder-student")) {
            try MapQuantiles(of: [AnomalyMaps(studentTeacher: maps.studentTeacher, autoencoderStudent: flat)])
        }
        #expect(throws: CalibrationError.noPictures) { try MapQuantiles(of: []) }
    }

    @Test(arguments: [Float.nan, .infinity])
    func aMapThatIsNotFiniteIsRefused(value: Float) {
        var broken = maps
        broken.autoencoderStudent.values[2] = value
        #expect(throws: CalibrationError.notFinite("the autoencoder-student map")) { try MapQuantiles(of: [broken]) }
    }
}
