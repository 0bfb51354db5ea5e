/// A file of named tensors, whichever container it has.
protocol TensorFile: Sendable {
    var path: String { get }

    /// Names and shapes of all tensors.
    var shapes: [String: [Int]] { get }

    /// Text that was stored beside the tensors.
    var metadata: [String: String] { get }

    /// Row-major values; nil where there is no tensor of the name or it holds no numbers of a kind that weights have.
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
        do { return try file.values(of: name) } catch { throw .pyTorch(error) }
    }
}

/// safetensors.
struct SafetensorsTensorFile: TensorFile {
    let path: String
    let contents: SafetensorsFile
    let shapes: [String: [Int]]

    var metadata: [String: String] { contents.metadata }

    init(_ path: String) throws(CheckpointImportError) {
        self.path = path
        do { contents = try SafetensorsFile.Reader(path).contents().file } catch {
            throw .safetensors(path: path, error)
        }
        shapes = Dictionary(uniqueKeysWithValues: contents.tensors.map { ($0.name, $0.shape) })
    }

    func values(of name: String) -> [Float]? {
        contents.tensor(named: name).flatMap { $0.floats ?? $0.doubles?.map { Float($0) } }
    }
}
