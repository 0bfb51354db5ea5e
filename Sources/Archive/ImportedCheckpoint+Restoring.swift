import AnomalyScoring
import ConvNets
import Glibc

extension ImportedCheckpoint {
    /// The model that was exported, where all its parts are among the files; nil where some are missing.
    ///
    /// The parts are put together as a model file and loaded, so that they pass the same checks as any model.
    ///
    /// - Parameter path: Where the model will be saved; a file beside it is written and removed again.
    /// - Throws: Where the weights are not those that were exported.
    public func restoredModel(savedAt path: String) throws(CheckpointImportError) -> AnomalyModel? {
        guard let remainder, let file = try assembledFile(with: remainder) else { return nil }
        let assembly = "\(path).assembly"
        do { try file.write(to: assembly) } catch { throw .safetensors(path: assembly, error) }
        defer { unlink(assembly) }
        do { return try ModelFile.load(assembly).model } catch {
            throw .changedSinceExport(path: remainder.path, error.failedCheck)
        }
    }

    /// A model file's tensors in their order; nil where one is missing.
    private func assembledFile(with remainder: Found<SafetensorsFile>) throws(CheckpointImportError) -> SafetensorsFile?
    {
        var metadata = remainder.value.metadata
        let order = metadata.removeValue(forKey: ModelExport.orderKey)?.split(separator: "\n").map(String.init)
        let manifest: ModelManifest
        do { manifest = try ModelManifest(parsing: metadata[ModelFile.manifestKey] ?? "") } catch {
            throw .changedSinceExport(path: remainder.path, error)
        }
        var tensors: [StoredTensor] = []
        for name in order ?? remainder.value.tensors.map(\.name) {
            guard let tensor = part(name, of: remainder.value, precision: manifest.precision) else { return nil }
            tensors.append(tensor)
        }
        guard Set(tensors.map(\.name)).count == tensors.count else {
            throw .changedSinceExport(path: remainder.path, .manifest(reason: "its tensor order names one twice"))
        }
        return SafetensorsFile(tensors: tensors, metadata: metadata)
    }

    private func part(_ name: String, of remainder: SafetensorsFile, precision: WeightPrecision) -> StoredTensor? {
        if ModelExport.isPartOfNetworks(name) {
            let parts = name.split(separator: ".", maxSplits: 1).map(String.init)
            guard parts.count == 2, let role = NetworkRole(rawValue: parts[0]),
                let tensor = self[role]?.tensor(named: parts[1])
            else { return nil }
            return switch precision {
            case .float32: StoredTensor(name, shape: tensor.shape, tensor.values)
            case .float16: StoredTensor(name, shape: tensor.shape, tensor.values.map { Float16($0) })
            }
        }
        let names = CheckpointFormat.safetensors.statisticsNames
        switch name {
        case names.mean: return statistics.map { StoredTensor(name, shape: [$0.mean.count], $0.mean) }
        case names.deviation: return statistics.map { StoredTensor(name, shape: [$0.deviation.count], $0.deviation) }
        default: return remainder.tensor(named: name)
        }
    }
}
