import AnomalyScoring
import ConvNets
import Foundation
import Imaging
import TensorKernels
import Testing

@testable import Archive

@Suite struct ModelFileTests {
    let directory: TemporaryDirectory
    let path: String

    init() throws {
        directory = try TemporaryDirectory()
        path = directory.file("model.safetensors")
    }

    @Test(arguments: WeightPrecision.allCases)
    func savedModelsComeBackBitForBit(precision: WeightPrecision) throws {
        let model = precision == .float32 ? ModelFixture.float32 : ModelFixture.float16
        try ModelFile.save(model, to: path)
        let loaded = try ModelFile.load(path)
        #expect(loaded.model == model)
        #expect(bits(of: loaded.model) == bits(of: model))
        let file = try bytes(of: path)
        #expect(loaded.byteCount == file.count)

        // Saved again, it is the same file: what equality does not see, such as the sign of zero, is kept as well.
        let again = directory.file("again.safetensors")
        try ModelFile.save(loaded.model, to: again)
        #expect(try bytes(of: again) == file)
        #expect(try ModelFile.load(again).sha256 == loaded.sha256)
    }

    @Test func halvesTakeHalfTheSpace() throws {
        let single = try ModelFile.encode(ModelFixture.float32)
        let half = ModelFixture.encodedFloat16
        func size(_ file: SafetensorsFile) -> Int { file.tensors.reduce(0) { $0 + $1.bytes.count } }
        // 8,057,856 weights (ALGORITHMS §9.1).
        #expect(size(single) - size(half) == 2 * 8_057_856)
        #expect(size(half) < 20_000_000)
    }

    @Test func roundedWeightsAreTheNearestHalves() {
        let parameters = ParameterSet([("a", Tensor(shape: [4], values: [1.0 / 3, 2049, -0.0, 1e-8]))])
        let rounded = WeightPrecision.float16.rounded(parameters).tensor(named: "a")?.values
        #expect(rounded == [0.33325195, 2048, -0.0, 0])
        #expect(WeightPrecision.float32.rounded(parameters) == parameters)
    }

    // MARK: Refused at load

    @Test func refusesDamagedData() throws {
        try ModelFile.save(ModelFixture.float16, to: path)
        var file = try bytes(of: path)
        file[file.count - 1] ^= 1
        try directory.write(file, to: "model.safetensors")
        #expect(try refusal().name == "data digest")
        file.removeLast()
        try directory.write(file, to: "model.safetensors")
        #expect(try refusal().name == "container")
    }

    @Test func refusesAnEditedManifest() throws {
        try ModelFile.save(ModelFixture.float16, to: path)
        var file = try bytes(of: path)
        // Another threshold, with the same number of digits.
        let key = Array("\\\"value\\\":1.".utf8)
        let position = try #require(file.indices.first { file[$0...].starts(with: key) })
        file[position + key.count - 2] = UInt8(ascii: "9")
        try directory.write(file, to: "model.safetensors")
        #expect(try refusal() == .manifestDigest)
    }

    @Test func refusesFilesThatAreNoModels() throws {
        try SafetensorsFile(tensors: [], metadata: ["format": "pt"]).write(to: path)
        #expect(try refusal().name == "manifest")
        #expect(try refusal(at: directory.path).name == "container")
        #expect(
            try refusal(at: directory.file("none"))
                == .container(.file(FileError(.open, directory.file("none"), .missing))))
    }

    static let badManifests: [(String, String, String)] = [
        ("\"version\":1", "\"version\":3", "version"),
        ("\"version\":1", "\"version\":0", "version"),
        ("\"version\":1", "\"fusion_rule\":\"vote\",\"version\":2", "manifest"),
        ("\"feature_source\":\"student\"", "\"feature_source\":\"extractor\"", "architecture"),
        ("\"version\":1", "\"logistic_maps\":0.5,\"version\":2", "manifest"),
        ("\"format\":\"beltwatch-model\"", "\"format\":\"other\"", "manifest"),
        ("\"method\":\"puad\"", "\"method\":\"psychic\"", "manifest"),
        ("\"size\":\"s\"", "\"size\":\"l\"", "manifest"),
        ("\"seed\":18446744073709551615", "\"seed\":-1", "manifest"),
        ("\"shrinkage\"", "\"shrunk\"", "manifest"),
        ("\"shrinkage\":0.30000000000000004", "\"shrinkage\":1.5", "range"),
        ("\"deviation\":3", "\"deviation\":0", "spread"),
        ("\"deviation\":3", "\"deviation\":-3", "spread"),
        ("\"false_reject_budget\":0.01", "\"false_reject_budget\":0", "range"),
        ("\"calibration_count\":99", "\"calibration_count\":0", "range"),
        ("\"width\":300", "\"width\":0", "range"),
        ("\"score_resolution\":256", "\"score_resolution\":1000000000", "range"),
        ("{", "", "manifest"),
        ("{", "{{", "manifest"),
    ]

    @Test(arguments: badManifests)
    func refusesAManifestThatSaysSomethingElse(text: String, replacement: String, check: String) throws {
        let file = ModelFixture.encodedFloat16
        let written = try #require(file.metadata[ModelFile.manifestKey])
        let range = try #require(written.range(of: text))
        let error = #expect(throws: ModelCheck.self) {
            let manifest = try ModelManifest(parsing: written.replacingCharacters(in: range, with: replacement))
            _ = try ModelFile.decode(file, dataDigest: manifest.dataDigest, manifest: manifest)
        }
        #expect(error?.name == check)
    }

    @Test func refusesAnotherArchitecture() throws {
        let zero = StoredTensor("teacher.conv1.weight", shape: [128, 3, 5, 5], [Float](repeating: 0, count: 9600))
        #expect(
            try refusal { $0.map { $0.name == zero.name ? zero : $0 } }
                == .shape(tensor: zero.name, found: zero.shape, expected: [128, 3, 4, 4]))
        #expect(
            try refusal { $0.filter { $0.name != "student.conv4.bias" } } == .missingTensor("student.conv4.bias"))
        #expect(
            try refusal { $0 + [StoredTensor("student.conv5.bias", shape: [1], [Float(0)])] }
                == .unexpectedTensor("student.conv5.bias"))
        var medium = ModelFixture.float16
        medium.size = .medium
        #expect(
            try refusal(of: medium) { $0 }
                == .shape(tensor: "teacher.conv1.weight", found: [128, 3, 4, 4], expected: [256, 3, 4, 4]))
        let doubles = StoredTensor("channels.mean", shape: [384], [Double](repeating: 0, count: 384))
        #expect(
            try refusal { $0.map { $0.name == doubles.name ? doubles : $0 } }
                == .elementType(tensor: doubles.name, found: .float64, expected: .float32))
    }

    /// Tensor, position, new value, check that has to fail.
    static let badValues: [(String, Int, Double, ModelCheck)] = [
        ("student.conv2.weight", 1000, .nan, .finiteness(of: "student.conv2.weight")),
        ("autoencoder.decoder.deconv8.bias", 0, .infinity, .finiteness(of: "autoencoder.decoder.deconv8.bias")),
        ("channels.mean", 3, .nan, .finiteness(of: "channels.mean")),
        ("channels.deviation", 3, -0.5, .spread(of: "channels.deviation")),
        ("channels.deviation", 3, .nan, .finiteness(of: "channels.deviation")),
        ("quantiles.student_teacher", 1, 0.1, .quantileOrder(map: "student-teacher")),
        ("quantiles.autoencoder_student", 0, .nan, .finiteness(of: "autoencoder-student quantiles")),
        ("gaussian.mean", 383, -.infinity, .finiteness(of: "gaussian.mean")),
        ("gaussian.cholesky", 384 * 5 + 5, 0, .spread(of: "diagonal of gaussian.cholesky")),
        ("gaussian.cholesky", 384 * 5 + 6, 1e-9, .triangularity(row: 5, column: 6)),
        ("gaussian.cholesky", 384 * 5 + 4, .nan, .finiteness(of: "gaussian.cholesky")),
        ("self_test.scores", 1, .nan, .finiteness(of: "self_test.scores")),
    ]

    @Test(arguments: badValues)
    func refusesValuesThatCannotBeScoredWith(name: String, index: Int, value: Double, check: ModelCheck) throws {
        let tensors = ModelFixture.encodedFloat16.tensors.map { tensor in
            guard tensor.name == name else { return tensor }
            if var doubles = tensor.doubles {
                doubles[index] = value
                return StoredTensor(name, shape: tensor.shape, doubles)
            }
            var floats = tensor.floats ?? []
            floats[index] = Float(value)
            return tensor.type == .float16
                ? StoredTensor(name, shape: tensor.shape, floats.map { Float16($0) })
                : StoredTensor(name, shape: tensor.shape, floats)
        }
        let manifest = ModelManifest(of: ModelFixture.float16, dataDigest: "as it was")
        #expect(throws: check) {
            try ModelFile.decode(
                SafetensorsFile(tensors: tensors, metadata: [:]), dataDigest: "as it was", manifest: manifest)
        }
    }

    @Test func refusesAGiantWithoutReadingIt() throws {
        // 2⁴⁰ bytes of holes take no disk; reading them would take all memory.
        let manifest = try ModelManifest(of: ModelFixture.float16, dataDigest: "").text()
        let header = SafetensorsFile(
            tensors: [StoredTensor("teacher.conv1.weight", .uint8, shape: [1], bytes: [0])],
            metadata: ModelFile.metadata(manifest: manifest))
        let text = String(decoding: try header.headerBytes().dropFirst(8), as: UTF8.self)
            .trimmingCharacters(in: .whitespaces)
            .replacingOccurrences(
                of: "\"shape\":[1],\"data_offsets\":[0,1]",
                with: "\"shape\":[1099511627776],\"data_offsets\":[0,1099511627776]")
        let start = withUnsafeBytes(of: UInt64(text.utf8.count).littleEndian) { Array($0) } + Array(text.utf8)
        try directory.write(start, to: "model.safetensors")
        try #require(truncate(path, off_t(start.count + 1 << 40)) == 0)
        #expect(
            try refusal()
                == .shape(tensor: "teacher.conv1.weight", found: [1 << 40], expected: [128, 3, 4, 4]))
    }

    // MARK: Refused at save

    @Test func doesNotSaveWhatItWouldNotLoad() throws {
        try directory.write([1], to: "model.safetensors")
        func refusal(_ change: (inout AnomalyModel) -> Void) throws -> ModelCheck {
            var model = ModelFixture.float16
            change(&model)
            let error = #expect(throws: ModelFileError.self) { try ModelFile.save(model, to: path) }
            return try #require(error).failedCheck
        }
        #expect(
            try refusal { $0.student[0].values[5] = 1.0 / 3 } == .precision(tensor: "student.conv1.weight"))
        #expect(try refusal { $0.student[0].values[5] = .nan } == .finiteness(of: "student.conv1.weight"))
        #expect(try refusal { $0.fusion.picturable.deviation = 0 }.name == "spread")
        #expect(try refusal { $0.fusion.threshold.value = .infinity } == .finiteness(of: "threshold"))
        #expect(try refusal { $0.featureGaussian.mean.removeLast() }.name == "architecture")
        #expect(try refusal { $0.teacher = $0.student }.name == "architecture")
        #expect(try refusal { $0.teacher = ParameterSet() } == .missingTensor("teacher.conv1.weight"))
        #expect(try refusal { $0.teacher.append("extra", Tensor(shape: [1])) } == .unexpectedTensor("teacher.extra"))
        #expect(try refusal { $0.trainingRecord.finalLoss = .nan } == .finiteness(of: "final loss"))
        #expect(try bytes(of: path) == [1])
        #expect(try directory.names() == ["model.safetensors"])
    }

    @Test func sayWhichFileAndWhichCheck() {
        let error = ModelFileError(
            path: "m.safetensors", failedCheck: .spread(of: "deviation of the picturable branch"))
        #expect(
            error.description
                == "model 'm.safetensors' is refused, check 'spread' failed: deviation of the picturable branch is not "
                + "greater than zero; calibrate with at least two different good parts")
    }

    // MARK: Helpers

    /// The check that the file fails.
    private func refusal(at path: String? = nil) throws -> ModelCheck {
        let error = #expect(throws: ModelFileError.self) { try ModelFile.load(path ?? self.path) }
        return try #require(error).failedCheck
    }

    /// The check that a model with other tensors fails, whose digests are right all the same.
    private func refusal(
        of model: AnomalyModel = ModelFixture.float16, _ change: ([StoredTensor]) -> [StoredTensor]
    ) throws -> ModelCheck {
        let file = ModelFixture.encodedFloat16
        let changed = SafetensorsFile(tensors: change(file.tensors), metadata: [:])
        let manifest = try ModelManifest(of: model, dataDigest: changed.dataDigest).text()
        try SafetensorsFile(tensors: changed.tensors, metadata: ModelFile.metadata(manifest: manifest)).write(to: path)
        return try refusal()
    }

    private func bits(of model: AnomalyModel) -> [[UInt32]] {
        [model.teacher, model.student, model.autoencoder].flatMap { network in
            (0..<network.count).map { network[$0].values.map(\.bitPattern) }
        }
    }
}
