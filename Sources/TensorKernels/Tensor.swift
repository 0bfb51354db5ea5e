/// A dense block of `Float` values with its dimensions.
///
/// - Layout: row-major, last dimension fastest. Images and features are `[channels, height, width]`, convolution weights
///   `[outputChannels, inputChannels, kernelHeight, kernelWidth]`.
public struct Tensor: Hashable, Sendable {
    public let shape: [Int]

    /// All values, `shape`'s product of them.
    ///
    /// Their number never changes; a `didSet` that checked it would copy the array on every element's write.
    public var values: [Float]

    /// - Precondition: `values` holds as many values as `shape` has places.
    public init(shape: [Int], values: [Float]) {
        precondition(shape.reduce(1, *) == values.count, "\(values.count) values do not fill shape \(shape)")
        self.shape = shape
        self.values = values
    }

    /// A tensor of the same value everywhere.
    public init(shape: [Int], repeating value: Float = 0) {
        self.init(shape: shape, values: Array(repeating: value, count: shape.reduce(1, *)))
    }

    /// A tensor whose values `body` writes, every one of them.
    package init(shape: [Int], writing body: (inout MutableSpan<Float>) -> Void) {
        let count = shape.reduce(1, *)
        self.init(
            shape: shape,
            values: Array(unsafeUninitializedCapacity: count) { buffer, initializedCount in
                var span = UnsafeMutableBufferPointer(rebasing: buffer[..<count]).mutableSpan
                body(&span)
                initializedCount = count
            })
    }

    public var count: Int { values.count }

    /// The first and the second half of the channels, its first dimension.
    package var halves: (former: Tensor, latter: Tensor) {
        let half = [shape[0] / 2] + shape.dropFirst()
        return (
            Tensor(shape: half, values: Array(values[..<(count / 2)])),
            Tensor(shape: half, values: Array(values[(count / 2)...]))
        )
    }
}
