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

    /// The attributes in which a module keeps its tensors and its parts.
    private static let partsOfModules = ["_parameters", "_buffers", "_modules"]

    let objects: PickledObjects
    private(set) var tensors: [String: PickledTensor] = [:]

    /// Values and pairs that may still be looked at: shared ones count each time.
    private var remainingVisits = PickleReader.maximumObjectCount

    init(objects: PickledObjects) { self.objects = objects }

    mutating func collect(
        _ reference: PickledObjects.Reference, name: String, depth: Int
    ) throws(PyTorchFileError.Reason) {
        guard depth <= Self.maximumDepth else { throw .nestedTooDeeply }
        try visit(1)
        switch objects[reference] {
        case .tensor(let tensor):
            guard tensors.count < PyTorchFile.maximumTensorCount else { throw .tooManyTensors }
            guard tensors.updateValue(tensor, forKey: name) == nil else { throw .duplicateTensor(name) }
        case .mapping(let pairs):
            try visit(pairs.count)
            for (key, value) in pairs {
                guard let key = objects.text(key) else { continue }
                try collect(value, name: try joined(name, key), depth: depth + 1)
            }
        case .record(_, let state?):
            guard case .mapping(let attributes) = objects[state] else { return }
            try visit(attributes.count)
            var parts: [String: PickledObjects.Reference] = [:]
            for (key, value) in attributes {
                guard let key = objects.text(key), Self.partsOfModules.contains(key) else { continue }
                parts[key] = value
            }
            for part in Self.partsOfModules.compactMap({ parts[$0] }) {
                try collect(part, name: name, depth: depth + 1)
            }
        default: break
        }
    }

    private mutating func visit(_ count: Int) throws(PyTorchFileError.Reason) {
        guard count <= remainingVisits else { throw .nestedTooDeeply }
        remainingVisits -= count
    }

    private func joined(_ name: String, _ key: String) throws(PyTorchFileError.Reason) -> String {
        guard name.utf8.count + key.utf8.count < PyTorchFile.maximumNameByteCount else { throw .nameTooLong }
        return name.isEmpty ? key : "\(name).\(key)"
    }
}
