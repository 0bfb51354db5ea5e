import TensorKernels

/// DFSC's constraint: where the autoencoder differs most from the teacher, it shall keep its distance (arXiv 2407.17909,
/// §3.2; ALGORITHMS §3.1).
///
/// With `D = (T̂ − A)²` and M the elements of D that reach its quantile, the kept elements of both are normalised over the
/// channels of each location, `t = M∘T̂ / ‖M∘T̂‖`, `a = M∘A / ‖M∘A‖`, and `L = mean(max(0, m − ‖t − a‖))` over the locations
/// with something kept. Mask, then normalise (D11): normalised over all channels, a thousandth of the elements would
/// differ far less than any margin. M counts as a constant, T̂ is one.
public struct FeatureSeparationConstraint: Sendable {
    /// What the quantile chooses.
    public enum Mask: String, Hashable, Sendable, Codable, CaseIterable {
        /// Single elements of D, as the hard feature loss does.
        case element

        /// Locations with all their channels, by the mean of D over the channels.
        case location
    }

    /// m, the distance between unit vectors from which on nothing is asked for, in `0...2`; 0 switches the constraint off.
    public let margin: Float
    public let mask: Mask

    /// How much of D lies below what is kept, in `0...1`.
    public let quantile: Double

    public init(margin: Float, mask: Mask = .element, quantile: Double = 0.999) {
        precondition((0...2).contains(margin), "unit vectors are at most 2 apart, not \(margin)")
        precondition((0...1).contains(quantile), "there is no quantile \(quantile)")
        self.margin = margin
        self.mask = mask
        self.quantile = quantile
    }

    /// What the constraint says about one picture.
    public struct Result: Sendable {
        /// The loss, summed in `Double`.
        public var value: Double

        /// ∂L/∂A.
        ///
        /// Zero where both vectors are equal, and where a vector has one element, which cannot turn.
        public var gradient: Tensor

        /// How many locations have something kept: the loss is their mean.
        public var keptLocations: Int

        /// How many of them keep one channel alone, and so pull at nothing.
        public var singleChannelLocations: Int
    }

    /// - Parameters:
    ///   - teacher: T̂, normalised, `[channels, height, width]`.
    ///   - reconstruction: A, in the same shape.
    public func callAsFunction(teacher: Tensor, reconstruction: Tensor) -> Result {
        precondition(
            teacher.shape == reconstruction.shape && teacher.shape.count == 3,
            "shapes \(teacher.shape) and \(reconstruction.shape) cannot be compared")
        precondition(teacher.count > 0, "no features to compare")
        let channels = teacher.shape[0]
        let plane = teacher.count / channels
        let kept = keptChannels(teacher, reconstruction, channels: channels, plane: plane)
        var result = Result(
            value: 0, gradient: Tensor(shape: teacher.shape), keptLocations: kept.count,
            singleChannelLocations: kept.count { $0.channels.count == 1 })
        let (t, a) = (teacher.values.span, reconstruction.values.span)
        var gradient = result.gradient.values.mutableSpan
        var sum = 0.0
        for (position, channels) in kept {
            let teacherDirection = Direction(channels.map { t[$0 * plane + position] })
            let ownDirection = Direction(channels.map { a[$0 * plane + position] })
            let difference = zip(ownDirection.unit, teacherDirection.unit).map(-)
            let distance = difference.reduce(0) { $0 + $1 * $1 }.squareRoot()
            let missing = Double(margin) - distance
            // Not `> 0`, which would leave out a NaN: an unknown distance makes an unknown loss.
            guard !(missing <= 0) else { continue }
            sum += missing
            guard distance > 0 else { continue }
            let pull = difference.map { -$0 / (distance * Double(kept.count)) }
            for (channel, value) in zip(channels, ownDirection.adjoint(of: pull)) {
                gradient[channel * plane + position] = Float(value)
            }
        }
        result.value = sum / Double(kept.count)
        return result
    }

    /// The locations with something kept, ascending, and what is kept there.
    private func keptChannels(
        _ teacher: Tensor, _ reconstruction: Tensor, channels: Int, plane: Int
    ) -> [(position: Int, channels: [Int])] {
        let (t, a) = (teacher.values.span, reconstruction.values.span)
        switch mask {
        case .element:
            var squares = [Float](repeating: 0, count: teacher.count)
            for index in squares.indices {
                let difference = t[index] - a[index]
                squares[index] = difference * difference
            }
            let threshold = HardFeatureLoss.quantile(quantile, ofNonNegative: squares)
            var kept = [[Int]](repeating: [], count: plane)
            // Not `>=`: a NaN is kept.
            for index in squares.indices where !(squares[index] < threshold) {
                kept[index % plane].append(index / plane)
            }
            return kept.enumerated().filter { !$0.element.isEmpty }.map { ($0.offset, $0.element) }
        case .location:
            var means = [Double](repeating: 0, count: plane)
            for index in 0..<teacher.count {
                let difference = Double(t[index] - a[index])
                means[index % plane] += difference * difference / Double(channels)
            }
            let distances = means.map { Float($0) }
            let threshold = HardFeatureLoss.quantile(quantile, ofNonNegative: distances)
            return distances.indices.filter { !(distances[$0] < threshold) }.map { ($0, Array(0..<channels)) }
        }
    }
}

/// A vector's direction, in `Double`, with the way back through the normalisation.
private struct Direction {
    /// Of length 1, or zero where the vector is.
    let unit: [Double]
    private let length: Double

    init(_ vector: [Float]) {
        length = vector.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
        let divisor = max(length, Self.shortest)
        unit = vector.map { Double($0) / divisor }
    }

    /// ∂L/∂vector from g = ∂L/∂unit: `(g − unit·⟨unit, g⟩) / length`; a vector without direction is not moved.
    func adjoint(of gradient: [Double]) -> [Double] {
        guard !(length < Self.shortest) else { return gradient.map { _ in 0 } }
        let along = zip(unit, gradient).reduce(0) { $0 + $1.0 * $1.1 }
        return zip(unit, gradient).map { ($1 - $0 * along) / length }
    }

    /// Below it nothing has a direction, as in PyTorch's `normalize`.
    private static let shortest = 1e-12
}
