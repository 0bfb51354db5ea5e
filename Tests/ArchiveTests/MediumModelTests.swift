import AnomalyScoring
import ConvNets
import Imaging
import TensorKernels
import Testing

@testable import Archive

@Suite struct MediumModelTests {
    /// PDN-M at its full width, untrained: two scorings of 118 GMAC.
    @Test func aModelOfTheMediumSizeLoadsAndScoresAsBefore() throws {
        let directory = try TemporaryDirectory()
        let path = directory.file("model.safetensors")
        let engine = WinogradConvolution(threads: 2)
        var model = Self.untrained()
        let raw = try AnomalyDetector(model: model, engine: engine).score(model.selfTest.image.normalised())
        #expect(raw.map.shape == [1, 256, 256])
        #expect(raw.picturable.isFinite && raw.unpicturable > 0)
        model.fusion.picturable.mean = raw.picturable
        model.fusion.unpicturable.mean = raw.unpicturable
        try ModelFile.save(model, to: path)

        let loaded = try ModelFile.load(path)
        #expect(loaded.model == model)
        // 20,738,432 weights (ALGORITHMS §9.1) in half precision, and less than 2 MB beside them.
        #expect((41_476_864..<43_476_864).contains(loaded.byteCount))
        try AnomalyDetector(model: loaded.model, engine: engine).runSelfTest(tolerance: 0)
    }

    @Test func aTeacherOfTheMediumSizeIsRead() throws {
        let directory = try TemporaryDirectory()
        let path = directory.file("teacher.safetensors")
        let teacher = Self.untrained().teacher
        let tensors = (0..<teacher.count).map {
            StoredTensor(teacher.names[$0], shape: teacher[$0].shape, teacher[$0].values)
        }
        try SafetensorsFile(tensors: tensors, metadata: [:]).write(to: path)
        #expect(try TeacherFile.load(path, size: .medium).parameters == teacher)
        let error = #expect(throws: TeacherFileError.self) { try TeacherFile.load(path) }
        #expect(
            error?.failedCheck
                == .shape(tensor: "conv1.weight", found: [256, 3, 4, 4], expected: [128, 3, 4, 4]))
    }

    /// Weights before the first training step; every score of its own test picture is at z = 0.
    private static func untrained() -> AnomalyModel {
        var model = ModelFixture.float16
        var generator = RandomStream(seed: 1, stream: .initialisation)
        model.size = .medium
        model.teacher = model.precision.rounded(
            PatchDescriptionNetwork.defaultParameters(outputChannels: 384, size: .medium, using: &generator))
        model.student = model.precision.rounded(
            PatchDescriptionNetwork.defaultParameters(outputChannels: 768, size: .medium, using: &generator))
        model.autoencoder = model.precision.rounded(
            Autoencoder.defaultParameters(outputChannels: 384, using: &generator))
        model.fusion.picturable = ZStatistics(mean: 0, deviation: 1)
        model.fusion.unpicturable = ZStatistics(mean: 0, deviation: 1)
        model.selfTest.picturableZ = 0
        model.selfTest.unpicturableZ = 0
        return model
    }
}
