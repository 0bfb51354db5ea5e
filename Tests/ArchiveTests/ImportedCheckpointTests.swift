import AnomalyScoring
import ConvNets
import Foundation
import TensorKernels
import Testing

@testable import Archive

@Suite struct ImportedCheckpointTests {
    let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private static let projects: [CheckpointFormat] = [.nelson1425, .puad, .anomalib]

    private func export(_ model: AnomalyModel, as format: CheckpointFormat) throws -> String {
        let path = directory.file(format == .safetensors ? "export.safetensors" : "export")
        _ = try ModelExport.write(model, as: format, to: path)
        return path
    }

    @Test(arguments: CheckpointFormat.allCases, [WeightPrecision.float16, .float32])
    func anExportGivesTheModelBack(format: CheckpointFormat, precision: WeightPrecision) throws {
        let model = precision == .float16 ? ModelFixture.float16 : ModelFixture.float32
        let checkpoint = try ImportedCheckpoint(reading: [try export(model, as: format)], format: format)
        #expect(checkpoint.format == format && checkpoint.size == .small)
        #expect(checkpoint.statistics == model.teacherStatistics)
        let restored = try #require(try checkpoint.restoredModel())
        #expect(try ModelFile.encode(restored) == ModelFile.encode(model))
    }

    @Test(arguments: CheckpointFormat.allCases)
    func theShippedModelScoresAsBeforeBitForBit(format: CheckpointFormat) throws {
        let shipped = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Demo/trays.safetensors").path
        let model = try ModelFile.load(shipped).model
        let checkpoint = try ImportedCheckpoint(reading: [try export(model, as: format)])
        let restored = try #require(try checkpoint.restoredModel())
        let path = directory.file("restored.safetensors")
        try ModelFile.save(restored, to: path)
        #expect(try bytes(of: path) == bytes(of: shipped))
        let image = model.selfTest.image.normalised()
        let before = try AnomalyDetector(model: model, threads: 2).score(image)
        let after = try AnomalyDetector(model: restored, threads: 2).score(image)
        #expect(before.picturable.bitPattern == after.picturable.bitPattern)
        #expect(before.unpicturable.bitPattern == after.unpicturable.bitPattern)
        #expect(before.map == after.map)
    }

    @Test func aModelFileIsItsOwnExport() throws {
        let path = directory.file("model.safetensors")
        try ModelFile.save(ModelFixture.float16, to: path)
        let checkpoint = try ImportedCheckpoint(reading: [path])
        #expect(try checkpoint.restoredModel() == ModelFixture.float16)
    }

    @Test func exportedNamesAndShapesAreTheProjects() throws {
        let files = try Dictionary(
            uniqueKeysWithValues: Self.projects.flatMap { format in
                try ModelExport.files(of: ModelFixture.float16, as: format).map {
                    ("\(format.rawValue)/\($0.name)", $0.file)
                }
            })
        func shape(_ file: String, _ tensor: String) -> [Int]? { files[file]?.tensor(named: tensor)?.shape }
        #expect(shape("nelson1425/teacher_final", "8.weight") == [384, 256, 4, 4])
        #expect(shape("nelson1425/student_final", "8.bias") == [768])
        #expect(shape("nelson1425/autoencoder_final", "38.weight") == [384, 64, 3, 3])
        #expect(shape("nelson1425/normalization", "teacher_std") == [1, 384, 1, 1])
        #expect(shape("nelson1425/normalization", "q_ae_end") == [])
        #expect(shape("puad/autoencoder", "encoder.enconv6.weight") == [64, 64, 8, 8])
        #expect(shape("puad/normalization", "mu") == [384])
        #expect(shape("anomalib/model", "model.ae.decoder.deconv8.bias") == [384])
        #expect(shape("anomalib/model", "model.student.conv4.weight") == [768, 256, 4, 4])
        #expect(shape("anomalib/model", "model.quantiles.qb_st") == [])
        // The fixture's first channel is dead: 0 divided by ∞ is the 0 that it means.
        #expect(files["puad/normalization"]?.tensor(named: "sigma")?.floats?.first == .infinity)
        #expect(files.values.allSatisfy { $0.tensors.allSatisfy { $0.type != .float16 } })
    }

    @Test func withoutOurOwnPartThereAreNetworksOnly() throws {
        let folder = try export(ModelFixture.float16, as: .puad)
        try FileManager.default.removeItem(atPath: "\(folder)/beltwatch.safetensors")
        let checkpoint = try ImportedCheckpoint(reading: [folder])
        #expect(checkpoint.teacher == ModelFixture.float16.teacher)
        #expect(checkpoint.student == ModelFixture.float16.student)
        #expect(checkpoint.autoencoder == ModelFixture.float16.autoencoder)
        #expect(checkpoint.mapQuantiles?.studentTeacher.upper == Double(Float(1.0 / 3)))
        #expect(checkpoint.origins.count == 4 && checkpoint.provenance.contains(checkpoint.origins[0].sha256))
        #expect(try checkpoint.restoredModel() == nil)
        try FileManager.default.removeItem(atPath: "\(folder)/normalization.safetensors")
        #expect(try ImportedCheckpoint(reading: [folder]).statistics == nil)
    }

    @Test func weightsThatWereTrainedOnAreNoLongerMeasured() throws {
        let folder = try export(ModelFixture.float16, as: .puad)
        try change("\(folder)/student.safetensors") { name, values in if name == "conv4.bias" { values[5] += 1 } }
        let checkpoint = try ImportedCheckpoint(reading: [folder])
        let error = #expect(throws: CheckpointImportError.self) {
            try checkpoint.restoredModel()
        }
        guard case .changedSinceExport("\(folder)/beltwatch.safetensors", .dataDigest) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    /// Twenty thousand copies of a layer would take a gigabyte, if they were made before they are counted.
    @Test func aTensorThatIsNamedTwiceIsNotCopied() throws {
        let folder = try export(ModelFixture.float16, as: .puad)
        let path = "\(folder)/beltwatch.safetensors"
        let file = try SafetensorsFile.Reader(path).contents().file
        var metadata = file.metadata
        metadata[ModelExport.orderKey] = [String](repeating: "teacher.conv1.weight", count: 20_000)
            .joined(separator: "\n")
        try SafetensorsFile(tensors: file.tensors, metadata: metadata).write(to: path)
        let checkpoint = try ImportedCheckpoint(reading: [folder])
        let check = ModelCheck.manifest(reason: "its tensor order names one twice")
        #expect(throws: CheckpointImportError.changedSinceExport(path: path, check)) {
            try checkpoint.restoredModel()
        }
    }

    @Test func partsOfAnExportAreCheckedBeforeTheyAreRead() throws {
        let folder = try export(ModelFixture.float16, as: .puad)
        let path = "\(folder)/beltwatch.safetensors"
        let file = try SafetensorsFile.Reader(path).contents().file
        let tensors = file.tensors.map { tensor in
            tensor.name == "gaussian.mean" ? StoredTensor(tensor.name, shape: [2], [0, 0.5]) : tensor
        }
        try SafetensorsFile(tensors: tensors, metadata: file.metadata).write(to: path)
        let check = ModelCheck.shape(tensor: "gaussian.mean", found: [2], expected: [384])
        let checkpoint = try ImportedCheckpoint(reading: [folder])
        #expect(throws: CheckpointImportError.changedSinceExport(path: path, check)) {
            try checkpoint.restoredModel()
        }
    }

    /// A hole of 64 GiB, which nobody's memory holds.
    @Test func tensorsThatNobodyWantsAreNotRead() throws {
        let byteCount = 64 << 30
        let header = Array("{\"x\":{\"dtype\":\"U8\",\"shape\":[\(byteCount)],\"data_offsets\":[0,\(byteCount)]}}".utf8)
        let path = try directory.write(ZipBuilder.number(header.count, 8) + header, to: "x.safetensors")
        #expect(truncate(path, 8 + header.count + byteCount) == 0)
        #expect(throws: CheckpointImportError.unknownLayout(path: path, names: ["x"])) {
            try ImportedCheckpoint(reading: [path])
        }
    }

    // MARK: - Methods

    /// Its autoencoder's weights would load into the projects' and give other maps.
    @Test(arguments: projects) func anotherAutoencoderIsNotExported(format: CheckpointFormat) throws {
        var model = ModelFixture.float16
        model.method = .dfsc
        model.mapOptions.logistic = true
        model.fusion.rule = model.method.fusionRule
        #expect(throws: ModelExportError.autoencoderDesign(method: .dfsc, format: format)) {
            try export(model, as: format)
        }
        #expect(try directory.names().isEmpty)
        let checkpoint = try ImportedCheckpoint(reading: [try export(model, as: .safetensors)])
        #expect(try checkpoint.restoredModel() == model)
    }

    @Test(arguments: [CheckpointFormat.puad, .safetensors]) func theContextExtractorComesBack(
        format: CheckpointFormat
    ) throws {
        var model = ModelFixture.float16
        model.method = .laEAD
        model.fusion.rule = model.method.fusionRule
        model.featureSource = .contextExtractor
        var generator = RandomStream(seed: 3, stream: .initialisation)
        model.extractor = model.precision.rounded(
            ContextExtractor.defaultParameters(outputChannels: 384, using: &generator))
        let checkpoint = try ImportedCheckpoint(reading: [try export(model, as: format)])
        #expect(try checkpoint.restoredModel() == model)
    }

    // MARK: - Measurements

    private func measurements(_ name: String, in folder: String, mean: Float) throws {
        let channels = [Float](repeating: mean, count: 384)
        try AtomicFile.createDirectory(directory.file(folder))
        try SafetensorsFile(
            tensors: ["mu", "sigma"].map { StoredTensor($0, shape: [384], channels) }, metadata: [:]
        ).write(to: directory.file("\(folder)/\(name).safetensors"))
    }

    /// PUAD's teachers have μ and σ beside them, too: of what they were distilled from.
    @Test func statisticsAreThoseBesideTheStudent() throws {
        let folder = try export(ModelFixture.float16, as: .puad)
        for name in ["teacher", "student"] {
            try AtomicFile.createDirectory(directory.file(name))
            try FileManager.default.moveItem(
                atPath: "\(folder)/\(name).safetensors", toPath: directory.file("\(name)/\(name).safetensors"))
        }
        try measurements("statistics", in: "teacher", mean: 2)
        let folders = [directory.file("teacher"), directory.file("student")]
        #expect(try ImportedCheckpoint(reading: folders).statistics == nil)
        try measurements("statistics", in: "student", mean: 3)
        let statistics = try ImportedCheckpoint(reading: folders).statistics
        #expect(statistics?.mean == [Float](repeating: 3, count: 384))
        try measurements("more", in: "student", mean: 3)
        #expect(
            throws: CheckpointImportError.foundTwice(
                part: "the channels' mean", first: directory.file("student/more.safetensors"),
                second: directory.file("student/statistics.safetensors"))
        ) { try ImportedCheckpoint(reading: folders) }
    }

    @Test func quantilesAreFoundOnceAndAreNumbers() throws {
        let names = try #require(CheckpointFormat.nelson1425.quantileNames)
        func write(_ name: String, _ shape: [Int]) throws -> String {
            let values = [Float](repeating: 1, count: shape.reduce(1, *))
            let path = directory.file(name)
            try SafetensorsFile(tensors: names.map { StoredTensor($0, shape: shape, values) }, metadata: [:])
                .write(to: path)
            return path
        }
        let paths = [try write("a.safetensors", []), try write("b.safetensors", [1])]
        #expect(try ImportedCheckpoint(reading: [paths[1]]).mapQuantiles?.studentTeacher.upper == 1)
        #expect(
            throws: CheckpointImportError.foundTwice(part: "the maps' quantiles", first: paths[0], second: paths[1])
        ) { try ImportedCheckpoint(reading: paths) }
        // By the shape, before the value: as long as it claims to be, it need not fit the memory.
        let long = directory.file("c.safetensors")
        let tensors = names.map { StoredTensor($0, shape: [2], [Int64](repeating: 1, count: 2)) }
        try SafetensorsFile(tensors: tensors, metadata: [:]).write(to: long)
        #expect(throws: CheckpointImportError.shape(path: long, tensor: names[0], found: [2], expected: [])) {
            try ImportedCheckpoint(reading: [long])
        }
    }

    @Test func aTeacherBecomesATeacherFile() throws {
        let folder = try export(ModelFixture.float32, as: .nelson1425)
        let checkpoint = try ImportedCheckpoint(reading: ["\(folder)/teacher_final.safetensors"])
        let teacher = try #require(checkpoint.teacher)
        #expect(checkpoint.student == nil && checkpoint.autoencoder == nil)
        let path = directory.file("teacher.safetensors")
        try TeacherFile.save(teacher, provenance: checkpoint.provenance, to: path)
        let loaded = try TeacherFile.load(path)
        #expect(loaded.parameters == ModelFixture.float32.teacher)
        #expect(loaded.provenance.contains("imported (nelson1425): teacher_final.safetensors sha256: "))
    }

    @Test func bothSizesAreToldByTheirLayers() throws {
        var stream = RandomStream(seed: 1, stream: .initialisation)
        let medium = PatchDescriptionNetwork.defaultParameters(outputChannels: 384, size: .medium, using: &stream)
        for format in [CheckpointFormat.nelson1425, .puad] {
            let map = try #require(NetworkKeyMap.maps(of: .teacher, in: format).first { $0.size == .medium })
            let tensors = map.keys.enumerated().map { index, key in
                StoredTensor(key.foreign, shape: medium[index].shape, medium[index].values)
            }
            let path = directory.file("teacher.safetensors")
            try SafetensorsFile(tensors: tensors, metadata: [:]).write(to: path)
            let checkpoint = try ImportedCheckpoint(reading: [path])
            #expect(checkpoint.size == .medium && checkpoint.teacher == medium)
            let small = try export(ModelFixture.float16, as: format)
            let student = "\(small)/student\(format == .nelson1425 ? "_final" : "").safetensors"
            #expect(throws: CheckpointImportError.differentSizes(teacher: .medium, student: .small)) {
                try ImportedCheckpoint(reading: [path, student])
            }
        }
    }

    // MARK: - Refusals

    @Test func otherWidthsAreRefusedByTensorAndShape() {
        let cases = [
            ("nelson1425_teacher_final.pth", "0.weight", [2, 3, 4, 4], [128, 3, 4, 4]),
            ("nelson1425_medium_state.pth", "0.weight", [2, 3, 4, 4], [256, 3, 4, 4]),
            ("nelson1425_autoencoder_final.pth", "0.weight", [1, 3, 4, 4], [32, 3, 4, 4]),
            ("puad_autoencoder.pt", "encoder.enconv1.weight", [1, 3, 4, 4], [32, 3, 4, 4]),
            ("anomalib.ckpt", "model.teacher.conv1.weight", [2, 3, 4, 4], [128, 3, 4, 4]),
            ("mu.pt", "", [4], [384]),
        ]
        for (name, tensor, found, expected) in cases {
            let path = GoldenCheckpoint.path(name)
            #expect(
                throws: CheckpointImportError.shape(path: path, tensor: tensor, found: found, expected: expected)
            ) { try ImportedCheckpoint(reading: [path]) }
        }
    }

    @Test func aWrongFormatIsNamed() {
        let path = GoldenCheckpoint.path("nelson1425_teacher_final.pth")
        #expect(throws: CheckpointImportError.otherFormat(path: path, found: .nelson1425, wanted: .puad)) {
            try ImportedCheckpoint(reading: [path], format: .puad)
        }
    }

    @Test func partsThatAreMissingTwiceOrForeignAreNamed() throws {
        let folder = try export(ModelFixture.float16, as: .puad)
        let student = "\(folder)/student.safetensors"
        let copy = directory.file("copy.safetensors")
        try FileManager.default.copyItem(atPath: student, toPath: copy)
        #expect(throws: CheckpointImportError.foundTwice(part: "the student", first: student, second: copy)) {
            try ImportedCheckpoint(reading: [student, copy])
        }
        let whole = try SafetensorsFile.Reader(student).contents().file.tensors
        let changes: [([StoredTensor], CheckpointImportError)] = [
            (whole.filter { $0.name != "conv2.bias" }, .missingTensor(path: copy, "conv2.bias")),
            (whole + [StoredTensor("fc.weight", shape: [1], [Float(1)])], .unexpectedTensor(path: copy, "fc.weight")),
            (
                whole.map { $0.name == "conv2.bias" ? StoredTensor($0.name, shape: [1], [Float(1)]) : $0 },
                .shape(path: copy, tensor: "conv2.bias", found: [1], expected: [256])
            ),
            (
                whole.map {
                    $0.name == "conv2.bias"
                        ? StoredTensor($0.name, shape: [256], [Int64](repeating: 1, count: 256)) : $0
                }, .elementType(path: copy, tensor: "conv2.bias")
            ),
            (
                whole.map {
                    $0.name == "conv2.bias"
                        ? StoredTensor($0.name, shape: [256], [Float](repeating: .nan, count: 256)) : $0
                }, .finiteness(path: copy, tensor: "conv2.bias")
            ),
            (
                [StoredTensor("layer1.weight", shape: [1], [Float(1)])],
                .unknownLayout(path: copy, names: ["layer1.weight"])
            ),
            (
                [StoredTensor("mu", shape: [384], [Float](repeating: 1, count: 384))],
                .halfOfTheStatistics(found: "mean")
            ),
            (
                [StoredTensor("sigma", shape: [384], [Float](repeating: -1, count: 384))],
                .negativeDeviation(path: copy, tensor: "sigma")
            ),
        ]
        for (tensors, error) in changes {
            try SafetensorsFile(tensors: tensors, metadata: [:]).write(to: copy)
            #expect(throws: error) { try ImportedCheckpoint(reading: [copy]) }
        }
    }

    @Test func integersAreNoWeightsInPyTorchFilesEither() throws {
        let tensor = try PyTorchTensorFile(GoldenCheckpoint.path("views.pt"))
        #expect(tensor.shapes["integers"] == [3])
        #expect(try tensor.values(of: "integers") == nil)
        #expect(try tensor.values(of: "double")?.count == 4)
    }

    /// Names come from files: one may be as long as the file, or clear the screen.
    @Test func namesInMessagesAreShortAndHarmless() {
        #expect("conv1.weight µ".legible == "conv1.weight µ")
        #expect("a\u{1B}[2J\n\u{202E}b".legible == "a\\u{1b}[2J\\u{a}\\u{202e}b")
        #expect(String(repeating: "x", count: 80).legible.count == 80)
        #expect(String(repeating: "x", count: 81).legible == String(repeating: "x", count: 80) + "…")
        #expect("e\(String(repeating: "\u{301}", count: 1000))".legible.unicodeScalars.count == 81)
        #expect([2, 3].legible == "[2, 3]")
        #expect([Int](repeating: 1, count: 9).legible == "[1, 1, 1, 1, 1, 1, 1, 1, …]")
        let name = String(repeating: "\u{1B}", count: 1 << 20)
        let messages: [any CustomStringConvertible] = [
            CheckpointImportError.unknownLayout(path: "p", names: [name]),
            CheckpointImportError.missingTensor(path: "p", name),
            CheckpointImportError.unexpectedTensor(path: "p", name),
            CheckpointImportError.elementType(path: "p", tensor: name),
            CheckpointImportError.noCheckpoints(folder: "p", found: [name]),
            CheckpointImportError.shape(
                path: "p", tensor: name, found: [Int](repeating: 1, count: 1 << 20), expected: [1]),
            PyTorchFileError(path: "p", reason: .duplicateTensor(name)),
            PyTorchFileError(path: "p", reason: .missingStorage(name, tensor: name)),
            PickleError.foreignName(name), PickleError.elementType(name), StoredZipError.duplicateName(name),
            PickleError.tensorOutsideStorage(key: name, shape: [], elementCount: 1),
            SafetensorsError.unknownElementType(tensor: name, name), ModelCheck.unexpectedTensor(name),
        ]
        for message in messages {
            let text = message.description
            #expect(text.utf8.count < 2000 && !text.unicodeScalars.contains("\u{1B}"), "\(text.prefix(100))")
        }
    }

    @Test func foldersSayWhatTheyHaveInstead() throws {
        try directory.write([], to: "notes/readme.txt")
        let folder = directory.file("notes")
        #expect(throws: CheckpointImportError.noCheckpoints(folder: folder, found: ["readme.txt"])) {
            try ImportedCheckpoint(reading: [folder])
        }
        let absent = directory.file("absent.pth")
        let error = #expect(throws: CheckpointImportError.self) { try ImportedCheckpoint(reading: [absent]) }
        #expect(error?.fileError == FileError(.open, absent, .missing))
        #expect(error?.description == FileError(.open, absent, .missing).description)
    }

    @Test func whatATrainingLeavesUnfinishedIsPassedOver() throws {
        let folder = try export(ModelFixture.float16, as: .nelson1425)
        try FileManager.default.copyItem(
            atPath: GoldenCheckpoint.path("nelson1425_teacher_final.pth"), toPath: "\(folder)/teacher_tmp.pth")
        #expect(try ImportedCheckpoint(reading: [folder]).teacher == ModelFixture.float16.teacher)
    }

    private func change(_ path: String, _ body: (_ name: String, _ values: inout [Float]) -> Void) throws {
        let file = try SafetensorsFile.Reader(path).contents().file
        let tensors = try file.tensors.map { tensor in
            var values = try #require(tensor.floats)
            body(tensor.name, &values)
            return StoredTensor(tensor.name, shape: tensor.shape, values)
        }
        try SafetensorsFile(tensors: tensors, metadata: file.metadata).write(to: path)
    }
}
