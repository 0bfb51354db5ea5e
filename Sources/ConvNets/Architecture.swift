import TensorKernels

/// The convolutions of a published architecture: what their parameters look like and what training may start from.
struct Architecture {
    /// In layer order.
    let layers: [Layer]

    struct Layer {
        let name: String
        let outputChannels: Int
        let inputChannels: Int
        let kernelSide: Int
        var hasBias = true

        /// The weight, then the bias.
        var parameterShapes: [(name: String, shape: [Int])] {
            let weight = ("\(name).weight", [outputChannels, inputChannels, kernelSide, kernelSide])
            return hasBias ? [weight, ("\(name).bias", [outputChannels])] : [weight]
        }
    }

    /// Names and shapes in the order of a `ParameterSet`.
    var parameterShapes: [(name: String, shape: [Int])] { layers.flatMap(\.parameterShapes) }

    /// Weights and biases uniform in ±1/√fan_in, fan_in = input channels · kernel side²: PyTorch's default.
    func defaultParameters(using generator: inout some RandomNumberGenerator) -> ParameterSet {
        var parameters = ParameterSet()
        for layer in layers {
            let bound = 1 / Float(layer.inputChannels * layer.kernelSide * layer.kernelSide).squareRoot()
            for (name, shape) in layer.parameterShapes {
                let values = (0..<shape.reduce(1, *)).map { _ in generator.uniform(in: -bound...bound) }
                parameters.append(name, Tensor(shape: shape, values: values))
            }
        }
        return parameters
    }

    /// Weights with orthogonal rows (or columns, where those are fewer), Gaussian before orthogonalisation; biases zero.
    ///
    /// Each row has length √2 before a rectifier, which halves the power, and 1 in the last layer.
    func orthogonalParameters(using generator: inout some RandomNumberGenerator) -> ParameterSet {
        var parameters = ParameterSet()
        for (position, layer) in layers.enumerated() {
            let gain = position < layers.count - 1 ? 2.0.squareRoot() : 1
            for (name, shape) in layer.parameterShapes {
                guard shape.count == 4 else {
                    parameters.append(name, Tensor(shape: shape))
                    continue
                }
                let rows = shape[0]
                let columns = shape[1] * shape[2] * shape[3]
                let basis = orthonormalRows(
                    count: min(rows, columns), length: max(rows, columns), using: &generator)
                var weights = Tensor(shape: shape)
                for row in 0..<rows {
                    for column in 0..<columns {
                        let value = rows <= columns ? basis[row][column] : basis[column][row]
                        weights.values[row * columns + column] = Float(gain * value)
                    }
                }
                parameters.append(name, weights)
            }
        }
        return parameters
    }

    /// Random directions, each freed from its share in all before it (modified Gram–Schmidt) and brought to length 1.
    private func orthonormalRows(
        count: Int, length: Int, using generator: inout some RandomNumberGenerator
    ) -> [[Double]] {
        var rows: [[Double]] = []
        for _ in 0..<count {
            var row = (0..<length).map { _ in generator.gaussian() }
            for earlier in rows {
                let share = zip(row, earlier).reduce(0) { $0 + $1.0 * $1.1 }
                for index in row.indices { row[index] -= share * earlier[index] }
            }
            let norm = row.reduce(0) { $0 + $1 * $1 }.squareRoot()
            for index in row.indices { row[index] /= norm }
            rows.append(row)
        }
        return rows
    }
}
