/// `y = A·x + b` in `Double`: what 1×1 convolutions are at every pixel, one or several with nothing in between.
package struct AffineMap: Sendable {
    package let outputs: Int
    package let inputs: Int

    /// A, row by row.
    private let matrix: [Double]
    private let offset: [Double]

    private init(outputs: Int, inputs: Int, matrix: [Double], offset: [Double]) {
        self.outputs = outputs
        self.inputs = inputs
        self.matrix = matrix
        self.offset = offset
    }

    /// - Parameters:
    ///   - weights: `[outputs, inputs, 1, 1]`.
    ///   - bias: One per output.
    package init(weights: Tensor, bias: [Float]) {
        self.init(
            outputs: weights.shape[0], inputs: weights.shape[1], matrix: weights.values.map(Double.init),
            offset: bias.map(Double.init))
    }

    /// This map of another one's result: `A·(B·x + c) + b`.
    package func after(_ inner: AffineMap) -> AffineMap {
        precondition(inputs == inner.outputs, "a map of \(inputs) numbers behind one that gives \(inner.outputs)")
        let shift = MatrixProduct.product(matrix, inner.offset, rows: outputs, columns: 1, inner: inputs)
        return AffineMap(
            outputs: outputs, inputs: inner.inputs,
            matrix: MatrixProduct.product(
                matrix, inner.matrix, rows: outputs, columns: inner.inputs, inner: inputs),
            offset: zip(offset, shift).map { $0 + $1 })
    }

    /// Maps of parts of a vector side by side: the results of all parts behind each other.
    package static func stacked(_ maps: [AffineMap]) -> AffineMap {
        let inputs = maps.reduce(0) { $0 + $1.inputs }
        var matrix: [Double] = []
        var before = 0
        for map in maps {
            for row in 0..<map.outputs {
                matrix += Array(repeating: 0, count: before)
                matrix += map.matrix[row * map.inputs..<(row + 1) * map.inputs]
                matrix += Array(repeating: 0, count: inputs - before - map.inputs)
            }
            before += map.inputs
        }
        return AffineMap(
            outputs: maps.reduce(0) { $0 + $1.outputs }, inputs: inputs, matrix: matrix,
            offset: Array(maps.map(\.offset).joined()))
    }

    /// A as `[outputs, inputs, 1, 1]`.
    package var weights: Tensor { Tensor(shape: [outputs, inputs, 1, 1], values: matrix.map { Float($0) }) }

    package var bias: [Float] { offset.map { Float($0) } }
}
