import ConvNets
import Imaging
import TensorKernels
import Testing

@testable import AnomalyScoring

/// How the methods score, each with its own networks.
@Suite struct MethodTests {
    private let engine = ReferenceConvolution(threads: 2)

    private func model(
        _ method: AnomalyScoring.Method, _ featureSource: FeatureSource, logistic: Bool = false
    ) -> AnomalyModel {
        var generator = LinearCongruential(seed: 9)
        var model = AnomalyModel.narrow()
        model.method = method
        model.featureSource = featureSource
        model.extractor = featureSource == .contextExtractor ? generator.extractor(outputChannels: 3) : nil
        model.mapOptions.logistic = logistic
        model.fusion.rule = method.fusionRule
        return model
    }

    /// DFSC's autoencoder has the parameters of the others and gives other maps.
    @Test func dfscScoresWithItsOwnAutoencoder() throws {
        let model = model(.dfsc, .studentFormerHalf, logistic: true)
        let image = model.selfTest.image.normalised()
        let autoencoder = try Autoencoder(parameters: model.autoencoder, design: .instanceNormalised)
        let student = try PatchDescriptionNetwork(parameters: model.student)
        let expected = meanSquaredDifferenceMap(
            autoencoder.forward(image, on: engine), student.forward(image, channels: 3..<6, on: engine))
        for detector in [
            try AnomalyDetector(model: model, engine: engine), try AnomalyDetector(model: model, threads: 2),
        ] {
            let observation = detector.observe(image)
            #expect(
                zip(observation.maps.autoencoderStudent.values, expected.values)
                    .allSatisfy { abs($0 - $1) < 1e-3 * max(1, abs($1)) })
            #expect(detector.score(image).map.values.allSatisfy { (0...1).contains($0) })
        }
    }

    @Test func featuresArePooledFromTheNetworkThatTheModelNames() throws {
        let image = AnomalyModel.narrow().selfTest.image.normalised()
        let extracted = model(.laEAD, .contextExtractor)
        let teacher = try NormalisedTeacher(
            network: PatchDescriptionNetwork(parameters: extracted.teacher), statistics: extracted.teacherStatistics)
        let student = try PatchDescriptionNetwork(parameters: extracted.student)
        let extractor = try ContextExtractor(parameters: extracted.extractor ?? ParameterSet())
        for (model, features) in [
            (extracted, extractor.forward(image, on: engine)),
            (model(.laEAD, .studentFormerHalf), student.forward(image, channels: 0..<3, on: engine)),
            (model(.puad, .teacher), teacher.features(of: image, on: engine)),
        ] {
            #expect(features.shape == [3, 56, 56])
            let expected = globalAveragePool(features)
            for detector in [
                try AnomalyDetector(model: model, engine: engine), try AnomalyDetector(model: model, threads: 2),
            ] {
                let pooled = detector.observe(image).pooledFeatures
                #expect(agree(pooled, expected, within: 1e-4), "\(model.featureSource): \(pooled), \(expected)")
            }
        }
    }

    @Test func aModelWithoutTheExtractorThatItNamesIsRefused() {
        var model = model(.laEAD, .contextExtractor)
        model.extractor = nil
        let incomplete = model
        #expect(throws: NetworkError.missingParameter("conv1.weight", network: "context extractor")) {
            try AnomalyDetector(model: incomplete, threads: 1)
        }
    }

    /// ALGORITHMS §9.12, item 4.
    @Test(arguments: AnomalyScoring.Method.allCases) func thePictureScoresTheSameTwice(
        method: AnomalyScoring.Method
    ) throws {
        let model = model(method, method.featureSource)
        let detector = try AnomalyDetector(model: model, threads: 2)
        let image = model.selfTest.image.normalised()
        let (first, second) = (detector.score(image), detector.score(image))
        #expect(first.picturable == second.picturable && first.unpicturable == second.unpicturable)
        #expect(first.map == second.map)
    }
}
