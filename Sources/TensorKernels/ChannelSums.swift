/// `sums[c] ← sums[c] + Σ values[c, …]`, each channel summed in `Double`: the gradient of a convolution's bias.
///
/// - Precondition: `values` holds the same number of values for every one of `sums.count` channels.
public func addChannelSums(of values: Span<Float>, to sums: inout MutableSpan<Float>) {
    guard !sums.isEmpty else { return }
    precondition(values.count % sums.count == 0, "\(values.count) values do not fill \(sums.count) channels")
    let positions = values.count / sums.count
    values.withUnsafeBufferPointer { values in
        for c in sums.indices {
            // Eight sums side by side, so that one addition need not wait for the last.
            var lanes = SIMD8<Double>()
            let end = positions - positions % 8
            for start in stride(from: c * positions, to: c * positions + end, by: 8) {
                for lane in 0..<8 { lanes[lane] += Double(values[start + lane]) }
            }
            var sum = lanes.sum()
            for position in end..<positions { sum += Double(values[c * positions + position]) }
            sums[c] += Float(sum)
        }
    }
}

extension Tensor {
    /// Adds another tensor's values, place by place.
    ///
    /// - Precondition: Both have the same shape.
    public mutating func add(_ other: Tensor) {
        precondition(shape == other.shape, "shape \(other.shape) cannot be added to \(shape)")
        values.withUnsafeMutableBufferPointer { values in
            other.values.withUnsafeBufferPointer { other in
                for index in values.indices { values[index] += other[index] }
            }
        }
    }
}
