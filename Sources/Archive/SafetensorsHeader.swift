/// The table of contents of a safetensors file, checked completely before a byte of data is read.
public struct SafetensorsHeader: Hashable, Sendable {
    public struct Entry: Hashable, Sendable {
        public let name: String
        public let type: ElementType
        public let shape: [Int]

        /// Where its bytes lie, counted from the end of the header.
        public let range: Range<Int>
    }

    /// All tensors in the order of their bytes, which follow each other without gap or overlap.
    public let entries: [Entry]
    public let metadata: [String: String]

    /// Parses the JSON header of a file.
    ///
    /// - Parameter dataByteCount: How many bytes follow the header.
    /// - Throws: The first check that fails, with the tensor's name. Memory and time are bounded by the header's size,
    ///   whatever the header claims.
    public init(parsing json: [UInt8], dataByteCount: Int) throws(SafetensorsError) {
        var parser = SafetensorsHeaderParser(json)
        let parsed = try parser.parse()
        metadata = parsed.metadata
        entries = parsed.entries.sorted {
            ($0.range.lowerBound, $0.range.upperBound) < ($1.range.lowerBound, $1.range.upperBound)
        }

        var end = 0
        for entry in entries {
            let begin = entry.range.lowerBound
            guard entry.range.upperBound <= dataByteCount else {
                throw .offsetsBeyondEndOfFile(
                    tensor: entry.name, end: entry.range.upperBound, dataByteCount: dataByteCount)
            }
            guard begin >= end else { throw .overlappingOffsets(tensor: entry.name) }
            guard begin == end else { throw .gap(before: entry.name, byteCount: begin - end) }
            end = entry.range.upperBound
        }
        guard end == dataByteCount else { throw .trailingBytes(dataByteCount - end) }
    }
}

/// A strict reader of the one JSON form that a safetensors header has.
///
/// `{"__metadata__": {"key": "value", …}, "name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, …}`,
/// padded at the end with spaces. Written by hand because general JSON decoders keep one of two equal keys in silence.
struct SafetensorsHeaderParser {
    private let bytes: [UInt8]
    private var position = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    mutating func parse() throws(SafetensorsError) -> (entries: [SafetensorsHeader.Entry], metadata: [String: String]) {
        var entries: [SafetensorsHeader.Entry] = []
        var metadata: [String: String]?
        var names: Set<String> = []
        guard bytes.first == UInt8(ascii: "{") else { throw expected("'{'") }
        try object { (parser, key) throws(SafetensorsError) in
            guard names.insert(key).inserted else { throw .duplicateName(key) }
            if key == "__metadata__" {
                metadata = try parser.strings()
            } else {
                entries.append(try parser.entry(named: key))
            }
        }
        skipSpace()
        guard position == bytes.count else { throw expected("the end of the header") }
        return (entries, metadata ?? [:])
    }

    private mutating func entry(named name: String) throws(SafetensorsError) -> SafetensorsHeader.Entry {
        var type: String?
        var shape: [Int]?
        var offsets: [Int]?
        try object { (parser, key) throws(SafetensorsError) in
            switch key {
            case "dtype" where type == nil: type = try parser.string()
            case "shape" where shape == nil: shape = try parser.integers()
            case "data_offsets" where offsets == nil: offsets = try parser.integers()
            case "dtype", "shape", "data_offsets": throw .duplicateName("\(name).\(key)")
            default: throw parser.expected("'dtype', 'shape' or 'data_offsets'")
            }
        }
        guard let type, let shape, let offsets, offsets.count == 2 else {
            throw expected("dtype, shape and two data_offsets for '\(name)'")
        }
        guard let element = ElementType(rawValue: type) else { throw .unknownElementType(tensor: name, type) }
        var needed = element.width
        for side in shape {
            let (product, overflow) = needed.multipliedReportingOverflow(by: side)
            guard !overflow else { throw .shapeOverflow(tensor: name) }
            needed = product
        }
        guard offsets[0] <= offsets[1] else { throw .reversedOffsets(tensor: name) }
        guard offsets[1] - offsets[0] == needed else {
            throw .sizeMismatch(tensor: name, needed: needed, spanned: offsets[1] - offsets[0])
        }
        return .init(name: name, type: element, shape: shape, range: offsets[0]..<offsets[1])
    }

    private mutating func strings() throws(SafetensorsError) -> [String: String] {
        var strings: [String: String] = [:]
        try object { (parser, key) throws(SafetensorsError) in
            guard strings.updateValue(try parser.string(), forKey: key) == nil else {
                throw .duplicateName("__metadata__.\(key)")
            }
        }
        return strings
    }

    // MARK: JSON

    private mutating func object(
        _ member: (inout Self, String) throws(SafetensorsError) -> Void
    ) throws(SafetensorsError) {
        try expect("{")
        if accept("}") { return }
        repeat {
            let key = try string()
            try expect(":")
            try member(&self, key)
        } while accept(",")
        try expect("}")
    }

    private mutating func integers() throws(SafetensorsError) -> [Int] {
        try expect("[")
        var integers: [Int] = []
        if accept("]") { return integers }
        repeat { integers.append(try integer()) } while accept(",")
        try expect("]")
        return integers
    }

    /// A number of digits only: no sign, fraction, exponent or leading zero, and below 2⁶³.
    private mutating func integer() throws(SafetensorsError) -> Int {
        skipSpace()
        let digits = bytes[position...].prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        guard let first = digits.first, first != UInt8(ascii: "0") || digits.count == 1,
            let value = Int(String(decoding: digits, as: UTF8.self))
        else { throw expected("a non-negative integer below 2^63") }
        position = digits.endIndex
        return value
    }

    private mutating func string() throws(SafetensorsError) -> String {
        try expect("\"")
        var utf8: [UInt8] = []
        while position < bytes.count {
            let byte = bytes[position]
            position += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let string = String(validating: utf8, as: UTF8.self) else { throw expected("UTF-8 text") }
                return string
            case UInt8(ascii: "\\"):
                try utf8.append(contentsOf: escape())
            case 0..<0x20:
                throw expected("no control character in a string")
            default:
                utf8.append(byte)
            }
        }
        throw expected("the end of a string")
    }

    /// The UTF-8 of what follows a backslash.
    private mutating func escape() throws(SafetensorsError) -> [UInt8] {
        guard position < bytes.count else { throw expected("an escape sequence") }
        let byte = bytes[position]
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [byte]
        case UInt8(ascii: "b"): return [0x08]
        case UInt8(ascii: "f"): return [0x0C]
        case UInt8(ascii: "n"): return [0x0A]
        case UInt8(ascii: "r"): return [0x0D]
        case UInt8(ascii: "t"): return [0x09]
        case UInt8(ascii: "u"):
            var scalar = try codeUnit()
            if (0xD800..<0xDC00).contains(scalar) {
                guard bytes[position...].starts(with: [UInt8(ascii: "\\"), UInt8(ascii: "u")]) else {
                    throw expected("the second half of a surrogate pair")
                }
                position += 2
                let low = try codeUnit()
                guard (0xDC00..<0xE000).contains(low) else { throw expected("the second half of a surrogate pair") }
                scalar = 0x10000 + (scalar - 0xD800) << 10 + (low - 0xDC00)
            }
            guard let scalar = Unicode.Scalar(scalar) else { throw expected("a Unicode scalar") }
            return Array(String(scalar).utf8)
        default:
            throw expected("an escape sequence")
        }
    }

    private mutating func codeUnit() throws(SafetensorsError) -> UInt32 {
        let digits = bytes[position...].prefix(4)
        guard digits.count == 4, digits.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
            let value = UInt32(String(decoding: digits, as: UTF8.self), radix: 16)
        else { throw expected("four hexadecimal digits") }
        position += 4
        return value
    }

    private mutating func expect(_ token: Unicode.Scalar) throws(SafetensorsError) {
        guard accept(token) else { throw expected("'\(token)'") }
    }

    private mutating func accept(_ token: Unicode.Scalar) -> Bool {
        skipSpace()
        guard position < bytes.count, bytes[position] == UInt8(ascii: token) else { return false }
        position += 1
        return true
    }

    private mutating func skipSpace() {
        while position < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[position]) { position += 1 }
    }

    private func expected(_ what: String) -> SafetensorsError { .malformedHeader(offset: position, expected: what) }
}
