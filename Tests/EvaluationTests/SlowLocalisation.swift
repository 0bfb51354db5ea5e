@testable import Evaluation

/// A map with its ground truth.
struct AnnotatedMap {
    let map: [Float]
    let truth: GroundTruth

    init(_ map: [Float], _ truth: GroundTruth) {
        precondition(map.count == truth.width * truth.height)
        self.map = map
        self.truth = truth
    }

    /// Which pixels lie in a defect.
    var isDefective: [Bool] {
        var isDefective = [Bool](repeating: false, count: map.count)
        for defect in truth.defects { defect.region.paint(into: &isDefective, width: truth.width) }
        return isDefective
    }
}

/// The localisation figures by their definitions: every score is a threshold, and every threshold looks at every pixel.
struct SlowLocalisation {
    let pictures: [AnnotatedMap]

    /// Points of the curve: false-positive rate, mean overlap, and share of defective pixels found.
    private var curve: [(rate: Double, overlap: Double, found: Double)] {
        let masks = pictures.map(\.isDefective)
        var free = 0
        var defective = 0
        for mask in masks {
            free += mask.count { !$0 }
            defective += mask.count { $0 }
        }
        let thresholds = Set(pictures.flatMap(\.map)).sorted(by: >)
        let points = thresholds.map { threshold in
            var (falsePositives, found) = (0, 0)
            var overlaps: [Double] = []
            for (picture, mask) in zip(pictures, masks) {
                for (score, isDefective) in zip(picture.map, mask) where score >= threshold {
                    if isDefective { found += 1 } else { falsePositives += 1 }
                }
                for defect in picture.truth.defects {
                    let covered = defect.region.runs.reduce(0) { sum, run in
                        sum + run.columns.count { picture.map[run.row * picture.truth.width + $0] >= threshold }
                    }
                    overlaps.append(min(1, Double(covered) / Double(defect.saturation)))
                }
            }
            return (
                rate: Double(falsePositives) / Double(free),
                overlap: overlaps.reduce(0, +) / Double(overlaps.count), found: Double(found) / Double(defective)
            )
        }
        return [(0, 0, 0)] + points
    }

    func areaUnderROC() -> Double {
        let curve = curve
        return zip(curve, curve.dropFirst()).reduce(0) { area, segment in
            area + (segment.1.rate - segment.0.rate) * (segment.0.found + segment.1.found) / 2
        }
    }

    func areaUnderOverlap(upTo limit: Double) -> Double {
        let curve = curve
        var area = 0.0
        for (left, right) in zip(curve, curve.dropFirst()) where left.rate < limit && right.rate > left.rate {
            let end = min(limit, right.rate)
            let slope = (right.overlap - left.overlap) / (right.rate - left.rate)
            area += (end - left.rate) * (left.overlap + slope * (end - left.rate) / 2)
        }
        return area / limit
    }
}

/// The fast way, with all pictures in one sweep.
func sweep(_ pictures: [AnnotatedMap]) throws -> PixelSweep {
    var defects = DefectPixels()
    for picture in pictures { defects.add(picture.map.span, picture.truth) }
    defects.sort()
    var sweep = PixelSweep(over: defects)
    for picture in pictures { try sweep.count(picture.truth.sortedDefectFreeScores(in: picture.map.span)) }
    return sweep
}

/// Knuth's MMIX linear congruential generator, as in `Golden/make_localisation.py`.
struct CongruentialGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func below(_ bound: Int) -> Int {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int(state >> 33) % bound
    }
}
