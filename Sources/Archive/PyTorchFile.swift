import Glibc

/// A file of `torch.save`: the tensors in it by name, read without running anything.
///
/// What was saved may be a `state_dict`, a whole module such as `nn.Sequential`, a Lightning checkpoint with its
/// `state_dict` inside, a dictionary of tensors or a tensor alone, whose name is then empty.
final class PyTorchFile: Sendable {
    /// Most tensors that are taken from a file.
    static let maximumTensorCount = 1 << 12

    /// Longest accepted name, in UTF-8 bytes.
    static let maximumNameByteCount = 256

    /// Largest storage that is read, 256 MiB: all three networks of a model have 130 MB in double precision. The smallest
    /// view needs its whole storage, which has the checksum.
    static let maximumStorageByteCount = 256 << 20

    let path: String

    /// Names and shapes of all tensors.
    var shapes: [String: [Int]] { tensors.mapValues(\.shape) }

    private let archive: StoredZipArchive
    private let tensors: [String: PickledTensor]

    /// What all entries' names start with.
    private let prefix: String

    /// - Throws: The first check that fails. The tensors' numbers are not read yet.
    init(_ path: String) throws(PyTorchFileError) {
        self.path = path
        do throws(PyTorchFileError.Reason) {
            let archive = try Self.open(path)
            guard let pickle = archive.entries.first(where: { $0.name.hasSuffix("/data.pkl") }) else {
                throw .notACheckpoint
            }
            prefix = String(pickle.name.dropLast("data.pkl".count))
            guard archive.entry(named: prefix + "constants.pkl") == nil else { throw .torchScript }
            if let order = archive.entry(named: prefix + "byteorder") {
                let little = Array("little".utf8)
                guard order.range.count == little.count, try Self.bytes(of: order, in: archive) == little else {
                    throw .bigEndian
                }
            }
            guard pickle.range.count <= PickleReader.maximumByteCount else {
                throw .pickle(.tooLong(byteCount: pickle.range.count))
            }
            let bytes = try Self.bytes(of: pickle, in: archive)
            let (objects, root) = try Self.unpickle(bytes)
            tensors = try objects.namedTensors(of: root)
            self.archive = archive
        } catch {
            throw PyTorchFileError(path: path, reason: error)
        }
    }

    /// The values of a tensor, row-major, each as near as a `Float` comes; nil where there is no tensor of the name.
    func values(of name: String) throws(PyTorchFileError) -> [Float]? {
        guard let tensor = tensors[name] else { return nil }
        do throws(PyTorchFileError.Reason) {
            let storage = tensor.storage
            let entryName = "\(prefix)data/\(storage.key)"
            guard let entry = archive.entry(named: entryName) else { throw .missingStorage(entryName, tensor: name) }
            // Before anything is allocated: what the pickle claims is held against what the file has.
            let (needed, overflow) = storage.elementCount.multipliedReportingOverflow(by: storage.type.width)
            guard !overflow, needed <= Self.maximumStorageByteCount else {
                throw .storageTooLarge(entryName, elementCount: storage.elementCount)
            }
            guard entry.range.count == needed else {
                throw .storageSize(entryName, elementCount: storage.elementCount, byteCount: entry.range.count)
            }
            return tensor.gathered(from: try Self.bytes(of: entry, in: archive))
        } catch {
            throw PyTorchFileError(path: path, reason: error)
        }
    }

    /// How a tensor's elements are stored; nil where there is no tensor of the name.
    func elementType(of name: String) -> PyTorchElementType? { tensors[name]?.storage.type }

    private static func open(_ path: String) throws(PyTorchFileError.Reason) -> StoredZipArchive {
        // Without O_NONBLOCK, opening a pipe would wait for a writer; on files it changes nothing.
        let file = try wrapping { () throws(FileError) in try OpenFile(path, O_RDONLY | O_NONBLOCK) }
        let byteCount = try wrapping { () throws(FileError) in try file.regularFileSize() }
        let firstBytes = try wrapping { () throws(FileError) in try file.read(min(byteCount, legacyMagic.count)) }
        guard firstBytes != legacyMagic else { throw .legacy }
        guard StoredZipArchive.isArchive(firstBytes: firstBytes) else { throw .notACheckpoint }
        do { return try StoredZipArchive(taking: file, byteCount: byteCount) } catch { throw .archive(error) }
    }

    private static func wrapping<Value: ~Copyable>(
        _ access: () throws(FileError) -> Value
    ) throws(PyTorchFileError.Reason) -> Value {
        do { return try access() } catch { throw .file(error) }
    }

    /// A pickle of PyTorch's magic number: how `torch.save` began before version 1.6.
    private static let legacyMagic: [UInt8] = [
        0x80, 0x02, 0x8A, 0x0A, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19,
    ]

    private static func bytes(
        of entry: StoredZipArchive.Entry, in archive: borrowing StoredZipArchive
    ) throws(PyTorchFileError.Reason) -> [UInt8] {
        do { return try archive.bytes(of: entry) } catch { throw .archive(error) }
    }

    private static func unpickle(
        _ bytes: [UInt8]
    ) throws(PyTorchFileError.Reason) -> (objects: PickledObjects, root: PickledObjects.Reference) {
        do { return try PickleReader.read(bytes) } catch { throw .pickle(error) }
    }
}

extension PickledTensor {
    /// The tensor's values out of the bytes of its whole storage.
    ///
    /// - Precondition: The storage has as many bytes as its elements need.
    fileprivate func gathered(from bytes: [UInt8]) -> [Float] {
        switch storage.type {
        case .float32: gathered(from: bytes) { (value: Float) in value }
        case .float16: gathered(from: bytes) { (value: Float16) in Float(value) }
        case .bfloat16: gathered(from: bytes) { (value: UInt16) in Float(bitPattern: UInt32(value) << 16) }
        case .float64: gathered(from: bytes) { (value: Double) in Float(value) }
        case .int64: gathered(from: bytes) { (value: Int64) in Float(value) }
        }
    }

    private func gathered<Element: BitwiseCopyable>(from bytes: [UInt8], as value: (Element) -> Float) -> [Float] {
        precondition(bytes.count == storage.elementCount * storage.type.width, "a storage of another size")
        var index = [Int](repeating: 0, count: shape.count)
        var place = offset
        return bytes.withUnsafeBytes { bytes in
            (0..<elementCount).map { _ in
                defer { advance(&index, &place) }
                return value(
                    bytes.loadUnaligned(fromByteOffset: place * MemoryLayout<Element>.stride, as: Element.self))
            }
        }
    }

    /// To the next element in row-major order, the last dimension fastest.
    private func advance(_ index: inout [Int], _ place: inout Int) {
        for dimension in shape.indices.reversed() {
            index[dimension] += 1
            place += strides[dimension]
            guard index[dimension] == shape[dimension] else { return }
            place -= shape[dimension] * strides[dimension]
            index[dimension] = 0
        }
    }
}

/// Why a PyTorch file cannot be used: which file, and what about it.
public struct PyTorchFileError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Reason: Error, Hashable, Sendable {
        case file(FileError)

        /// Neither a zip archive nor what came before.
        case notACheckpoint

        /// Written by `torch.save` before version 1.6.
        case legacy

        /// Code and weights of `torch.jit.save`.
        case torchScript
        case bigEndian
        case archive(StoredZipError)
        case pickle(PickleError)
        case missingStorage(String, tensor: String)

        /// An entry does not have the size that the pickle says.
        case storageSize(String, elementCount: Int, byteCount: Int)
        case storageTooLarge(String, elementCount: Int)
        case noTensors
        case tooManyTensors
        case nameTooLong
        case nestedTooDeeply
        case duplicateTensor(String)
    }

    public let path: String
    public let reason: Reason

    public var description: String {
        switch reason {
        case .file(let error): error.description
        case .archive(.file(let error)): error.description
        case .archive(let error): "'\(path)' cannot be read: \(error)"
        case .pickle(let error): "'\(path)' cannot be read: \(error)"
        case .notACheckpoint: "'\(path)' is no file of torch.save: it is no zip archive with a data.pkl inside"
        case .legacy:
            """
            '\(path)' has the format that torch.save had before version 1.6; write it anew in PyTorch: \
            torch.save(torch.load('\(path)'), 'new.pth')
            """
        case .torchScript:
            """
            '\(path)' is TorchScript, code and weights in one; save the weights alone in PyTorch: \
            torch.save(torch.jit.load('\(path)').state_dict(), 'weights.pth')
            """
        case .bigEndian: "'\(path)' was written by a big-endian machine; write it anew on a little-endian one"
        case .missingStorage(let entry, let tensor):
            "'\(path)' lacks '\(entry.legible)', the numbers of tensor '\(tensor.legible)'"
        case .storageSize(let entry, let elements, let bytes):
            """
            '\(path)': '\(entry.legible)' has \(bytes) bytes, which are not the \(elements) elements that the pickle says
            """
        case .storageTooLarge(let entry, let elements):
            """
            '\(path)': '\(entry.legible)' has \(elements) elements, more than the \(PyTorchFile.maximumStorageByteCount) \
            bytes allowed; no network here is that large
            """
        case .noTensors: "'\(path)' has no tensors where weights are looked for"
        case .tooManyTensors: "'\(path)' has more than the \(PyTorchFile.maximumTensorCount) tensors allowed"
        case .nameTooLong:
            "'\(path)' has a tensor whose name is longer than the \(PyTorchFile.maximumNameByteCount) bytes allowed"
        case .nestedTooDeeply: "'\(path)' nests dictionaries or modules deeper than any network here"
        case .duplicateTensor(let name): "'\(path)' has two tensors named '\(name.legible)'"
        }
    }
}
