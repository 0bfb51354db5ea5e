import Glibc
import Testing

@testable import Archive

/// Files that PyTorch wrote, `Golden/make_checkpoints.py`.
@Suite struct PyTorchFileTests {
    let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    static let networks: [(file: String, role: NetworkRole, format: CheckpointFormat, prefix: String)] = [
        ("nelson1425_teacher_final.pth", .teacher, .nelson1425, ""),
        ("nelson1425_medium_state.pth", .student, .nelson1425, ""),
        ("nelson1425_autoencoder_final.pth", .autoencoder, .nelson1425, ""),
        ("nelson1425_autoencoder_early_state.pth", .autoencoder, .nelson1425, ""),
        ("puad_student.pt", .student, .puad, ""),
        ("puad_autoencoder.pt", .autoencoder, .puad, ""),
        ("anomalib.ckpt", .teacher, .anomalib, "model.teacher."),
        ("anomalib.ckpt", .student, .anomalib, "model.student."),
        ("anomalib.ckpt", .autoencoder, .anomalib, "model.ae."),
    ]

    @Test(arguments: networks)
    func everyLayoutIsMappedToOurNames(
        file name: String, role: NetworkRole, format: CheckpointFormat, prefix: String
    ) throws {
        let file = try PyTorchFile(GoldenCheckpoint.path(name))
        let names = file.shapes.keys.filter { $0.hasPrefix(prefix) }.map { String($0.dropFirst(prefix.count)) }
        let map = try #require(NetworkKeyMap.matching(Set(names), of: [role], in: format))
        #expect(map.size == (role == .autoencoder ? nil : name.contains("medium") ? .medium : .small))
        for (k, key) in map.keys.enumerated() {
            let values = try #require(try file.values(of: prefix + key.foreign))
            #expect(values == GoldenCheckpoint.values(values.count, parameter: k), "\(name): \(key.foreign)")
        }
    }

    @Test func measurementsAreReadWhereTheProjectsPutThem() throws {
        let mean = try PyTorchFile(GoldenCheckpoint.path("mu.pt"))
        #expect(mean.shapes == ["": [4]])
        #expect(try mean.values(of: "") == [0.25, 0.25, 0.25, 0.25])
        let lightning = try PyTorchFile(GoldenCheckpoint.path("anomalib.ckpt"))
        #expect(lightning.shapes["model.mean_std.std"] == [1, 4, 1, 1])
        #expect(lightning.shapes.keys.allSatisfy { !$0.hasPrefix("optimizer") })
        let quantiles = try PyTorchFile(GoldenCheckpoint.path("puad_quantile.pt"))
        for (index, value) in [Float(0.5), 1, 2, 4].enumerated() {
            let puad = try #require(CheckpointFormat.puad.quantileNames?[index])
            let anomalib = try #require(CheckpointFormat.anomalib.quantileNames?[index])
            #expect(try quantiles.values(of: puad) == [value])
            #expect(try lightning.values(of: "model.\(anomalib)") == [value])
        }
    }

    /// Views of one storage of 251 values, and the other element types.
    @Test func stridesOffsetsAndElementTypesAreRespected() throws {
        let file = try PyTorchFile(GoldenCheckpoint.path("views.pt"))
        let flat = GoldenCheckpoint.values(251, parameter: 0)
        let expected: [String: (shape: [Int], values: [Float])] = [
            "whole": ([251], flat), "part": ([3, 4], Array(flat[10..<22])),
            "transposed": ([4, 3], (0..<12).map { flat[10 + $0 % 3 * 4 + $0 / 3] }),
            "steps": ([5], stride(from: 5, to: 50, by: 9).map { flat[$0] }), "parameter": ([2], Array(flat[..<2])),
            "scalar": ([], [flat[7]]), "empty": ([0], []), "channels_last": ([2, 3, 2, 4], Array(flat[..<48])),
            "half": ([4], Array(flat[..<4])), "brain": ([4], Array(flat[..<4])), "double": ([4], Array(flat[..<4])),
            "integers": ([3], [5, 5, 5]),
        ]
        #expect(file.shapes == expected.mapValues(\.shape))
        for (name, tensor) in expected { #expect(try file.values(of: name) == tensor.values, "\(name)") }
        #expect(try file.values(of: "absent") == nil)
    }

    @Test(
        arguments: [
            ("legacy.pt", .legacy), ("attack.pt", .pickle(.foreignName("posix.system"))),
            ("compressed.pt", .archive(.compressed("mu/data.pkl"))), ("make_checkpoints.py", .notACheckpoint),
            ("absent.pt", .file(FileError(.open, GoldenCheckpoint.path("absent.pt"), .missing))),
            ("", .file(FileError(.open, GoldenCheckpoint.path(""), .isADirectory))),
        ] as [(String, PyTorchFileError.Reason)])
    func refusesByTheNameOfTheFailedCheck(name: String, reason: PyTorchFileError.Reason) {
        let path = GoldenCheckpoint.path(name)
        #expect(throws: PyTorchFileError(path: path, reason: reason)) { try PyTorchFile(path) }
    }

    @Test func adviceIsPartOfTheMessage() {
        func message(_ name: String) -> String {
            do {
                _ = try PyTorchFile(GoldenCheckpoint.path(name))
                return "nothing was refused"
            } catch { return error.description }
        }
        #expect(message("legacy.pt").contains("torch.save(torch.load("))
        #expect(message("attack.pt").contains("wants to call 'posix.system'"))
        #expect(message("attack.pt").contains("model.state_dict()"))
    }

    @Test func whatThePickleClaimsIsHeldAgainstTheStorages() throws {
        let golden = try PyTorchFile(GoldenCheckpoint.path("mu.pt"))
        #expect(try golden.values(of: "")?.count == 4)
        let pickle = try pickle(of: "mu.pt")
        let claims: [([(String, [UInt8])], PyTorchFileError.Reason)] = [
            (
                [("a/data/0", [UInt8](repeating: 0, count: 12))],
                .storageSize("a/data/0", elementCount: 4, byteCount: 12)
            ),
            ([], .missingStorage("a/data/0", tensor: "")),
        ]
        for (entries, reason) in claims {
            let path = try directory.write(ZipBuilder(entries: [("a/data.pkl", pickle)] + entries).bytes(), to: "a.pt")
            let file = try PyTorchFile(path)
            #expect(throws: PyTorchFileError(path: path, reason: reason)) { try file.values(of: "") }
        }
        let others: [([(String, [UInt8])], PyTorchFileError.Reason)] = [
            ([("a/byteorder", Array("big".utf8))], .bigEndian), ([("a/byteorder", Array("little\n".utf8))], .bigEndian),
            ([("a/constants.pkl", [])], .torchScript),
        ]
        for (entries, reason) in others {
            let path = try directory.write(ZipBuilder(entries: [("a/data.pkl", pickle)] + entries).bytes(), to: "b.pt")
            #expect(throws: PyTorchFileError(path: path, reason: reason)) { try PyTorchFile(path) }
        }
        let empty = try directory.write(ZipBuilder(entries: [("a/b", [])]).bytes(), to: "c.pt")
        #expect(throws: PyTorchFileError(path: empty, reason: .notACheckpoint)) { try PyTorchFile(empty) }
        let noTensor = try directory.write(
            ZipBuilder(entries: [("a/data.pkl", [0x80, 2, 0x7D, 0x2E])]).bytes(), to: "d.pt")
        #expect(throws: PyTorchFileError(path: noTensor, reason: .noTensors)) { try PyTorchFile(noTensor) }
    }

    @Test func largerStoragesThanNetworksHaveAreNotRead() throws {
        // One value of a storage that claims a GiB more than is allowed; how much the file has is not looked at.
        let elements = (PyTorchFile.maximumStorageByteCount + 1 << 30) / 4
        let tensor = PickleReaderTests.tensor(elements: elements, shape: [1], strides: [1])
        let path = try directory.write(
            ZipBuilder(entries: [("a/data.pkl", PickleReaderTests.pickle(tensor)), ("a/data/0", [0])]).bytes(),
            to: "a.pt")
        let reason = PyTorchFileError.Reason.storageTooLarge("a/data/0", elementCount: elements)
        let file = try PyTorchFile(path)
        #expect(throws: PyTorchFileError(path: path, reason: reason)) { try file.values(of: "") }
    }

    /// The entry that says which byte order is six bytes long; of a longer one not even the checksum is looked at.
    @Test func aLongByteOrderIsNotRead() throws {
        var builder = ZipBuilder(entries: [
            ("a/data.pkl", try pickle(of: "mu.pt")), ("a/byteorder", [UInt8](repeating: 0, count: 1000)),
        ])
        builder.changeDirectory = { position, record in if position == 1 { record[16] ^= 1 } }
        let path = try directory.write(builder.bytes(), to: "a.pt")
        #expect(throws: PyTorchFileError(path: path, reason: .bigEndian)) { try PyTorchFile(path) }
    }

    /// PyTorch does not look at the stride of a side of 1, so a file may say any.
    @Test func theStrideOfASideOfOneIsNotUsed() throws {
        let tensor = PickleReaderTests.tensor(offset: 1, shape: [1, 2, 1], strides: [.max, 3, .max])
        let path = try directory.write(
            ZipBuilder(entries: [
                ("a/data.pkl", PickleReaderTests.pickle(tensor)),
                ("a/data/0", [Float](arrayLiteral: 0, 1, 2, 3, 4, 5).withUnsafeBytes { Array($0) }),
            ]).bytes(), to: "a.pt")
        #expect(try PyTorchFile(path).values(of: "") == [1, 4])
    }

    private func pickle(of name: String) throws -> [UInt8] { try GoldenCheckpoint.entries(of: name)[0].bytes }
}

extension GoldenCheckpoint {
    /// The entries of a golden archive, its pickle first.
    static func entries(of name: String) throws -> [(name: String, bytes: [UInt8])] {
        let path = path(name)
        let byteCount = try bytes(of: path).count
        let archive = try StoredZipArchive(taking: OpenFile(path, O_RDONLY), byteCount: byteCount)
        var entries: [(name: String, bytes: [UInt8])] = []
        for entry in archive.entries { entries.append((entry.name, try archive.bytes(of: entry))) }
        return entries
    }
}
