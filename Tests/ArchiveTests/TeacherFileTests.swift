import Foundation
import TensorKernels
import Testing

@testable import Archive

@Suite struct TeacherFileTests {
    let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    /// The file in the source tree, which the build copies into the package's resources.
    static let shipped = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("Sources/Archive/Resources/\(TeacherFile.embeddedName)")
        .path

    @Test func theShippedTeacherIsAPatchDescriptionNetwork() throws {
        let teacher = try TeacherFile.load(Self.shipped)
        #expect(teacher.parameters.valueCount == 2_694_144)
        #expect(teacher.parameters.names.first == "conv1.weight")
        #expect(teacher.parameters[0].shape == [128, 3, 4, 4])
        #expect(teacher.provenance.contains("Apache-2.0"))
        #expect(teacher.provenance.contains(teacher.sha256))
        // Their mean square is that of trained weights, neither nothing nor noise from misread bytes.
        let weights = teacher.parameters[6].values
        let meanSquare = weights.reduce(0.0) { $0 + Double($1 * $1) } / Double(weights.count)
        #expect((1e-5...1e-2).contains(meanSquare), "\(meanSquare)")
    }

    @Test func theShippedTeacherIsFoundAmongThePackageResources() throws {
        let teacher = try #require(try TeacherFile.embeddedDefault())
        #expect(try teacher.sha256 == TeacherFile.load(Self.shipped).sha256)
    }

    @Test func withoutAnInstalledTeacherThereIsNone() throws {
        #expect(try TeacherFile.embeddedDefault(in: InstalledData(directories: [directory.path])) == nil)
    }

    @Test func dataIsLookedForByFlagEnvironmentAndBesideTheProgram() throws {
        let data = InstalledData(
            flag: directory.file("flag"), environment: ["BELTWATCH_DATA": directory.file("environment")],
            executable: directory.file("prefix/bin/beltwatch"))
        #expect(data.path(of: "x") == nil)
        // Last first: each that is added comes before those that are there.
        for place in [
            "prefix/bin/beltwatch_Archive.resources/Resources", "prefix/share/beltwatch", "environment", "flag",
        ] {
            let path = try directory.write([], to: "\(place)/x")
            #expect(data.path(of: "x") == path)
        }
        #expect(
            InstalledData(environment: ["BELTWATCH_DATA": ""], executable: "/a/bin/b").directories
                == ["/a/share/beltwatch", "/a/bin/beltwatch_Archive.resources/Resources"])
    }

    @Test func singlePrecisionIsAsGood() throws {
        let teacher = try TeacherFile.load(Self.shipped)
        let path = directory.file("f32.safetensors")
        try SafetensorsFile(tensors: tensors(of: teacher), metadata: [:]).write(to: path)
        let loaded = try TeacherFile.load(path)
        #expect(loaded.parameters == teacher.parameters)
        #expect(loaded.provenance == "sha256: \(loaded.sha256)")
    }

    @Test func anotherNetworkIsRefused() throws {
        let teacher = tensors(of: try TeacherFile.load(Self.shipped))
        let bias = StoredTensor("conv4.bias", shape: [2], [Float](repeating: 0, count: 2))
        let integers = StoredTensor("conv4.bias", shape: [384], [Int64](repeating: 0, count: 384))
        let infinite = StoredTensor("conv4.bias", shape: [384], [Float](repeating: .infinity, count: 384))
        let cases: [([StoredTensor], ModelCheck)] = [
            (teacher.dropLast() + [bias], .shape(tensor: "conv4.bias", found: [2], expected: [384])),
            (teacher.dropLast() + [integers], .elementType(tensor: "conv4.bias", found: .int64, expected: .float32)),
            (teacher.dropLast() + [infinite], .finiteness(of: "conv4.bias")),
            (teacher.dropLast(), .missingTensor("conv4.bias")),
            (teacher + [StoredTensor("conv5.bias", shape: [0], [Float]())], .unexpectedTensor("conv5.bias")),
        ]
        let path = directory.file("other.safetensors")
        for (tensors, check) in cases {
            try SafetensorsFile(tensors: tensors, metadata: [:]).write(to: path)
            #expect(throws: TeacherFileError(path: path, failedCheck: check)) { try TeacherFile.load(path) }
        }
    }

    private func tensors(of teacher: LoadedTeacher) -> [StoredTensor] {
        (0..<teacher.parameters.count).map { index in
            let tensor = teacher.parameters[index]
            return StoredTensor(teacher.parameters.names[index], shape: tensor.shape, tensor.values)
        }
    }
}
