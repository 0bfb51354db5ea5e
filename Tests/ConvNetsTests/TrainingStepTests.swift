import Foundation
import TensorKernels
import Testing

@testable import ConvNets

/// What `Golden/make_efficientad_training.py` wrote with PyTorch.
private struct Golden: Decodable {
    let torch: String
    let teacher: [Float]
    let teacherPadded: [Float]
    let student: [Float]
    let autoencoder: [Float]
    let losses: [[Double]]
    let firstGradientNorms: [String: Double]
    let trainedStudent: [Float]
    let trainedAutoencoder: [Float]

    static func load() throws -> Golden {
        let file = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "Golden/efficientad_training.json")
        return try JSONDecoder().decode(Golden.self, from: Data(contentsOf: file))
    }
}

/// A student and an autoencoder on their way, as EfficientAD trains them (ALGORITHMS §3.3), dropout off.
private struct TrainingRun {
    let teacher: PatchDescriptionNetwork
    var student: PatchDescriptionNetwork
    var autoencoder: Autoencoder
    let image: Tensor
    let augmented: Tensor
    private let engine = ReferenceConvolution(threads: 2)
    private var studentAdam: Adam
    private var autoencoderAdam: Adam

    struct Step {
        let losses: [Double]
        let studentGradients: ParameterSet
        let autoencoderGradients: ParameterSet
    }

    init(seed: UInt64) throws {
        var generator = LinearCongruential(seed: seed)
        teacher = try .narrow(outputChannels: 8, using: &generator)
        student = try .narrow(outputChannels: 16, using: &generator)
        autoencoder = try .narrow(outputChannels: 8, using: &generator)
        autoencoder.dropoutProbability = 0
        image = generator.tensor([3, 128, 128], in: -2...2)
        augmented = generator.tensor([3, 128, 128], in: -2...2)
        studentAdam = Adam(for: student.parameters)
        autoencoderAdam = Adam(for: autoencoder.parameters)
    }

    mutating func step(learningRate: Float) -> Step {
        var studentGradients = student.parameters.zeros
        var autoencoderGradients = autoencoder.parameters.zeros
        let (former, formerTape) = student.forwardRecording(image, channels: 0..<8, on: engine)
        let hard = HardFeatureLoss()(prediction: former, target: teacher.forward(image, on: engine))
        student.backward(hard.gradient, through: formerTape, accumulatingInto: &studentGradients, on: engine)

        var masks = RandomStream(seed: 0, stream: .dropout)
        let (prediction, autoencoderTape) = autoencoder.forwardRecording(augmented, dropout: &masks, on: engine)
        let (latter, latterTape) = student.forwardRecording(augmented, channels: 8..<16, on: engine)
        let reconstruction = MeanSquaredError(prediction: prediction, target: teacher.forward(augmented, on: engine))
        let imitation = MeanSquaredError(prediction: prediction, target: latter)
        var predictionGradient = reconstruction.predictionGradient
        predictionGradient.add(imitation.predictionGradient)
        autoencoder.backward(
            predictionGradient, through: autoencoderTape, accumulatingInto: &autoencoderGradients, on: engine)
        student.backward(
            imitation.targetGradient, through: latterTape, accumulatingInto: &studentGradients, on: engine)

        studentAdam.step(&student.parameters, against: studentGradients, learningRate: learningRate)
        autoencoderAdam.step(&autoencoder.parameters, against: autoencoderGradients, learningRate: learningRate)
        return Step(
            losses: [hard.value, reconstruction.value, imitation.value], studentGradients: studentGradients,
            autoencoderGradients: autoencoderGradients)
    }

    func output(_ network: PatchDescriptionNetwork) -> Tensor { network.forward(image, on: engine) }
    func output(_ network: Autoencoder) -> Tensor { network.forward(image, on: engine) }
}

@Suite struct TrainingStepTests {
    /// Outputs are about 0.1; sums of up to 112 products of float32: 1e-6 absolute.
    @Test func forwardPassesMatchPyTorch() throws {
        let golden = try Golden.load()
        let run = try TrainingRun(seed: 2024)
        let padded = try PatchDescriptionNetwork(parameters: run.teacher.parameters, padded: true)
        expectClose(run.output(run.teacher), golden.teacher, tolerance: 1e-6, "teacher")
        expectClose(run.output(padded), golden.teacherPadded, tolerance: 1e-6, "padded teacher")
        expectClose(run.output(run.student), golden.student, tolerance: 1e-6, "student")
        expectClose(run.output(run.autoencoder), golden.autoencoder, tolerance: 1e-6, "autoencoder")
    }

    @Test func tenTrainingStepsMatchPyTorch() throws {
        let golden = try Golden.load()
        var run = try TrainingRun(seed: 2024)
        #expect(golden.losses.count == 10)
        for (number, expected) in golden.losses.enumerated() {
            let step = run.step(learningRate: 1e-3)
            for (loss, expectedLoss) in zip(step.losses, expected) {
                #expect(abs(loss - expectedLoss) <= 1e-5 * expectedLoss, "step \(number): \(loss), \(expectedLoss)")
            }
            if number == 0 {
                for gradients in [step.studentGradients, step.autoencoderGradients] {
                    for (position, name) in gradients.names.enumerated() {
                        let norm = gradients[position].values.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
                        let expectedNorm = try #require(golden.firstGradientNorms[name])
                        #expect(abs(norm - expectedNorm) <= 1e-5 * expectedNorm, "\(name): \(norm), \(expectedNorm)")
                    }
                }
            }
        }
        expectClose(run.output(run.student), golden.trainedStudent, tolerance: 1e-5, "trained student")
        expectClose(run.output(run.autoencoder), golden.trainedAutoencoder, tolerance: 1e-5, "trained autoencoder")
    }

    /// ALGORITHMS §9.12, item 1: means over 20 steps, so that Adam's small swings do not count.
    @Test func overfittingOneImageDrivesEveryLossDown() throws {
        var run = try TrainingRun(seed: 5)
        var sums = [[Double]](repeating: [0, 0, 0], count: 5)
        for number in 0..<100 {
            let step = run.step(learningRate: 1e-3)
            for (index, loss) in step.losses.enumerated() { sums[number / 20][index] += loss }
        }
        for index in 0..<3 {
            for (earlier, later) in zip(sums, sums.dropFirst()) {
                #expect(later[index] < earlier[index], "loss \(index): \(sums.map { $0[index] / 20 })")
            }
        }
    }

    @Test func trainingTwiceGivesTheSameBits() throws {
        var first = try TrainingRun(seed: 6)
        var second = try TrainingRun(seed: 6)
        for _ in 0..<3 {
            _ = first.step(learningRate: 1e-3)
            _ = second.step(learningRate: 1e-3)
        }
        #expect(first.student.parameters == second.student.parameters)
        #expect(first.autoencoder.parameters == second.autoencoder.parameters)
    }

    /// Every fifth row and column of every channel, as the script samples them.
    private func expectClose(_ output: Tensor, _ expected: [Float], tolerance: Float, _ name: String) {
        let (height, width) = (output.shape[1], output.shape[2])
        let sampled = output.values.indices.filter { $0 % width % 5 == 0 && $0 / width % height % 5 == 0 }
            .map { output.values[$0] }
        #expect(sampled.count == expected.count, "\(name)")
        let largest = zip(sampled, expected).map { abs($0 - $1) }.max() ?? .infinity
        #expect(largest <= tolerance, "\(name) is off by \(largest)")
    }
}
