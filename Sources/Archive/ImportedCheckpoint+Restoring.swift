import AnomalyScoring
import ConvNets

extension ImportedCheckpoint {
    /// Whether the files have what an export puts beside the networks.
    public var isExport: Bool { remainder != nil }

    /// What an exported model was trained by; nil where the files do not say.
    public var method: AnomalyScoring.Method? {
        remainder.flatMap { try? ModelFile.manifest(in: $0.metadata) }?.method
    }

    /// The model that was exported, where all its parts are among the files; nil where some are missing.
    ///
    /// The parts are put together as in a model file and pass the same checks as any model.
    ///
    /// - Throws: Where the weights are not those that were exported.
    public func restoredModel() throws(CheckpointImportError) -> AnomalyModel? {
        guard let remainder else { return nil }
        var metadata = remainder.metadata
        let order = metadata.removeValue(forKey: ModelExport.orderKey)?.split(separator: "\n").map(String.init)
        let names = order ?? remainder.names
        // Before anything is copied: a name takes few bytes, and a tensor many.
        guard Set(names).count == names.count else {
            throw .changedSinceExport(path: remainder.path, .manifest(reason: "its tensor order names one twice"))
        }
        let manifest: ModelManifest
        do throws(ModelCheck) {
            manifest = try ModelFile.manifest(in: metadata)
            let entries = names.compactMap { entry(named: $0, of: remainder, precision: manifest.precision) }
            guard entries.count == names.count else { return nil }
            try ModelFile.checkArchitecture(entries, of: manifest)
        } catch {
            throw .changedSinceExport(path: remainder.path, error)
        }
        var tensors: [StoredTensor] = []
        for name in names {
            guard let tensor = try tensor(named: name, of: remainder, precision: manifest.precision) else { return nil }
            tensors.append(tensor)
        }
        let file = SafetensorsFile(tensors: tensors, metadata: metadata)
        do { return try ModelFile.decode(file, dataDigest: file.dataDigest, manifest: manifest) } catch {
            throw .changedSinceExport(path: remainder.path, error)
        }
    }

    /// Where the values of a model file's tensor are found.
    private enum Part {
        case network(shape: [Int], values: [Float])
        case statistic([Float])
        case remainder(SafetensorsHeader.Entry)
    }

    private func part(_ name: String, of remainder: SafetensorsTensorFile) -> Part? {
        if ModelExport.isPartOfNetworks(name) {
            let parts = name.split(separator: ".", maxSplits: 1).map(String.init)
            guard parts.count == 2, let role = NetworkRole(rawValue: parts[0]),
                let tensor = self[role]?.tensor(named: parts[1])
            else { return nil }
            return .network(shape: tensor.shape, values: tensor.values)
        }
        let names = CheckpointFormat.safetensors.statisticsNames
        switch name {
        case names.mean: return statistics.map { .statistic($0.mean) }
        case names.deviation: return statistics.map { .statistic($0.deviation) }
        default: return remainder.entry(named: name).map { .remainder($0) }
        }
    }

    /// What a model file's header would say of a tensor; nil where it is missing.
    private func entry(
        named name: String, of remainder: SafetensorsTensorFile, precision: WeightPrecision
    ) -> SafetensorsHeader.Entry? {
        switch part(name, of: remainder) {
        case .network(let shape, _)?: .init(name: name, type: precision.elementType, shape: shape, range: 0..<0)
        case .statistic(let values)?: .init(name: name, type: .float32, shape: [values.count], range: 0..<0)
        case .remainder(let entry)?: entry
        case nil: nil
        }
    }

    private func tensor(
        named name: String, of remainder: SafetensorsTensorFile, precision: WeightPrecision
    ) throws(CheckpointImportError) -> StoredTensor? {
        switch part(name, of: remainder) {
        case .network(let shape, let values)? where precision == .float16:
            StoredTensor(name, shape: shape, values.map { Float16($0) })
        case .network(let shape, let values)?: StoredTensor(name, shape: shape, values)
        case .statistic(let values)?: StoredTensor(name, shape: [values.count], values)
        case .remainder?: try remainder.tensor(named: name)
        case nil: nil
        }
    }
}
