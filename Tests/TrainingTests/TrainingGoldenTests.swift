import ConvNets
import Foundation
import Imaging
import TensorKernels
import Testing

@testable import Training

/// What `Golden/make_training_steps.py` wrote with PyTorch.
private struct Golden: Decodable {
    struct Run: Decodable {
        /// Per step, by the names of `TrainingRun.Losses`; what a method has not is absent.
        let losses: [[String: Double]]
        let student: [Float]
        let autoencoder: [Float]
        let extractor: [Float]?
        let averagedStudent: [Float]?
    }

    let efficientADSmall: Run
    let efficientADMedium: Run
    let dfsc: Run
    let laEAD: Run

    static func load() throws -> Golden {
        let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Golden/training_steps.json")
        return try JSONDecoder().decode(Golden.self, from: Data(contentsOf: file))
    }
}

/// Ten steps of `TrainingRun` as it is, augmentation, dropout, order and all, against PyTorch.
///
/// Float32 sums in another order; Adam makes steps of one length of gradients of all lengths, so errors grow with every
/// step. The learning rate drops at the last one. The seed of both programs is one of those with which no
/// gradient is so near zero that rounding decides about Adam's first steps, and DFSC's code is nowhere all zero: behind it
/// the normalisations would make a picture of rounding errors.
@Suite struct TrainingGoldenTests {
    private let images = ModelImage.pictures(0..<3)

    @Test func efficientADWithPenaltyMatchesPyTorch() throws {
        try expectMatch(.efficientAD, penalty: ModelImage.pictures(50..<52), try Golden.load().efficientADSmall)
    }

    @Test func theMediumSizeMatchesPyTorch() throws {
        try expectMatch(.efficientAD, size: .medium, try Golden.load().efficientADMedium)
    }

    @Test func dfscMatchesPyTorch() throws {
        try expectMatch(.separated(margin: 2), try Golden.load().dfsc)
    }

    @Test func laEADMatchesPyTorch() throws {
        try expectMatch(.aligned(), try Golden.load().laEAD)
    }

    private func expectMatch(
        _ objective: Objective, size: PatchDescriptionNetwork.Size = .small, penalty: [ModelImage] = [],
        _ golden: Golden.Run
    ) throws {
        var settings = TrainingSettings()
        settings.objective = objective
        settings.size = size
        settings.seed = 9
        settings.iterations = 10
        settings.learningRate = 1e-3
        var run = try Narrow.run(settings: settings, images: images, penalty: penalty)
        #expect(golden.losses.count == 10)
        for (number, expected) in golden.losses.enumerated() {
            let losses = run.step()
            let found = [
                "hardFeature": losses.hardFeature, "autoencoder": losses.autoencoder,
                "studentAutoencoder": losses.studentAutoencoder, "constraint": losses.constraint,
                "context": losses.context, "penalty": losses.penalty,
            ].compactMapValues { $0 }
            #expect(Set(found.keys) == Set(expected.keys))
            for (name, loss) in found {
                let value = try #require(expected[name])
                #expect(abs(loss - value) <= 5e-5 * abs(value), "step \(number), \(name): \(loss), \(value)")
            }
        }
        let picture = images[0].normalised()
        let state = run.state
        expectClose(state.student.forward(picture, on: Narrow.engine), golden.student, "student")
        expectClose(state.autoencoder.forward(picture, on: Narrow.engine), golden.autoencoder, "autoencoder")
        let extracted = state.extractor?.forward(picture, on: Narrow.engine)
        #expect((extracted == nil) == (golden.extractor == nil))
        if let extracted, let expected = golden.extractor { expectClose(extracted, expected, "extractor") }
        let averaged = state.averagedStudent?.network.forward(picture, on: Narrow.engine)
        #expect((averaged == nil) == (golden.averagedStudent == nil))
        if let averaged, let expected = golden.averagedStudent { expectClose(averaged, expected, "averaged student") }
    }

    /// Every ninth row and column of every channel, as the script samples them.
    private func expectClose(_ output: Tensor, _ expected: [Float], _ name: String) {
        let (height, width) = (output.shape[1], output.shape[2])
        let sampled = output.values.indices.filter { $0 % width % 9 == 0 && $0 / width % height % 9 == 0 }
            .map { output.values[$0] }
        #expect(sampled.count == expected.count, "\(name)")
        let largest = expected.map(abs).max() ?? 0
        let error = zip(sampled, expected).map { abs($0 - $1) }.max() ?? .infinity
        #expect(error <= 1e-4 * largest, "\(name) is off by \(error) of \(largest)")
    }
}
