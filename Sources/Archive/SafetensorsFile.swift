import Crypto
import Glibc

/// A safetensors file: named tensors and text, without executable content (github.com/huggingface/safetensors).
///
/// Eight bytes of header length, a JSON header, then the tensors' bytes without gaps. Reading is strict, and takes no
/// more memory than the header limit until the caller has seen the header and asks for the data.
public struct SafetensorsFile: Hashable, Sendable {
    /// Longest accepted header, 1 MiB; ours are about 10 KiB.
    public static let maximumHeaderByteCount = 1 << 20

    /// In the order of their bytes in the file.
    public let tensors: [StoredTensor]
    public let metadata: [String: String]

    /// - Parameter tensors: Stored with wider elements first, otherwise in this order, which keeps every tensor aligned
    ///   to its element.
    /// - Precondition: No name occurs twice.
    public init(tensors: [StoredTensor], metadata: [String: String]) {
        precondition(Set(tensors.map(\.name)).count == tensors.count, "a tensor name occurs twice")
        self.tensors = [8, 4, 2, 1].flatMap { width in tensors.filter { $0.type.width == width } }
        self.metadata = metadata
    }

    private init(asStored tensors: [StoredTensor], metadata: [String: String]) {
        self.tensors = tensors
        self.metadata = metadata
    }

    public func tensor(named name: String) -> StoredTensor? { tensors.first { $0.name == name } }

    // MARK: Writing

    /// SHA-256 over the bytes of all tensors in their order, hexadecimal.
    public var dataDigest: String {
        var hash = SHA256()
        for tensor in tensors { hash.update(data: tensor.bytes) }
        return hash.finalize().hexadecimal
    }

    /// Everything before the tensors' bytes; the same content always gives the same bytes.
    ///
    /// - Throws: `headerTooLarge`, since such a file could not be read again.
    func headerBytes() throws(SafetensorsError) -> [UInt8] {
        var members: [String] = []
        if !metadata.isEmpty {
            let pairs = metadata.sorted { $0.key < $1.key }.map { "\(Self.quoted($0.key)):\(Self.quoted($0.value))" }
            members.append("\"__metadata__\":{\(pairs.joined(separator: ","))}")
        }
        var offset = 0
        for tensor in tensors {
            let shape = tensor.shape.map(String.init).joined(separator: ",")
            let end = offset + tensor.bytes.count
            members.append(
                "\(Self.quoted(tensor.name)):"
                    + "{\"dtype\":\"\(tensor.type.rawValue)\",\"shape\":[\(shape)],\"data_offsets\":[\(offset),\(end)]}"
            )
            offset = end
        }
        var json = Array("{\(members.joined(separator: ","))}".utf8)
        while json.count % 8 != 0 { json.append(UInt8(ascii: " ")) }
        guard json.count <= Self.maximumHeaderByteCount else { throw .headerTooLarge(byteCount: UInt64(json.count)) }
        return withUnsafeBytes(of: UInt64(json.count).littleEndian) { Array($0) } + json
    }

    /// Replaces the file at `path` in one step.
    public func write(to path: String) throws(SafetensorsError) {
        let header = try headerBytes()
        try SafetensorsError.wrapping { () throws(FileError) in
            try AtomicFile.replace(path) { (file) throws(FileError) in
                try file.write(header)
                for tensor in tensors { try file.write(tensor.bytes) }
            }
        }
    }

    private static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\n": quoted += "\\n"
            case "\u{00}"..<"\u{10}": quoted += "\\u000\(String(scalar.value, radix: 16))"
            case "\u{10}"..<"\u{20}": quoted += "\\u00\(String(scalar.value, radix: 16))"
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }

    // MARK: Reading

    /// An open file whose header has been read and checked, and whose data has not been touched.
    public struct Reader: ~Copyable, Sendable {
        public let header: SafetensorsHeader

        /// Size of the whole file, in bytes.
        public let fileByteCount: Int

        private let file: OpenFile
        private let headerBytes: [UInt8]

        public init(_ path: String) throws(SafetensorsError) {
            // Without O_NONBLOCK, opening a pipe would wait for a writer; on files it changes nothing.
            let file = try SafetensorsError.wrapping { () throws(FileError) in
                try OpenFile(path, O_RDONLY | O_NONBLOCK)
            }
            let fileByteCount = try SafetensorsError.wrapping { () throws(FileError) in try file.regularFileSize() }
            guard fileByteCount >= 8 else { throw .tooShort(byteCount: fileByteCount) }
            let length = try SafetensorsError.wrapping { () throws(FileError) in try file.read(8) }
            let claimed = length.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            guard claimed <= UInt64(SafetensorsFile.maximumHeaderByteCount) else {
                throw .headerTooLarge(byteCount: claimed)
            }
            let dataByteCount = fileByteCount - 8 - Int(claimed)
            guard dataByteCount >= 0 else {
                throw .headerBeyondEndOfFile(headerByteCount: Int(claimed), fileByteCount: fileByteCount)
            }
            let json = try SafetensorsError.wrapping { () throws(FileError) in try file.read(Int(claimed), at: 8) }
            self.header = try SafetensorsHeader(parsing: json, dataByteCount: dataByteCount)
            self.fileByteCount = fileByteCount
            self.headerBytes = length + json
            self.file = file
        }

        /// Reads all tensors, `header.entries`' sizes of memory.
        public func contents() throws(SafetensorsError) -> Contents {
            var whole = SHA256()
            var data = SHA256()
            whole.update(data: headerBytes)
            var tensors: [StoredTensor] = []
            for entry in header.entries {
                let tensor = try tensor(of: entry)
                whole.update(data: tensor.bytes)
                data.update(data: tensor.bytes)
                tensors.append(tensor)
            }
            return Contents(
                file: SafetensorsFile(asStored: tensors, metadata: header.metadata), byteCount: fileByteCount,
                fileDigest: whole.finalize().hexadecimal, dataDigest: data.finalize().hexadecimal)
        }

        /// Reads one tensor.
        ///
        /// - Parameter entry: Of this file's header.
        func tensor(of entry: SafetensorsHeader.Entry) throws(SafetensorsError) -> StoredTensor {
            let bytes = try SafetensorsError.wrapping { () throws(FileError) in
                try file.read(entry.range.count, at: headerBytes.count + entry.range.lowerBound)
            }
            return StoredTensor(entry.name, entry.type, shape: entry.shape, bytes: bytes)
        }
    }

    /// What was read, with the digests of the bytes that were read.
    public struct Contents: Sendable {
        public let file: SafetensorsFile
        public let byteCount: Int

        /// SHA-256 of the whole file, hexadecimal.
        public let fileDigest: String

        /// SHA-256 of the data section, hexadecimal.
        public let dataDigest: String
    }
}

extension Digest {
    /// Two lower-case digits a byte.
    var hexadecimal: String {
        reduce(into: "") { $0 += ($1 < 16 ? "0" : "") + String($1, radix: 16) }
    }
}
