import Foundation
import Testing

@testable import Evaluation

@Suite struct LocalisationTests {
    /// `Golden/localisation.json`, by numpy and scipy.
    private struct Golden: Decodable {
        struct Case: Decodable {
            let layout: String
            let levels: Int
            let seed: UInt64
            let figures: [String: Figures]
        }

        struct Figures: Decodable {
            let regions: Int
            let overlap: [Double]
            let pixelAUROC: Double
        }

        let limits: [Double]
        let cases: [Case]
    }

    private static let golden = Result {
        let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Golden/localisation.json")
        return try JSONDecoder().decode(Golden.self, from: Data(contentsOf: file))
    }

    @Test func agreesWithNumpyAndScipyOnRandomMaps() throws {
        let golden = try Self.golden.get()
        #expect(golden.cases.count == 4)
        for example in golden.cases {
            let pictures = try Self.pictures(of: example)
            for (name, figures) in example.figures {
                let chosen = pictures.filter { name == "all" || [name, "good"].contains($0.kind) }.map(\.map)
                #expect(chosen.reduce(0) { $0 + $1.truth.defects.count } == figures.regions)
                let sweep = try sweep(chosen)
                #expect(abs(sweep.areaUnderROC() - figures.pixelAUROC) < 1e-12, "\(example.seed), \(name)")
                for (limit, area) in zip(golden.limits, figures.overlap) {
                    #expect(
                        abs(sweep.areaUnderOverlap(upTo: limit) - area) < 1e-12,
                        "seed \(example.seed), \(name), up to \(limit)")
                }
            }
        }
    }

    @Test func bothPassesGiveTheFiguresOfTheLayout() throws {
        let golden = try Self.golden.get()
        for example in golden.cases {
            let measure: OverlapMeasure = example.layout == "ad" ? .perRegion : .saturated
            let metrics = try Self.metrics(of: try Self.pictures(of: example), measure)
            func expected(_ name: String) throws -> (auroc: Double, overlap: Double) {
                let figures = try #require(example.figures[name])
                let limit = try #require(golden.limits.firstIndex(of: measure.limit))
                return (figures.pixelAUROC, figures.overlap[limit])
            }
            let all = try expected("all")
            let logical = try expected("logical_anomalies")
            let structural = try expected("structural_anomalies")
            #expect(abs(try #require(metrics.pixelAUROC.pooled) - all.auroc) < 1e-12)
            #expect(metrics.pixelAUROC.meanOfTwo == nil)
            #expect(abs(try #require(metrics.pixelAUROC.perDefect["logical_anomalies"]) - logical.auroc) < 1e-12)
            switch measure {
            case .perRegion:
                let overlap = try #require(metrics.regionOverlap)
                #expect(abs(try #require(overlap.pooled) - all.overlap) < 1e-12)
                #expect(abs(try #require(overlap.perDefect["structural_anomalies"]) - structural.overlap) < 1e-12)
                #expect(overlap.meanOfTwo == nil)
                #expect(metrics.saturatedOverlap == nil)
            case .saturated:
                let overlap = try #require(metrics.saturatedOverlap)
                #expect(overlap.pooled == nil)
                #expect(abs(try #require(overlap.meanOfTwo) - (logical.overlap + structural.overlap) / 2) < 1e-12)
                #expect(abs(try #require(overlap.perDefect["logical_anomalies"]) - logical.overlap) < 1e-12)
                #expect(metrics.regionOverlap == nil)
            }
        }
    }

    @Test func theOrderOfThePicturesDoesNotMatter() throws {
        let example = try #require(try Self.golden.get().cases.first { $0.layout == "loco" })
        let pictures = try Self.pictures(of: example)
        #expect(try Self.metrics(of: pictures, .saturated) == Self.metrics(of: pictures.reversed(), .saturated))
    }

    @Test func saturatedOverlapHasNoMeanWithoutBothKinds() throws {
        let example = try #require(try Self.golden.get().cases.first { $0.layout == "loco" })
        let pictures = try Self.pictures(of: example).filter { $0.kind != "structural_anomalies" }
        let overlap = try #require(try Self.metrics(of: pictures, .saturated).saturatedOverlap)
        #expect(overlap.meanOfTwo == nil)
        #expect(overlap.perDefect.keys.sorted() == ["logical_anomalies"])
    }

    @Test func mapsThatCannotBeMeasuredAreRefused() throws {
        let mask = Mask(pixels: ([0, 9, 9, 0] as [UInt8]).span, width: 2)
        let truth = try GroundTruth(componentsOf: mask)
        var first = DefectPixelPass(measure: .perRegion, expecting: [:])
        #expect(throws: EvaluationError.mapIsNotANumber) {
            try first.add(([0, 1, .nan, 2] as [Float]).span, truth, kind: "dent")
        }
        #expect(throws: EvaluationError.noAnomalousImages) {
            try DefectFreePixelPass(after: DefectPixelPass(measure: .perRegion, expecting: [:]))
        }
        let map: [Float] = [0, 1, 3, 2]
        try first.add(map.span, truth, kind: "dent")
        var second = try DefectFreePixelPass(after: first)
        #expect(throws: EvaluationError.mapIsNotANumber) {
            try second.add(
                ([.nan, 0, 0, 0] as [Float]).span, GroundTruth(goodPartOfWidth: 2, height: 2), kind: nil)
        }

        let whole = try GroundTruth(componentsOf: Mask(pixels: ([1, 1, 1, 1] as [UInt8]).span, width: 2))
        var covered = DefectPixelPass(measure: .perRegion, expecting: ["dent": [whole]])
        try covered.add(map.span, whole, kind: "dent")
        var nothingFree = try DefectFreePixelPass(after: covered)
        try nothingFree.add(map.span, whole, kind: "dent")
        #expect(throws: EvaluationError.noDefectFreePixels) { try nothingFree.metrics() }
    }

    // MARK: - The pictures of the golden file

    private static func metrics(
        of pictures: [(kind: String, map: AnnotatedMap)], _ measure: OverlapMeasure
    ) throws -> LocalisationMetrics {
        let defective = pictures.filter { $0.kind != "good" }
        var first = DefectPixelPass(
            measure: measure,
            expecting: Dictionary(grouping: defective, by: \.kind).mapValues { $0.map(\.map.truth) })
        for (kind, map) in defective { try first.add(map.map.span, map.truth, kind: kind) }
        var second = try DefectFreePixelPass(after: first)
        for (kind, map) in pictures { try second.add(map.map.span, map.truth, kind: kind == "good" ? nil : kind) }
        return try second.metrics()
    }

    /// Draws what `make_localisation.py` draws, in its order.
    private static func pictures(of example: Golden.Case) throws -> [(kind: String, map: AnnotatedMap)] {
        let (width, height) = (17, 13)
        var generator = CongruentialGenerator(seed: example.seed)
        var pictures: [(kind: String, map: AnnotatedMap)] = []
        for kind in ["good", "logical_anomalies", "structural_anomalies"] {
            for _ in 0..<4 {
                let truth: GroundTruth
                if kind == "good" {
                    truth = GroundTruth(goodPartOfWidth: width, height: height)
                } else if example.layout == "ad" {
                    let mask: [UInt8] = (0..<width * height).map { _ in generator.below(100) < 14 ? 255 : 0 }
                    truth = try GroundTruth(componentsOf: Mask(pixels: mask.span, width: width))
                } else {
                    let channels = (0..<1 + generator.below(3)).map { _ in
                        rectangle(value: UInt8(255 - generator.below(4)), width, height, from: &generator)
                    }
                    truth = try GroundTruth(
                        channels: channels,
                        saturations: [255: .pixels(5), 254: .pixels(12), 253: .share(0.5), 252: .share(1)])
                }
                let raised = example.levels / 4
                let isDefective = AnnotatedMap([Float](repeating: 0, count: width * height), truth).isDefective
                let map = isDefective.map { isDefective in
                    Float(generator.below(example.levels) + (isDefective ? raised : 0) - raised) / 64
                }
                pictures.append((kind, AnnotatedMap(map, truth)))
            }
        }
        return pictures
    }

    private static func rectangle(
        value: UInt8, _ width: Int, _ height: Int, from generator: inout CongruentialGenerator
    ) -> Mask {
        let (top, left) = (generator.below(height - 1), generator.below(width))
        let (bottom, right) = (top + 2 + generator.below(5), left + 1 + generator.below(6))
        var pixels = [UInt8](repeating: 0, count: width * height)
        for y in top..<min(bottom, height) {
            for x in left..<min(right, width) { pixels[y * width + x] = value }
        }
        return Mask(pixels: pixels.span, width: width)
    }
}
