extension PickledObjects {
    /// The tensors of what was saved, by the names that its `state_dict` has or would have.
    ///
    /// - Throws: Where there are none, or more or deeper than any network has: values may share parts, or be part of
    ///   themselves, so the walk has limits of its own.
    func namedTensors(of root: Reference) throws(PyTorchFileError.Reason) -> [String: PickledTensor] {
        var walk = TensorWalk(objects: self)
        // Of a Lightning checkpoint the weights alone: the optimiser's moments have names of their own.
        try walk.collect(value("state_dict", in: root) ?? root, name: "", depth: 0)
        guard !walk.tensors.isEmpty else { throw .noTensors }
        return walk.tensors
    }
}

private struct TensorWalk {
    private static let maximumDepth = 16

    let objects: PickledObjects
    private(set) var tensors: [String: PickledTensor] = [:]
    private var remainingVisits = PickleReader.maximumObjectCount

    init(objects: PickledObjects) { self.objects = objects }

    mutating func collect(
        _ reference: PickledObjects.Reference, name: String, depth: Int
    ) throws(PyTorchFileError.Reason) {
        remainingVisits -= 1
        guard depth <= Self.maximumDepth, remainingVisits > 0 else { throw .nestedTooDeeply }
        switch objects[reference] {
        case .tensor(let tensor):
            guard tensors.count < PyTorchFile.maximumTensorCount else { throw .tooManyTensors }
            guard tensors.updateValue(tensor, forKey: name) == nil else { throw .duplicateTensor(name) }
        case .mapping(let pairs):
            for (key, value) in pairs {
                guard let key = objects.text(key) else { continue }
                try collect(value, name: try joined(name, key), depth: depth + 1)
            }
        case .record(_, let state?):
            // A module keeps its tensors and its parts in these three of its attributes.
            for part in ["_parameters", "_buffers", "_modules"] {
                guard let part = objects.value(part, in: state) else { continue }
                try collect(part, name: name, depth: depth + 1)
            }
        default: break
        }
    }

    private func joined(_ name: String, _ key: String) throws(PyTorchFileError.Reason) -> String {
        guard name.utf8.count + key.utf8.count < PyTorchFile.maximumNameByteCount else { throw .nameTooLong }
        return name.isEmpty ? key : "\(name).\(key)"
    }
}
