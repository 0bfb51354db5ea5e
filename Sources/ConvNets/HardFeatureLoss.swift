import TensorKernels

/// The mean of the largest squared differences: EfficientAD's loss between student and teacher (ALGORITHMS §3.1).
///
/// `D = (target − prediction)²` element by element, `d_hard` = the quantile of all of D, interpolated linearly between
/// ranks; `L_hard = mean{D ≥ d_hard}`. d_hard counts as a constant for the gradient.
public struct HardFeatureLoss: Sendable {
    /// p_hard, in `0...1`: 0.999 keeps one element in a thousand, 0 is the plain mean squared error.
    public let quantile: Double

    public init(quantile: Double = 0.999) {
        precondition((0...1).contains(quantile), "there is no quantile \(quantile)")
        self.quantile = quantile
    }

    /// The loss and its gradient with respect to `prediction`: `2·(prediction − target) / |kept|` where kept, 0 elsewhere.
    ///
    /// - Precondition: Both tensors have the same shape and at least one value.
    public func callAsFunction(prediction: Tensor, target: Tensor) -> (value: Double, gradient: Tensor) {
        precondition(prediction.shape == target.shape, "shapes \(prediction.shape) and \(target.shape) differ")
        precondition(prediction.count > 0, "no features to compare")
        let count = prediction.count
        var gradient = Tensor(shape: prediction.shape)
        var squares = [Float](repeating: 0, count: count)
        let (first, second) = (prediction.values.span, target.values.span)
        for index in 0..<count {
            let difference = first[index] - second[index]
            squares[index] = difference * difference
        }

        let threshold = Self.quantile(quantile, ofNonNegative: squares)
        var kept: [Int] = []
        var sum = 0.0
        // Not `>=`, which would leave out a NaN: an unknown difference makes an unknown loss.
        for index in 0..<count where !(squares[index] < threshold) {
            kept.append(index)
            sum += Double(squares[index])
        }
        var target = gradient.values.mutableSpan
        for index in kept { target[index] = 2 * (first[index] - second[index]) / Float(kept.count) }
        return (sum / Double(kept.count), gradient)
    }

    /// The quantile of values that are not negative, between ranks `⌊q·(n − 1)⌋` and the next one linearly.
    ///
    /// Such floats sort like their bit patterns. So one count by the upper 16 bits finds where the rank lies, and only
    /// what lies there or above is sorted: next to nothing for the high quantiles that this loss uses.
    static func quantile(_ quantile: Double, ofNonNegative values: [Float]) -> Float {
        let rank = quantile * Double(values.count - 1)
        let lowerRank = Int(rank)
        let countFromLowerRank = values.count - lowerRank

        var histogram = [Int](repeating: 0, count: 1 << 16)
        for value in values { histogram[Int(value.bitPattern >> 16)] += 1 }
        var bin = histogram.count - 1
        var countFromBin = histogram[bin]
        while countFromBin < countFromLowerRank {
            bin -= 1
            countFromBin += histogram[bin]
        }
        let top = values.filter { Int($0.bitPattern >> 16) >= bin }.sorted { $0.bitPattern < $1.bitPattern }
        let lower = top[top.count - countFromLowerRank]
        let upper = countFromLowerRank > 1 ? top[top.count - countFromLowerRank + 1] : lower
        return Float(Double(lower) + (rank - Double(lowerRank)) * (Double(upper) - Double(lower)))
    }
}
