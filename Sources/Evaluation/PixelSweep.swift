/// The exact sweep of a threshold over all pixels of some pictures (ALGORITHMS §5.3 to §5.5, D25).
///
/// Between two neighbouring scores of defect pixels only defect-free pixels cross the threshold, and only their number
/// matters: the curve runs level there. So the scores inside defects are kept and sorted, and the defect-free pixels,
/// which are nearly all, are counted into the gaps between them, picture by picture. The result is that of sorting every
/// pixel's score, at 16 bytes per pixel inside a defect and none per pixel outside.
struct PixelSweep: Sendable {
    private let defects: DefectPixels

    /// Defect-free pixels below `words[i]` and above the word before, at the first of equal scores; the last counts those
    /// above all.
    private var gaps: [UInt32]

    /// Defect-free pixels of the same score as `words[i]`, at the first of equal scores.
    private var ties: [UInt32]

    /// N, the defect-free pixels counted so far.
    private(set) var defectFreeCount = 0

    /// - Parameter defects: Sorted.
    /// - Precondition: At least one defect.
    init(over defects: DefectPixels) {
        precondition(!defects.words.isEmpty, "a sweep without defects")
        gaps = Array(repeating: 0, count: defects.words.count + 1)
        ties = Array(repeating: 0, count: defects.words.count)
        self.defects = defects
    }

    /// Counts the defect-free pixels of a picture.
    ///
    /// - Parameter scores: Their `orderedBits`, sorted: both lists are read once, from the lowest score up.
    /// - Throws: `tooManyPixels` where the counters would overflow.
    mutating func count(_ scores: [UInt32]) throws(EvaluationError) {
        guard defectFreeCount + scores.count <= UInt32.max else { throw .tooManyPixels }
        let words = defects.words
        var place = 0
        for score in scores {
            while place < words.count, DefectPixels.score(of: words[place]) < score { place += 1 }
            if place < words.count, DefectPixels.score(of: words[place]) == score {
                ties[place] += 1
            } else {
                gaps[place] += 1
            }
        }
        defectFreeCount += scores.count
    }

    /// The area under mean overlap against false-positive rate, up to a limit of the rate and divided by it.
    ///
    /// Overlap of defect k at threshold t: `min(|{score > t} ∩ k| / s_k, 1)`; false-positive rate: the share of all
    /// defect-free pixels above t. Points at every distinct score from (0, 0) on, joined by straight lines, cut at the
    /// limit. With s_k the whole area this is AUPRO, else AU-sPRO.
    ///
    /// The curve is not built: a pixel that is found raises its defect's overlap by 1/s_k from there to the limit, so it
    /// adds 1/s_k of the axis to its right, until its defect is saturated.
    ///
    /// - Parameter limit: Above 0, at most 1.
    /// - Precondition: There is a defect-free pixel.
    func areaUnderOverlap(upTo limit: Double) -> Double {
        precondition(defectFreeCount > 0 && limit > 0 && limit <= 1, "no false-positive rate up to \(limit)")
        let end = limit * Double(defectFreeCount)
        var missing = defects.saturations
        var sums = [Double](repeating: 0, count: missing.count)
        forEachScore { words, above, tied in
            let above = Double(above)
            guard above < end else { return false }
            let right = Self.meanLengthToTheRight(of: above, tied: Double(tied), end: end)
            for word in words {
                let defect = DefectPixels.defect(of: word)
                guard missing[defect] > 0 else { continue }
                missing[defect] -= 1
                sums[defect] += right
            }
            return true
        }
        let area = zip(sums, defects.saturations).reduce(0) { $0 + $1.0 / Double($1.1) }
        return area / (end * Double(sums.count))
    }

    /// Probability that a defective pixel scores higher than a defect-free one, ties counted half (ALGORITHMS §5.3).
    ///
    /// A pixel of several defects counts once.
    ///
    /// - Precondition: There is a defect-free pixel.
    func areaUnderROC() -> Double {
        precondition(defectFreeCount > 0, "no defect-free pixel to compare with")
        var halfPairs: UInt128 = 0
        var defectiveCount = 0
        forEachScore { words, above, tied in
            let distinct = words.count { !DefectPixels.isRepeated($0) }
            halfPairs += UInt128(distinct) * UInt128(2 * (defectFreeCount - above) - tied)
            defectiveCount += distinct
            return true
        }
        return Double(halfPairs) / (2 * Double(defectiveCount) * Double(defectFreeCount))
    }

    /// Visits the distinct scores of defect pixels, from the highest down, until `body` returns false.
    ///
    /// - Parameter body: Gets the words of one score, the defect-free pixels above that score, and those that have it.
    private func forEachScore(_ body: (_ words: ArraySlice<UInt64>, _ above: Int, _ tied: Int) -> Bool) {
        let words = defects.words
        var above = Int(gaps[words.count])
        var end = words.count
        while end > 0 {
            let score = DefectPixels.score(of: words[end - 1])
            var first = end - 1
            while first > 0, DefectPixels.score(of: words[first - 1]) == score { first -= 1 }
            guard body(words[first..<end], above, Int(ties[first])) else { return }
            above += Int(ties[first]) + Int(gaps[first])
            end = first
        }
    }

    /// The mean of `max(0, end − p)` over positions p from `above` to `above + tied`: pixels of one score share a slope.
    private static func meanLengthToTheRight(of above: Double, tied: Double, end: Double) -> Double {
        let length = end - above
        return tied <= length ? length - tied / 2 : length * length / (2 * tied)
    }
}
