/// How the numbers of a stored tensor are encoded, by safetensors' names; always little endian.
public enum ElementType: String, Sendable, CaseIterable {
    case float64 = "F64"
    case int64 = "I64"
    case float32 = "F32"
    case float16 = "F16"
    case uint8 = "U8"

    /// Bytes that one element takes.
    public var width: Int {
        switch self {
        case .float64, .int64: 8
        case .float32: 4
        case .float16: 2
        case .uint8: 1
        }
    }
}

/// A named block of numbers as it lies in a file.
public struct StoredTensor: Hashable, Sendable {
    public let name: String
    public let type: ElementType
    public let shape: [Int]

    /// The elements, row-major, little endian.
    public let bytes: [UInt8]

    /// - Precondition: `bytes` fills `shape` exactly.
    public init(_ name: String, _ type: ElementType, shape: [Int], bytes: [UInt8]) {
        precondition(
            shape.reduce(1, *) * type.width == bytes.count,
            "\(bytes.count) bytes do not fill \(type.rawValue) tensor '\(name)' of shape \(shape)")
        self.name = name
        self.type = type
        self.shape = shape
        self.bytes = bytes
    }

    public init(_ name: String, shape: [Int], _ values: [Float]) {
        self.init(name, .float32, shape: shape, bytes: Self.bytes(of: values))
    }

    public init(_ name: String, shape: [Int], _ values: [Float16]) {
        self.init(name, .float16, shape: shape, bytes: Self.bytes(of: values))
    }

    public init(_ name: String, shape: [Int], _ values: [Double]) {
        self.init(name, .float64, shape: shape, bytes: Self.bytes(of: values))
    }

    public init(_ name: String, shape: [Int], _ values: [Int64]) {
        self.init(name, .int64, shape: shape, bytes: Self.bytes(of: values))
    }

    /// The values of an F32 or F16 tensor; each F16 value is exactly a `Float`. Nil for other types.
    public var floats: [Float]? {
        switch type {
        case .float32: elements(as: Float.self)
        case .float16: elements(as: Float16.self).map(Float.init)
        default: nil
        }
    }

    /// The values of an F64 tensor, nil for other types.
    public var doubles: [Double]? { type == .float64 ? elements(as: Double.self) : nil }

    /// The values of an I64 tensor, nil for other types.
    public var integers: [Int64]? { type == .int64 ? elements(as: Int64.self) : nil }

    // Both directions copy memory as it is: every machine that Swift runs on today is little endian.

    private static func bytes<Element: BitwiseCopyable>(of values: [Element]) -> [UInt8] {
        values.withUnsafeBytes { Array($0) }
    }

    private func elements<Element: BitwiseCopyable>(as _: Element.Type) -> [Element] {
        let count = bytes.count / MemoryLayout<Element>.stride
        return [Element](unsafeUninitializedCapacity: count) { buffer, filled in
            bytes.withUnsafeBytes { UnsafeMutableRawBufferPointer(buffer).copyMemory(from: $0) }
            filled = count
        }
    }
}
