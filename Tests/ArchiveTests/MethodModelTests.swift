import AnomalyScoring
import ConvNets
import Foundation
import TensorKernels
import Testing

@testable import Archive

/// What models of the methods hold beside PUAD's.
@Suite struct MethodModelTests {
    private let directory: TemporaryDirectory
    private let path: String

    init() throws {
        directory = try TemporaryDirectory()
        path = directory.file("model.safetensors")
    }

    private func model(_ method: AnomalyScoring.Method) -> AnomalyModel {
        var model = ModelFixture.float16
        model.method = method
        model.mapOptions.logistic = method == .dfsc
        model.fusion.rule = method.fusionRule
        model.featureSource = method.featureSource
        var recipe = TrainingRecipe()
        switch method {
        case .efficientAD: recipe.penaltyImageCount = 12
        case .puad: break
        case .dfsc:
            recipe.separationMargin = 0.4
            recipe.separationMask = .location
            recipe.studentMomentum = 0.99
        case .laEAD:
            recipe.differenceWeight = 0.1
            var generator = RandomStream(seed: 3, stream: .initialisation)
            model.extractor = model.precision.rounded(
                ContextExtractor.defaultParameters(outputChannels: 384, using: &generator))
        }
        model.trainingRecord.recipe = recipe
        return model
    }

    @Test(arguments: AnomalyScoring.Method.allCases) func modelsOfEveryMethodComeBackBitForBit(
        method: AnomalyScoring.Method
    ) throws {
        let model = model(method)
        try ModelFile.save(model, to: path)
        let loaded = try ModelFile.load(path)
        #expect(loaded.model == model)
        let again = directory.file("again.safetensors")
        try ModelFile.save(loaded.model, to: again)
        #expect(try ModelFile.load(again).sha256 == loaded.sha256)
        // 12,498,448 weights (ALGORITHMS §9.1) in half precision.
        let extractor = method == .laEAD ? 24_996_896 : 0
        #expect((16_115_712 + extractor..<20_000_000 + extractor).contains(loaded.byteCount))
    }

    /// Version 1 knew PUAD alone, and such a model is still the same file; others are not for programs that knew no more.
    @Test(arguments: AnomalyScoring.Method.allCases) func onlyWhatNeedsItIsVersionTwo(
        method: AnomalyScoring.Method
    ) throws {
        let text = try #require(ModelFile.encode(model(method)).metadata[ModelFile.manifestKey])
        #expect(text.contains("\"version\":\(method == .puad ? 1 : 2)"))
        #expect(text.contains("fusion_rule") == (method == .efficientAD || method == .dfsc))
        #expect(text.contains("logistic_maps") == (method == .dfsc))
    }

    /// The demonstration's model was written by version 1; a self-test without tolerance needs its very arithmetic, so
    /// the allowance is that of other machines' kernels.
    @Test func theModelOfTheDemonstrationStillScoresAsItDid() throws {
        let demonstration = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Demo/trays.safetensors").path
        let model = try ModelFile.load(demonstration).model
        #expect(model.method == .puad && model.fusion.rule == .sum && !model.mapOptions.logistic)
        #expect(model.extractor == nil && model.trainingRecord.recipe == TrainingRecipe())
        try AnomalyDetector(model: model, threads: 2).runSelfTest()
        try ModelFile.save(model, to: path)
        #expect(try Data(contentsOf: URL(filePath: path)) == Data(contentsOf: URL(filePath: demonstration)))
    }

    @Test func anExtractorBelongsToTheFeaturesThatComeFromIt() throws {
        var without = model(.laEAD)
        without.extractor = nil
        #expect(throws: ModelFileError.self) { try ModelFile.save(without, to: path) }
        var idle = model(.laEAD)
        idle.featureSource = .studentFormerHalf
        let error = #expect(throws: ModelFileError.self) { try ModelFile.save(idle, to: path) }
        #expect(error?.failedCheck.name == "range")
        var damaged = model(.laEAD)
        damaged.extractor?[0].values[3] = .nan
        let refusal = #expect(throws: ModelFileError.self) { try ModelFile.save(damaged, to: path) }
        #expect(refusal?.failedCheck == .finiteness(of: "extractor.conv1.weight"))
        #expect(!FileManager.default.fileExists(atPath: path))
    }
}
