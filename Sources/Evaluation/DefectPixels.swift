/// The scores of all pixels inside the defects of some pictures: what the first pass over the anomaly maps keeps.
///
/// A word per pixel: the score's 32 bits, arranged so that greater scores are greater numbers, then a bit for a pixel that
/// another defect of its picture has already counted, then the defect's number. Sorting the words sorts by score.
struct DefectPixels: Sendable {
    private(set) var words: [UInt64] = []

    /// s of each defect, by its number.
    private(set) var saturations: [Int] = []

    private static let repeatBit: UInt64 = 1 << 31

    /// - Parameter count: How many pixels will come, so that memory is taken once.
    mutating func reserve(_ count: Int) { words.reserveCapacity(count) }

    /// - Parameters:
    ///   - map: `[height, width]`, without NaN.
    ///   - truth: Of the same size.
    mutating func add(_ map: Span<Float>, _ truth: GroundTruth) {
        var isCounted = [Bool](repeating: false, count: truth.defects.count > 1 ? map.count : 0)
        for defect in truth.defects {
            precondition(saturations.count < Self.repeatBit, "more defects than a word can number")
            let number = UInt64(saturations.count)
            saturations.append(defect.saturation)
            for run in defect.region.runs {
                for x in run.columns {
                    let place = run.row * truth.width + x
                    var word = UInt64(map[place].orderedBits) << 32 | number
                    if !isCounted.isEmpty {
                        if isCounted[place] { word |= Self.repeatBit }
                        isCounted[place] = true
                    }
                    words.append(word)
                }
            }
        }
    }

    /// By score; within one, by the order of their coming.
    mutating func sort() { radixSort(&words, byBits: 32..<64) }

    /// The score's part of a word.
    static func score(of word: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: word >> 32) }

    static func defect(of word: UInt64) -> Int { Int(word & (repeatBit - 1)) }

    /// Whether the same pixel has a word under another defect.
    static func isRepeated(_ word: UInt64) -> Bool { word & repeatBit != 0 }
}

extension Float {
    /// A number that is greater for a greater value and equal for an equal one; NaN has no place in the order.
    var orderedBits: UInt32 {
        // Adding zero makes −0 into 0, to which it is equal.
        let bits = (self + 0).bitPattern
        return bits & 0x8000_0000 == 0 ? bits | 0x8000_0000 : ~bits
    }
}
