import TensorKernels

/// The learnable tensors of one network, in the order of its layers, by their names in the published code.
///
/// The same shape of value carries weights, gradients and optimiser moments, so that "for every parameter" is one loop
/// everywhere.
public struct ParameterSet: Hashable, Sendable {
    public private(set) var names: [String] = []
    private var tensors: [Tensor] = []

    public init() {}

    /// - Precondition: No name occurs twice.
    public init(_ parameters: [(name: String, tensor: Tensor)]) {
        for (name, tensor) in parameters { append(name, tensor) }
    }

    /// How many tensors there are; `valueCount` counts the numbers in them.
    public var count: Int { names.count }

    /// How many learnable numbers there are in all.
    public var valueCount: Int { tensors.reduce(0) { $0 + $1.count } }

    public mutating func append(_ name: String, _ tensor: Tensor) {
        precondition(!names.contains(name), "parameter '\(name)' occurs twice")
        names.append(name)
        tensors.append(tensor)
    }

    /// The tensor at a position in layer order.
    public subscript(index: Int) -> Tensor {
        _read { yield tensors[index] }
        _modify { yield &tensors[index] }
    }

    /// The tensor of a name, or nil where there is none.
    public func tensor(named name: String) -> Tensor? {
        names.firstIndex(of: name).map { tensors[$0] }
    }

    /// The same names and shapes, every value zero: where gradients and moments start.
    public var zeros: ParameterSet {
        var zeros = ParameterSet()
        for index in names.indices { zeros.append(names[index], Tensor(shape: tensors[index].shape)) }
        return zeros
    }

    /// Whether both have the same names in the same order, and each the same shape.
    public func hasShapes(of other: ParameterSet) -> Bool {
        names == other.names && names.indices.allSatisfy { tensors[$0].shape == other.tensors[$0].shape }
    }

    /// Sets every value to zero and keeps the memory: gradients before the next iteration.
    public mutating func reset() {
        for index in names.indices {
            tensors[index].values.withUnsafeMutableBufferPointer { $0.update(repeating: 0) }
        }
    }
}
