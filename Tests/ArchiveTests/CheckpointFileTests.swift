import TensorKernels
import Testing

@testable import Archive

@Suite struct CheckpointFileTests {
    private struct Progress: Codable, Equatable {
        var iteration: Int
        var generator: [UInt64]
        var loss: Double
    }

    let directory: TemporaryDirectory
    let path: String

    private let checkpoint = TrainingCheckpoint(
        tensors: [
            ("student.conv1.weight", Tensor(shape: [2, 2], values: [0.1, -0.0, .nan, .leastNonzeroMagnitude])),
            ("adam.first.student.conv1.weight", Tensor(shape: [1], values: [.infinity])),
        ],
        metadata: Progress(iteration: 12, generator: [.max, 0], loss: 0.1 + 0.2))

    init() throws {
        directory = try TemporaryDirectory()
        path = directory.file("training.checkpoint")
    }

    @Test func everythingComesBackBitForBitAndInOrder() throws {
        try CheckpointFile.save(checkpoint, to: path)
        let loaded = try CheckpointFile.load(path, metadata: Progress.self)
        #expect(loaded.metadata == checkpoint.metadata)
        #expect(loaded.tensors.map(\.name) == checkpoint.tensors.map(\.name))
        #expect(loaded.tensors.map(\.tensor.shape) == [[2, 2], [1]])
        #expect(
            loaded.tensors.map { $0.tensor.values.map(\.bitPattern) }
                == checkpoint.tensors.map { $0.tensor.values.map(\.bitPattern) })
    }

    @Test func aChangedByteIsNoticed() throws {
        try CheckpointFile.save(checkpoint, to: path)
        let whole = try bytes(of: path)
        for position in stride(from: 0, to: whole.count, by: 3) {
            var changed = whole
            changed[position] ^= 0x01
            let other = try directory.write(changed, to: "changed")
            let loaded = try? CheckpointFile.load(other, metadata: Progress.self)
            // Names and spaces of the header are not digested: a changed name is another tensor, and missed by the reader.
            if let loaded {
                #expect(loaded.metadata == checkpoint.metadata)
                #expect(loaded.tensors.map(\.name) != checkpoint.tensors.map(\.name), "byte \(position)")
            }
        }
    }

    @Test func saysWhatIsWrong() throws {
        func reason() -> CheckpointFileError.Reason? {
            #expect(throws: CheckpointFileError.self) { try CheckpointFile.load(path, metadata: Progress.self) }?.reason
        }
        #expect(reason() == .container(.file(FileError(.open, path, .missing))))
        try SafetensorsFile(tensors: [], metadata: [:]).write(to: path)
        #expect(reason() == .notACheckpoint)
        try CheckpointFile.save(TrainingCheckpoint(tensors: [], metadata: ["iteration": 1]), to: path)
        #expect(reason() == .metadata("'generator' is missing"))
        try CheckpointFile.save(checkpoint, to: path)
        let file = try SafetensorsFile.Reader(path).contents().file
        try SafetensorsFile(
            tensors: [file.tensors[0], StoredTensor("adam.first.student.conv1.weight", shape: [1], [Float(1)])],
            metadata: file.metadata
        ).write(to: path)
        #expect(reason() == .digest)
    }

    @Test func metadataThatJSONCannotSayIsRefusedBeforeWriting() throws {
        var broken = checkpoint
        broken.metadata.loss = .nan
        #expect(throws: CheckpointFileError.self) { try CheckpointFile.save(broken, to: path) }
        #expect(try directory.names().isEmpty)
    }
}
