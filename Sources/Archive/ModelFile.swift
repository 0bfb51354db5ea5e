import AnomalyScoring
import ConvNets
import Crypto
import Imaging
import TensorKernels

/// A model as it was found in a file.
public struct LoadedModel: Sendable {
    public let model: AnomalyModel

    /// SHA-256 of the whole file, hexadecimal: the identity that verdicts carry.
    public let sha256: String
    public let byteCount: Int
}

/// Model files: one self-contained `.safetensors` file per model (DESIGN §5).
///
/// Tensors: `teacher.*`, `student.*`, `autoencoder.*` and, where the features come from it, `extractor.*` in the model's
/// precision; `channels.mean` and `channels.deviation` (F32); `quantiles.*`, `gaussian.*` and `self_test.scores` (F64);
/// `self_test.image` (U8). The rest is a JSON manifest in the metadata, with a digest of its own and one over the data section. A value that was
/// saved comes back with every bit the same.
public enum ModelFile {
    /// Replaces the file at `path` in one step; the same model always gives the same bytes.
    ///
    /// - Throws: The first check that the model would fail at load, or what the disk says. Nothing is written then.
    public static func save(_ model: AnomalyModel, to path: String) throws(ModelFileError) {
        do throws(ModelCheck) {
            let file = try encode(model)
            try ModelCheck.wrapping { () throws(SafetensorsError) in try file.write(to: path) }
        } catch {
            throw ModelFileError(path: path, failedCheck: error)
        }
    }

    /// Reads a model and checks everything but its self-test, which needs the networks to run: the caller scores
    /// `model.selfTest.image` and compares.
    ///
    /// - Throws: The first check that fails. Memory stays within the architecture's size, whatever the file claims.
    public static func load(_ path: String) throws(ModelFileError) -> LoadedModel {
        do throws(ModelCheck) {
            let reader = try ModelCheck.wrapping { () throws(SafetensorsError) in try SafetensorsFile.Reader(path) }
            let manifest = try manifest(in: reader.header.metadata)
            try checkArchitecture(reader.header.entries, of: manifest)
            let contents = try ModelCheck.wrapping { () throws(SafetensorsError) in try reader.contents() }
            return LoadedModel(
                model: try decode(contents.file, dataDigest: contents.dataDigest, manifest: manifest),
                sha256: contents.fileDigest, byteCount: contents.byteCount)
        } catch {
            throw ModelFileError(path: path, failedCheck: error)
        }
    }

    // MARK: Model to tensors

    static let manifestKey = "beltwatch.manifest"
    static let manifestDigestKey = "beltwatch.manifest_sha256"

    static func encode(_ model: AnomalyModel) throws(ModelCheck) -> SafetensorsFile {
        try model.checkValues()
        var tensors: [StoredTensor] = []
        for network in Network.all {
            guard let parameters = network.parameters(model) else { continue }
            tensors += try encode(parameters, of: network, as: model)
        }
        let features = NetworkArchitecture.featureCount
        let quantiles = model.mapQuantiles
        tensors += [
            StoredTensor("channels.mean", shape: [features], model.teacherStatistics.mean),
            StoredTensor("channels.deviation", shape: [features], model.teacherStatistics.deviation),
            StoredTensor(
                "quantiles.student_teacher", shape: [2],
                [quantiles.studentTeacher.lower, quantiles.studentTeacher.upper]),
            StoredTensor(
                "quantiles.autoencoder_student", shape: [2],
                [quantiles.autoencoderStudent.lower, quantiles.autoencoderStudent.upper]),
            StoredTensor("gaussian.mean", shape: [features], model.featureGaussian.mean),
            StoredTensor("gaussian.cholesky", shape: [features, features], model.featureGaussian.choleskyFactor),
            StoredTensor(
                "self_test.scores", shape: [2], [model.selfTest.picturableZ, model.selfTest.unpicturableZ]),
            StoredTensor(
                "self_test.image", .uint8, shape: [ModelImage.side, ModelImage.side, 3],
                bytes: model.selfTest.image.pixels),
        ]
        let dataDigest = SafetensorsFile(tensors: tensors, metadata: [:]).dataDigest
        let manifest = try ModelManifest(of: model, dataDigest: dataDigest).text()
        return SafetensorsFile(tensors: tensors, metadata: metadata(manifest: manifest))
    }

    static func metadata(manifest: String) -> [String: String] {
        [manifestKey: manifest, manifestDigestKey: digest(of: manifest)]
    }

    private static func encode(
        _ parameters: ParameterSet, of network: Network, as model: AnomalyModel
    ) throws(ModelCheck) -> [StoredTensor] {
        let architecture = network.architecture(model.size)
        if let stranger = parameters.names.first(where: { name in
            !architecture.parameters.contains { $0.name == name }
        }) {
            throw .unexpectedTensor("\(network.prefix).\(stranger)")
        }
        var tensors: [StoredTensor] = []
        for (name, shape) in architecture.parameters {
            let stored = "\(network.prefix).\(name)"
            guard let tensor = parameters.tensor(named: name) else { throw .missingTensor(stored) }
            guard tensor.shape == shape else { throw .shape(tensor: stored, found: tensor.shape, expected: shape) }
            switch model.precision {
            case .float32:
                tensors.append(StoredTensor(stored, shape: shape, tensor.values))
            case .float16:
                let halves = tensor.values.map { Float16($0) }
                guard zip(halves, tensor.values).allSatisfy({ Float($0).bitPattern == $1.bitPattern }) else {
                    throw .precision(tensor: stored)
                }
                tensors.append(StoredTensor(stored, shape: shape, halves))
            }
        }
        return tensors
    }

    // MARK: Tensors to model

    static func manifest(in metadata: [String: String]) throws(ModelCheck) -> ModelManifest {
        guard let text = metadata[manifestKey] else {
            throw .manifest(reason: "there is none, so this is not a Beltwatch model")
        }
        let manifest = try ModelManifest(parsing: text)
        guard metadata[manifestDigestKey] == digest(of: text) else { throw .manifestDigest }
        return manifest
    }

    /// Every tensor that the manifest's architecture has, with its type and shape, and no other.
    static func checkArchitecture(
        _ entries: [SafetensorsHeader.Entry], of manifest: ModelManifest
    ) throws(ModelCheck) {
        let features = NetworkArchitecture.featureCount
        var expected: [String: (type: ElementType, shape: [Int])] = [
            "channels.mean": (.float32, [features]),
            "channels.deviation": (.float32, [features]),
            "quantiles.student_teacher": (.float64, [2]),
            "quantiles.autoencoder_student": (.float64, [2]),
            "gaussian.mean": (.float64, [features]),
            "gaussian.cholesky": (.float64, [features, features]),
            "self_test.scores": (.float64, [2]),
            "self_test.image": (.uint8, [ModelImage.side, ModelImage.side, 3]),
        ]
        for network in Network.all where network.isPart(manifest) {
            for (name, shape) in network.architecture(manifest.size).parameters {
                expected["\(network.prefix).\(name)"] = (manifest.precision.elementType, shape)
            }
        }
        for entry in entries {
            guard let wanted = expected.removeValue(forKey: entry.name) else { throw .unexpectedTensor(entry.name) }
            guard entry.shape == wanted.shape else {
                throw .shape(tensor: entry.name, found: entry.shape, expected: wanted.shape)
            }
            guard entry.type == wanted.type else {
                throw .elementType(tensor: entry.name, found: entry.type, expected: wanted.type)
            }
        }
        if let missing = expected.keys.min() { throw .missingTensor(missing) }
    }

    /// The model of tensors whose names, types and shapes have been checked.
    static func decode(
        _ file: SafetensorsFile, dataDigest: String, manifest: ModelManifest
    ) throws(ModelCheck) -> AnomalyModel {
        guard dataDigest == manifest.dataDigest else {
            throw .dataDigest(found: dataDigest, recorded: manifest.dataDigest)
        }
        // By name and with type and shape checked before; a linear search for each would be quadratic.
        let tensors = Dictionary(uniqueKeysWithValues: file.tensors.map { ($0.name, $0) })
        func floats(_ name: String) throws(ModelCheck) -> [Float] {
            guard let values = tensors[name]?.floats else { throw .missingTensor(name) }
            return values
        }
        func doubles(_ name: String) throws(ModelCheck) -> [Double] {
            guard let values = tensors[name]?.doubles else { throw .missingTensor(name) }
            return values
        }
        func parameters(_ network: Network) throws(ModelCheck) -> ParameterSet {
            var parameters = ParameterSet()
            for (name, shape) in network.architecture(manifest.size).parameters {
                parameters.append(name, Tensor(shape: shape, values: try floats("\(network.prefix).\(name)")))
            }
            return parameters
        }
        func range(_ name: String) throws(ModelCheck) -> MapQuantiles.Range {
            let bounds = try doubles(name)
            return MapQuantiles.Range(lower: bounds[0], upper: bounds[1])
        }
        guard let image = tensors["self_test.image"] else { throw .missingTensor("self_test.image") }
        let scores = try doubles("self_test.scores")
        let model = AnomalyModel(
            method: manifest.method, size: manifest.size, teacher: try parameters(.teacher),
            student: try parameters(.student), autoencoder: try parameters(.autoencoder),
            extractor: Network.extractor.isPart(manifest) ? try parameters(.extractor) : nil,
            teacherStatistics: ChannelStatistics(
                mean: try floats("channels.mean"), deviation: try floats("channels.deviation")),
            mapOptions: manifest.mapOptions,
            mapQuantiles: MapQuantiles(
                studentTeacher: try range("quantiles.student_teacher"),
                autoencoderStudent: try range("quantiles.autoencoder_student")),
            featureSource: manifest.featureSource,
            featureGaussian: FeatureGaussian(
                mean: try doubles("gaussian.mean"), choleskyFactor: try doubles("gaussian.cholesky"),
                shrinkage: manifest.shrinkage),
            fusion: manifest.fusion, preprocessing: manifest.preprocessing, precision: manifest.precision,
            teacherProvenance: manifest.teacherProvenance, trainingRecord: manifest.trainingRecord,
            selfTest: SelfTest(
                image: ModelImage(pixels: image.bytes), picturableZ: scores[0], unpicturableZ: scores[1]))
        try model.checkValues()
        return model
    }

    private static func digest(of text: String) -> String { SHA256.hash(data: Array(text.utf8)).hexadecimal }

    /// One of the networks: where it lies in the model and how its tensors are called in the file.
    private struct Network: Sendable {
        let prefix: String

        /// Nil where the model does without.
        let parameters: @Sendable (AnomalyModel) -> ParameterSet?
        let architecture: @Sendable (NetworkSize) -> NetworkArchitecture

        /// Whether a model that says this of itself has the network.
        var isPart: @Sendable (ModelManifest) -> Bool = { _ in true }

        static let teacher = Network(prefix: "teacher", parameters: { $0.teacher }, architecture: { .teacher($0) })
        static let student = Network(prefix: "student", parameters: { $0.student }, architecture: { .student($0) })
        static let autoencoder = Network(
            prefix: "autoencoder", parameters: { $0.autoencoder }, architecture: { _ in .autoencoder })
        static let extractor = Network(
            prefix: "extractor", parameters: { $0.extractor }, architecture: { _ in .extractor },
            isPart: { $0.featureSource == .contextExtractor })
        static let all = [teacher, student, autoencoder, extractor]
    }
}
