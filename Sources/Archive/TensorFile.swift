/// A file of named tensors, whichever container it has.
protocol TensorFile: Sendable {
    var path: String { get }

    /// Names and shapes of all tensors.
    var shapes: [String: [Int]] { get }

    /// Text that was stored beside the tensors.
    var metadata: [String: String] { get }

    /// Row-major values, read when they are asked for: whoever asks has seen by the shape that they are not too many.
    ///
    /// - Returns: nil where there is no tensor of the name or it holds no numbers of a kind that weights have.
    func values(of name: String) throws(CheckpointImportError) -> [Float]?
}

/// `torch.save`, by what is in the file and not by its name.
struct PyTorchTensorFile: TensorFile {
    private let file: PyTorchFile
    let shapes: [String: [Int]]
    let metadata: [String: String] = [:]

    var path: String { file.path }

    init(_ path: String) throws(CheckpointImportError) {
        do { file = try PyTorchFile(path) } catch { throw .pyTorch(error) }
        shapes = file.shapes
    }

    func values(of name: String) throws(CheckpointImportError) -> [Float]? {
        guard file.elementType(of: name) != .int64 else { return nil }
        do { return try file.values(of: name) } catch { throw .pyTorch(error) }
    }
}

/// safetensors.
final class SafetensorsTensorFile: TensorFile {
    let path: String
    let shapes: [String: [Int]]

    /// In the order of their bytes in the file.
    var names: [String] { reader.header.entries.map(\.name) }
    var metadata: [String: String] { reader.header.metadata }

    private let reader: SafetensorsFile.Reader
    private let entries: [String: SafetensorsHeader.Entry]

    init(_ path: String) throws(CheckpointImportError) {
        self.path = path
        do { reader = try SafetensorsFile.Reader(path) } catch { throw .safetensors(path: path, error) }
        entries = Dictionary(uniqueKeysWithValues: reader.header.entries.map { ($0.name, $0) })
        shapes = entries.mapValues(\.shape)
    }

    func entry(named name: String) -> SafetensorsHeader.Entry? { entries[name] }

    func tensor(named name: String) throws(CheckpointImportError) -> StoredTensor? {
        guard let entry = entries[name] else { return nil }
        do { return try reader.tensor(of: entry) } catch { throw .safetensors(path: path, error) }
    }

    func values(of name: String) throws(CheckpointImportError) -> [Float]? {
        switch entries[name]?.type {
        case .float64, .float32, .float16:
            let tensor = try tensor(named: name)
            return tensor.flatMap { $0.floats ?? $0.doubles?.map { Float($0) } }
        case .int64, .uint8, nil: return nil
        }
    }
}
