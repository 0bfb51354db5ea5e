import AnomalyScoring
import ConvNets
import TensorKernels

/// Writes models as safetensors files that PyTorch code of other projects loads.
///
/// Weights are F32 whatever the model's precision is, which changes no value. What a project has no place for, the
/// Gaussian of the features, fusion, threshold and self-test, goes to `beltwatch.safetensors` beside its files; with it
/// an import gives the same model again, byte for byte. LA-EAD's context extractor is there, too.
///
/// DFSC's autoencoder has the names and shapes of EfficientAD's and normalises between its layers, so the projects' code
/// would load its weights and compute something else; such models are exported as `safetensors` only.
///
/// | format | files | names |
/// |---|---|---|
/// | nelson1425 | `teacher_final`, `student_final`, `autoencoder_final` | `0.weight`, `0.bias`, `3.weight` … |
/// | | `normalization` | `teacher_mean`, `teacher_std` `[1, 384, 1, 1]`, `q_st_start` … `q_ae_end` |
/// | puad | `teacher`, `student`, `autoencoder` | `conv1.weight` …, `encoder.enconv1.weight` … |
/// | | `normalization` | `mu`, `sigma` `[384]`, `q_a_student` … `q_b_autoencoder` |
/// | anomalib | `model` | `model.teacher.conv1.weight` …, `model.ae.…`, `model.mean_std.…`, `model.quantiles.…` |
/// | safetensors | the file itself | `teacher.conv1.weight` …, and the rest as in a model file |
public enum ModelExport {
    /// What all files' names end with.
    private static let suffix = ".safetensors"

    /// In which order a model file has its tensors, one name a line: sorted into files, they lose it.
    static let orderKey = "beltwatch.tensor_order"

    /// Writes the files, each in one step, and creates the folder.
    ///
    /// - Parameter path: A folder, or for `safetensors` the file.
    /// - Returns: The paths that were written.
    /// - Throws: The first check that the model fails, that the format cannot hold the model, or what the disk says.
    public static func write(
        _ model: AnomalyModel, as format: CheckpointFormat, to path: String
    ) throws(ModelExportError) -> [String] {
        guard format == .safetensors || model.method.autoencoderDesign == .plain else {
            throw .autoencoderDesign(method: model.method, format: format)
        }
        do throws(ModelCheck) {
            let files = try files(of: model, as: format)
            var paths: [String] = []
            for (name, file) in files {
                let place = name.isEmpty ? path : "\(path)/\(name)\(suffix)"
                try ModelCheck.wrapping { () throws(SafetensorsError) in
                    try SafetensorsError.wrapping { () throws(FileError) in
                        try AtomicFile.createDirectory(AtomicFile.split(place).directory)
                    }
                    try file.write(to: place)
                }
                paths.append(place)
            }
            return paths
        } catch {
            throw .model(ModelFileError(path: path, failedCheck: error))
        }
    }

    /// Names without suffix; the empty one is the path itself.
    static func files(
        of model: AnomalyModel, as format: CheckpointFormat
    ) throws(ModelCheck) -> [(name: String, file: SafetensorsFile)] {
        let whole = try ModelFile.encode(model)
        let isForeign = { (name: String) in isPartOfNetworks(name) || isStatistic(name) }
        var metadata = whole.metadata
        metadata[orderKey] = whole.tensors.map(\.name).joined(separator: "\n")
        let networks = NetworkRole.allCases.map { role in
            (role, tensors(of: model[keyPath: role.parameters], role: role, size: model.size, as: format))
        }
        guard format != .safetensors else {
            let others = whole.tensors.filter { !isPartOfNetworks($0.name) }
            return [("", SafetensorsFile(tensors: networks.flatMap(\.1) + others, metadata: metadata))]
        }
        let rest = (
            name: "beltwatch",
            file: SafetensorsFile(tensors: whole.tensors.filter { !isForeign($0.name) }, metadata: metadata)
        )
        let measurements = measurements(of: model, as: format)
        if format == .anomalib {
            let all = (networks.flatMap(\.1) + measurements).map { $0.renamed("model.\($0.name)") }
            return [("model", SafetensorsFile(tensors: all, metadata: [:])), rest]
        }
        let ending = format == .nelson1425 ? "_final" : ""
        return networks.map { role, tensors in
            (role.rawValue + ending, SafetensorsFile(tensors: tensors, metadata: [:]))
        } + [("normalization", SafetensorsFile(tensors: measurements, metadata: [:])), rest]
    }

    private static func tensors(
        of parameters: ParameterSet, role: NetworkRole, size: NetworkSize, as format: CheckpointFormat
    ) -> [StoredTensor] {
        let map = NetworkKeyMap.maps(of: role, in: format).first { $0.size == nil || $0.size == size }
        return (map?.keys ?? []).compactMap { own, foreign in
            parameters.tensor(named: own).map {
                StoredTensor(format.prefix(of: role) + foreign, shape: $0.shape, $0.values)
            }
        }
    }

    private static func measurements(of model: AnomalyModel, as format: CheckpointFormat) -> [StoredTensor] {
        let statistics = model.teacherStatistics
        let shape = format == .puad ? [statistics.mean.count] : [1, statistics.mean.count, 1, 1]
        let names = format.statisticsNames
        let quantiles = model.mapQuantiles
        let values = [
            quantiles.studentTeacher.lower, quantiles.studentTeacher.upper, quantiles.autoencoderStudent.lower,
            quantiles.autoencoderStudent.upper,
        ]
        return [
            StoredTensor(names.mean, shape: shape, statistics.mean),
            // Others divide by it: ∞ makes a dead channel the 0 that it is here, and 0 would make it a NaN.
            StoredTensor(names.deviation, shape: shape, statistics.deviation.map { $0 == 0 ? .infinity : $0 }),
        ] + zip(format.quantileNames ?? [], values).map { StoredTensor($0, shape: [], [Float($1)]) }
    }

    /// Whether a tensor of a model file is a weight or bias of one of the three networks.
    static func isPartOfNetworks(_ name: String) -> Bool {
        NetworkRole.allCases.contains { name.hasPrefix(CheckpointFormat.safetensors.prefix(of: $0)) }
    }

    private static func isStatistic(_ name: String) -> Bool {
        let names = CheckpointFormat.safetensors.statisticsNames
        return name == names.mean || name == names.deviation
    }
}

/// Why a model was not exported.
public enum ModelExportError: Error, Hashable, Sendable, CustomStringConvertible {
    case model(ModelFileError)

    /// The weights of the method's autoencoder mean something else to the project's code.
    case autoencoderDesign(method: Method, format: CheckpointFormat)

    public var description: String {
        switch self {
        case .model(let error): error.description
        case .autoencoderDesign(let method, let format):
            """
            a model of \(method.rawValue) cannot be exported as \(format.rawValue): its autoencoder normalises between its \
            layers, which that project's does not, and would give other maps there; use --format safetensors
            """
        }
    }
}

extension NetworkRole {
    var parameters: KeyPath<AnomalyModel, ParameterSet> & Sendable {
        switch self {
        case .teacher: \.teacher
        case .student: \.student
        case .autoencoder: \.autoencoder
        }
    }
}

extension StoredTensor {
    fileprivate func renamed(_ name: String) -> StoredTensor { StoredTensor(name, type, shape: shape, bytes: bytes) }
}
