/// Why good parts cannot say what is normal.
public enum CalibrationError: Error, Equatable, CustomStringConvertible {
    /// There is nothing to measure.
    case noPictures

    /// A map, feature or score is NaN or infinite: the networks have diverged or their weights are damaged.
    case notFinite(String)

    /// q_a = q_b: all cells of this map are equal over all pictures.
    case noMapSpread(map: String)

    /// Fewer than two different scores, so σ is zero.
    case noSpread(Branch, scoreCount: Int)

    /// The features do not differ at all, so there is no covariance.
    case noFeatureSpread(pictureCount: Int)

    /// No threshold keeps this false-reject budget with so few good parts.
    case budgetTooSmall(Double, scoreCount: Int)

    public var description: String {
        switch self {
        case .noPictures:
            "there are no pictures to calibrate with; add pictures of good parts"
        case .notFinite(let what):
            "\(what) is not finite; the networks have diverged or their weights are damaged: train anew"
        case .noMapSpread(let map):
            """
            the \(map) map is the same everywhere in all calibration pictures; calibrate with real pictures of at least \
            two different good parts
            """
        case .noSpread(let branch, let count):
            """
            the \(branch.rawValue) branch has no spread over \(count) calibration scores; calibrate with more, and \
            different, good parts
            """
        case .noFeatureSpread(let count):
            "the features of all \(count) pictures are equal; train with pictures of different good parts"
        case .budgetTooSmall(let budget, let count):
            """
            a false-reject budget of \(budget) needs at least \(Int((1 / budget - 1 - 1e-9).rounded(.up))) calibration \
            parts; the smallest reachable with \(count) is \((1_000_000 / Double(count + 1)).rounded(.up) / 1_000_000)
            """
        }
    }
}
