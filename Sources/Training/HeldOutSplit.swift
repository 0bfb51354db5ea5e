import ConvNets

/// Which pictures of good parts train a model and which are held out to measure it.
///
/// The held-out ones fix the map quantiles, the z-statistics and the threshold; no weight ever sees them (ALGORITHMS
/// §3.4, D16).
public struct HeldOutSplit: Hashable, Sendable {
    /// Fewest pictures that may train a model: fewer cannot say how good parts differ.
    public static let minimumTrainingCount = 10

    /// Fewest pictures that may measure one: below, a standard deviation is hardly a number.
    public static let minimumHeldOutCount = 5

    /// Share of the pictures that measure, where that is more than the fewest that may: PUAD's 15 % (ALGORITHMS D16).
    public static let heldOutFraction = 0.15

    /// Positions of the pictures that train, ascending.
    public let training: [Int]

    /// Positions of the pictures that measure, ascending.
    public let heldOut: [Int]

    /// Positions that do neither: the gaps beside the held-out blocks of a recording.
    public var unusedCount: Int { count - training.count - heldOut.count }

    private let count: Int

    /// A seeded random choice, for pictures that were taken one by one.
    ///
    /// - Throws: With fewer than 15 pictures.
    public static func shuffled(count: Int, seed: UInt64) throws(TrainingDataError) -> HeldOutSplit {
        let needed = minimumTrainingCount + minimumHeldOutCount
        guard count >= needed else { throw .tooFewPictures(found: count, needed: needed) }
        var order = Array(0..<count)
        var stream = RandomStream(seed: seed, stream: .split)
        stream.shuffle(&order)
        let heldOut = Set(order.prefix(heldOutCount(of: count)))
        return HeldOutSplit(
            training: (0..<count).filter { !heldOut.contains($0) }, heldOut: heldOut.sorted(), count: count)
    }

    /// Three contiguous blocks of time with a gap on either side, for the frames of a recording.
    ///
    /// Neighbouring frames are near-duplicates: on both sides of a random split they would make the threshold
    /// worthless. The blocks lie at the ends of equal thirds, so that slow drift is on both sides too. A gap is a
    /// hundredth of the frames, at least one; the last block ends with the recording and has only the one before it.
    ///
    /// - Throws: With fewer than 20 frames.
    public static func timeBlocks(count: Int) throws(TrainingDataError) -> HeldOutSplit {
        let blocks = 3
        let gap = max(1, count / 100)
        // At the fewest frames a gap is one frame.
        let needed = minimumTrainingCount + minimumHeldOutCount + 2 * blocks - 1
        guard count >= needed else { throw .tooFewPictures(found: count, needed: needed) }
        let wanted = heldOutCount(of: count)
        var heldOut: [Int] = []
        var training: [Int] = []
        var firstFree = 0
        for block in 0..<blocks {
            let end = (block + 1) * count / blocks
            let length = (block + 1) * wanted / blocks - block * wanted / blocks
            training += firstFree..<(end - length - gap)
            heldOut += (end - length)..<end
            firstFree = end + gap
        }
        return HeldOutSplit(training: training, heldOut: heldOut, count: count)
    }

    /// All pictures train; measuring is left to a set of its own (`validation/good`, `--calibration`).
    ///
    /// - Throws: With fewer than 10 pictures.
    public static func everythingTrains(count: Int) throws(TrainingDataError) -> HeldOutSplit {
        guard count >= minimumTrainingCount else {
            throw .tooFewTrainingPictures(found: count, needed: minimumTrainingCount)
        }
        return HeldOutSplit(training: Array(0..<count), heldOut: [], count: count)
    }

    private static func heldOutCount(of count: Int) -> Int {
        max(minimumHeldOutCount, Int((Double(count) * heldOutFraction).rounded()))
    }
}

/// Why pictures cannot train a model.
public enum TrainingDataError: Error, Equatable, CustomStringConvertible {
    /// Fewer pictures than training and measuring need together, the gaps of a recording included.
    case tooFewPictures(found: Int, needed: Int)

    /// Fewer pictures than training alone needs.
    case tooFewTrainingPictures(found: Int, needed: Int)

    /// Fewer pictures in the set that measures than a standard deviation needs.
    case tooFewCalibrationPictures(found: Int, needed: Int)

    public var description: String {
        switch self {
        case .tooFewPictures(let found, let needed):
            """
            found \(found) usable pictures of good parts, but at least \(needed) are needed, since some of them are held \
            out to measure the result; record more good parts
            """
        case .tooFewTrainingPictures(let found, let needed):
            """
            found \(found) usable pictures of good parts to train with, but at least \(needed) are needed; record more \
            good parts
            """
        case .tooFewCalibrationPictures(let found, let needed):
            """
            found \(found) usable pictures to calibrate with, but at least \(needed) are needed; add pictures of good \
            parts that are not used for training
            """
        }
    }
}
