/// What a pickle describes, as plain values: nothing in it was run or built by its classes.
///
/// Values refer to each other by number, because a pickle may share a value between many places, nest values without
/// end or put one into itself; walking them is bounded by the walker.
struct PickledObjects: Sendable {
    struct Reference: Hashable, Sendable {
        fileprivate let position: Int32
    }

    enum Value: Sendable {
        case none
        case boolean(Bool)
        case integer(Int64)
        case float(Double)
        case text(String)
        case bytes

        /// A tuple, list or set.
        case sequence([Reference])

        /// A dictionary or OrderedDict, in the order of the file.
        case mapping([(key: Reference, value: Reference)])

        /// A class or function that is only named, such as `torch.FloatStorage`.
        case name(String)
        case storage(PickledStorage)
        case tensor(PickledTensor)

        /// An object of a class that is known to hold plain data; `state` is what `BUILD` gave it, mostly a dictionary.
        case record(className: String, state: Reference?)
    }

    private var values: [Value] = []

    var count: Int { values.count }

    mutating func add(_ value: Value) -> Reference {
        values.append(value)
        return Reference(position: Int32(values.count - 1))
    }

    subscript(reference: Reference) -> Value {
        get { values[Int(reference.position)] }
        _modify { yield &values[Int(reference.position)] }
    }

    func text(_ reference: Reference) -> String? {
        if case .text(let text) = self[reference] { text } else { nil }
    }

    func integer(_ reference: Reference) -> Int? {
        if case .integer(let integer) = self[reference] { Int(integer) } else { nil }
    }

    func sequence(_ reference: Reference) -> [Reference]? {
        if case .sequence(let items) = self[reference] { items } else { nil }
    }

    /// A sequence of integers, as sizes and strides are; nil for anything else.
    func integers(_ reference: Reference) -> [Int]? {
        guard let items = sequence(reference) else { return nil }
        let integers = items.compactMap { integer($0) }
        return integers.count == items.count ? integers : nil
    }

    /// What a dictionary has under a key of text; the last one where there are several, as in Python.
    func value(_ key: String, in reference: Reference) -> Reference? {
        guard case .mapping(let pairs) = self[reference] else { return nil }
        return pairs.last { text($0.key) == key }?.value
    }
}

/// A run of numbers in an entry of its own, which tensors are views of.
struct PickledStorage: Hashable, Sendable {
    let type: PyTorchElementType

    /// Names the entry: `data/<key>`.
    let key: String
    let elementCount: Int
}

/// A view of a storage: element `[i, j, …]` is number `offset + i·stride₀ + j·stride₁ + …` of it.
struct PickledTensor: Hashable, Sendable {
    let storage: PickledStorage
    let offset: Int
    let shape: [Int]

    /// 0 where the side is 0 or 1.
    let strides: [Int]

    /// Most dimensions that are accepted; weights have four.
    static let maximumRank = 8

    /// - Returns: nil where an element would lie outside the storage, or where there are more elements than the storage
    ///   has, as expanded views do: no weight is one, and it could claim any amount of memory.
    init?(storage: PickledStorage, offset: Int, shape: [Int], strides: [Int]) {
        guard offset >= 0, shape.count == strides.count, shape.count <= Self.maximumRank,
            (shape + strides).allSatisfy({ $0 >= 0 })
        else { return nil }
        var count = 1
        var last = offset
        for (side, stride) in zip(shape, strides) {
            let (product, countOverflow) = count.multipliedReportingOverflow(by: side)
            let (reach, reachOverflow) = max(side - 1, 0).multipliedReportingOverflow(by: stride)
            let (sum, sumOverflow) = last.addingReportingOverflow(reach)
            guard !countOverflow, !reachOverflow, !sumOverflow else { return nil }
            (count, last) = (product, sum)
        }
        guard count == 0 || count <= storage.elementCount && last < storage.elementCount else { return nil }
        self.storage = storage
        self.offset = offset
        self.shape = shape
        // A side of 1 takes no step and may say any: PyTorch does not look at it, and adding it could overflow.
        self.strides = zip(shape, strides).map { side, stride in side > 1 ? stride : 0 }
    }

    var elementCount: Int { shape.reduce(1, *) }
}

/// The element types whose storages are read, by the names of PyTorch's storage classes.
enum PyTorchElementType: String, Sendable, CaseIterable {
    case float32 = "torch.FloatStorage"
    case float16 = "torch.HalfStorage"
    case bfloat16 = "torch.BFloat16Storage"
    case float64 = "torch.DoubleStorage"
    case int64 = "torch.LongStorage"

    /// Bytes that one element takes.
    var width: Int {
        switch self {
        case .float32: 4
        case .float16, .bfloat16: 2
        case .float64, .int64: 8
        }
    }
}
