/// Which check a safetensors file failed.
public enum SafetensorsError: Error, Hashable, Sendable, CustomStringConvertible {
    case file(FileError)

    /// Fewer than the eight bytes that hold the header's length.
    case tooShort(byteCount: Int)
    case headerTooLarge(byteCount: UInt64)
    case headerBeyondEndOfFile(headerByteCount: Int, fileByteCount: Int)

    /// The header is not the JSON it has to be, at a byte of the header.
    case malformedHeader(offset: Int, expected: String)
    case duplicateName(String)
    case unknownElementType(tensor: String, String)

    /// The number of elements or bytes does not fit an integer.
    case shapeOverflow(tensor: String)

    /// The offsets span another number of bytes than shape and type need.
    case sizeMismatch(tensor: String, needed: Int, spanned: Int)

    /// The end lies before the beginning.
    case reversedOffsets(tensor: String)
    case offsetsBeyondEndOfFile(tensor: String, end: Int, dataByteCount: Int)
    case overlappingOffsets(tensor: String)

    /// Bytes before this tensor that belong to none.
    case gap(before: String, byteCount: Int)

    /// Bytes after the last tensor.
    case trailingBytes(Int)

    public var description: String {
        switch self {
        case .file(let error):
            error.description
        case .tooShort(let count):
            "the file has \(count) bytes and is no safetensors file"
        case .headerTooLarge(let count):
            "the header claims \(count) bytes, more than the \(SafetensorsFile.maximumHeaderByteCount) allowed; "
                + "the file is damaged or no safetensors file"
        case .headerBeyondEndOfFile(let header, let file):
            "the header claims \(header) bytes in a file of \(file); the file is truncated or no safetensors file"
        case .malformedHeader(let offset, let expected):
            "the header is malformed at its byte \(offset), where \(expected) was expected"
        case .duplicateName(let name):
            "the name '\(name.legible)' occurs twice in the header"
        case .unknownElementType(let tensor, let type):
            "tensor '\(tensor.legible)' has element type '\(type.legible)'; "
                + "known are \(ElementType.allCases.map(\.rawValue).joined(separator: ", "))"
        case .shapeOverflow(let tensor):
            "the shape of tensor '\(tensor.legible)' has more elements than can be counted"
        case .sizeMismatch(let tensor, let needed, let spanned):
            "tensor '\(tensor.legible)' needs \(needed) bytes and its offsets span \(spanned)"
        case .reversedOffsets(let tensor):
            "tensor '\(tensor.legible)' ends before it begins"
        case .offsetsBeyondEndOfFile(let tensor, let end, let count):
            "tensor '\(tensor.legible)' ends at byte \(end) of \(count) bytes of data; the file is truncated"
        case .overlappingOffsets(let tensor):
            "tensor '\(tensor.legible)' overlaps the one before it"
        case .gap(let tensor, let count):
            "\(count) bytes before tensor '\(tensor.legible)' belong to no tensor"
        case .trailingBytes(let count):
            "\(count) bytes after the last tensor belong to none"
        }
    }

    /// Runs a file operation whose failure is the failure of the safetensors file.
    static func wrapping<Value: ~Copyable>(
        _ access: () throws(FileError) -> Value
    ) throws(SafetensorsError) -> Value {
        do { return try access() } catch { throw .file(error) }
    }
}
