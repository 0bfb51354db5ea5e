import Testing

@testable import Evaluation

@Suite struct PixelSweepTests {
    /// ALGORITHMS §9.10: a picture with a defect in its upper left corner.
    private static let anomalous: [Float] = [
        0.9, 0.8, 0.1, 0, 0.7, 0.2, 0.3, 0.1, 0.1, 0.6, 0.5, 0.4, 0, 0.2, 0.4, 0.3,
    ]
    private static let good = AnnotatedMap(
        [0.05, 0.1, 0.2, 0.1, 0.3, 0.25, 0.1, 0, 0.45, 0.1, 0, 0.1, 0.1, 0, 0.05, 0.2],
        GroundTruth(goodPartOfWidth: 4, height: 4))

    /// 255 in the upper left 2×2, and in the lower right pixel where it is asked for.
    private static func mask(withLowerRight: Bool) -> Mask {
        var pixels = [UInt8](repeating: 0, count: 16)
        for i in [0, 1, 4, 5] { pixels[i] = 255 }
        if withLowerRight { pixels[15] = 255 }
        return Mask(pixels: pixels.span, width: 4)
    }

    @Test(arguments: [
        (2, 0.05, 1.0), (4, 0.05, 0.75), (4, 0.3, 0.75), (4, 1.0, 0.90625),
    ])
    func saturatedOverlapOfOneDefect(_ saturation: Int, limit: Double, area: Double) throws {
        let truth = try GroundTruth(
            channels: [Self.mask(withLowerRight: false)], saturations: [255: .pixels(saturation)])
        let sweep = try sweep([AnnotatedMap(Self.anomalous, truth), Self.good])
        #expect(sweep.defectFreeCount == 28)
        #expect(abs(sweep.areaUnderOverlap(upTo: limit) - area) < 1e-12)
    }

    @Test(arguments: [(0.05, 0.375), (0.3, 0.5046553498), (1.0, 0.8449074074)])
    func regionOverlapOfTwoDefects(_ limit: Double, area: Double) throws {
        let truth = try GroundTruth(componentsOf: Self.mask(withLowerRight: true))
        #expect(truth.defects.map(\.saturation) == [4, 1])
        let sweep = try sweep([AnnotatedMap(Self.anomalous, truth), Self.good])
        #expect(sweep.defectFreeCount == 27)
        // Printed with ten digits.
        #expect(abs(sweep.areaUnderOverlap(upTo: limit) - area) < 6e-11)
        #expect(abs(sweep.areaUnderROC() - 0.8851851852) < 6e-11)
    }

    @Test func isWhatTheDefinitionSaysForRandomMaps() throws {
        var generator = CongruentialGenerator(seed: 5)
        for round in 0..<60 {
            // Few levels tie nearly everything, many tie hardly anything; some maps are negative, zero of either sign.
            let levels = [2, 3, 8, 60, 1 << 20][round % 5]
            let pictures = try (0..<4).map { _ in
                try Self.randomPicture(levels: levels, defects: generator.below(4), from: &generator)
            }
            guard pictures.contains(where: { !$0.truth.defects.isEmpty }) else { continue }
            let (fast, slow) = (try sweep(pictures), SlowLocalisation(pictures: pictures))
            #expect(abs(fast.areaUnderROC() - slow.areaUnderROC()) < 1e-12, "round \(round)")
            for limit in [0.01, 0.05, 0.3, 0.77, 1] {
                #expect(
                    abs(fast.areaUnderOverlap(upTo: limit) - slow.areaUnderOverlap(upTo: limit)) < 1e-12,
                    "round \(round), up to \(limit)")
            }
        }
    }

    @Test func infinitiesAndEqualScoresHaveTheirPlaceInTheOrder() throws {
        let truth = try GroundTruth(componentsOf: Mask(pixels: ([1, 1, 0, 0] as [UInt8]).span, width: 4))
        let sweep = try sweep([AnnotatedMap([.infinity, -0.0, 0, -.infinity], truth)])
        // ∞ beats both; −0 ties with 0 and beats −∞.
        #expect(sweep.areaUnderROC() == 3.5 / 4)
        #expect(sweep.areaUnderOverlap(upTo: 0.5) == 0.75)
    }

    @Test func aPixelOfTwoDefectsIsFoundForBothAndCountedOnce() throws {
        let truth = try GroundTruth(
            channels: [[0, 1, 1, 0], [0, 0, 2, 2]].map { Mask(pixels: ($0 as [UInt8]).span, width: 4) },
            saturations: [1: .share(1), 2: .share(1)])
        let sweep = try sweep([AnnotatedMap([2, 1, 3, 0], truth)])
        // 3 is half of either defect; then the only defect-free pixel; then 1 and 0.
        #expect(sweep.areaUnderOverlap(upTo: 1) == 0.5)
        #expect(sweep.areaUnderROC() == 1.0 / 3)
    }

    @Test func orderedBitsAreInTheOrderOfTheValues() {
        let values: [Float] = [
            -.infinity, -3e38, -1, -.leastNonzeroMagnitude, 0, .leastNonzeroMagnitude, .leastNormalMagnitude, 0.1,
            (0.1 as Float).nextUp, 1, .infinity,
        ]
        for (lower, higher) in zip(values, values.dropFirst()) { #expect(lower.orderedBits < higher.orderedBits) }
        #expect((-0.0 as Float).orderedBits == (0 as Float).orderedBits)
    }

    private static func randomPicture(
        levels: Int, defects: Int, from generator: inout CongruentialGenerator
    ) throws -> AnnotatedMap {
        let (width, height) = (5 + generator.below(4), 4 + generator.below(4))
        let map = (0..<width * height).map { _ in Float(generator.below(levels) - levels / 2) / 16 }
        guard defects > 0 else { return AnnotatedMap(map, GroundTruth(goodPartOfWidth: width, height: height)) }
        let masks = (0..<defects).map { _ in
            var pixels = [UInt8](repeating: 0, count: width * height)
            let value = UInt8(1 + generator.below(3))
            for i in 0..<3 + generator.below(8) {
                pixels[(7 * i + generator.below(width * height)) % pixels.count] = value
            }
            return Mask(pixels: pixels.span, width: width)
        }
        return AnnotatedMap(
            map, try GroundTruth(channels: masks, saturations: [1: .pixels(2), 2: .share(0.6), 3: .share(1)]))
    }
}
