import AnomalyScoring
import ConvNets
import Foundation
import Imaging
import TensorKernels
import Testing

@testable import Training

/// What the methods add to EfficientAD's training.
@Suite struct ObjectiveTests {
    private let images = ModelImage.pictures(0..<3)

    private static let objectives: [Objective] = [.efficientAD, .separated(margin: 2), .aligned()]

    private func settings(_ objective: Objective, size: NetworkSize = .small) -> TrainingSettings {
        var settings = TrainingSettings()
        settings.objective = objective
        settings.size = size
        settings.seed = 7
        settings.iterations = 100
        settings.learningRate = 1e-3
        return settings
    }

    /// ALGORITHMS §9.12, item 2: the student and the autoencoder do not notice α = 0, nor the extractor beside them.
    @Test(arguments: [false, true]) func withoutWeightTheDifferenceConstraintIsEfficientAD(extractor: Bool) throws {
        var baseline = try Narrow.run(settings: settings(.efficientAD), images: images)
        var run = try Narrow.run(settings: settings(.aligned(alpha: 0, trainsExtractor: extractor)), images: images)
        for _ in 0..<4 {
            let (expected, losses) = (baseline.step(), run.step())
            #expect(losses.hardFeature == expected.hardFeature && losses.autoencoder == expected.autoencoder)
            #expect(losses.studentAutoencoder == expected.studentAutoencoder && losses.constraint == 0)
            #expect((losses.context == nil) == !extractor)
        }
        for (name, tensor) in baseline.state.tensors { #expect(run.state.tensor(name) == tensor, "\(name)") }
        #expect(run.state.record == baseline.state.record)

        var weighted = try Narrow.run(settings: settings(.aligned(trainsExtractor: false)), images: images)
        for _ in 0..<4 { _ = weighted.step() }
        #expect(weighted.state.autoencoder.parameters != baseline.state.autoencoder.parameters)
        #expect(weighted.state.student.parameters != baseline.state.student.parameters)
    }

    /// ALGORITHMS §9.12, item 2: one view of each network with its losses, and nothing else.
    @Test(arguments: FeatureSeparationConstraint.Mask.allCases)
    func withoutMarginTheSeparationConstraintIsTheSharedViewAlone(mask: FeatureSeparationConstraint.Mask) throws {
        let settings = settings(.separated(margin: 0, mask: mask))
        var run = try Narrow.run(settings: settings, images: images)
        var state = try Narrow.state(settings: settings)
        let teacher = try Narrow.teacher(over: images)
        for _ in 0..<4 {
            let index = state.nextImage(of: images.count)
            let unitRange = images[index].unitRange()
            let image = ModelImage.normalise(unitRange)
            let example = Example(
                unitRange: unitRange, image: image, teacher: teacher,
                teacherFeatures: teacher.features(of: image, on: Narrow.engine))
            var gradients = state.zeroGradients
            let expected = SharedView(constraint: nil).study(
                example, with: &state, accumulatingInto: &gradients, on: Narrow.engine)
            state.update(against: gradients, threads: 1)
            let losses = run.step()
            #expect(losses.constraint == 0 && losses.total == expected.total)
        }
        #expect(run.state.isIdentical(to: state))

        var separated = try Narrow.run(settings: self.settings(.separated(margin: 2, mask: mask)), images: images)
        for _ in 0..<4 { _ = separated.step() }
        #expect(separated.state.autoencoder.parameters != run.state.autoencoder.parameters)
    }

    /// One pass of the whole student is two passes of its halves.
    @Test func theSharedViewGivesTheLossesOfSeparateOnes() throws {
        var state = try Narrow.state(settings: settings(.separated()))
        state.autoencoder.dropoutProbability = 0
        let teacher = try Narrow.teacher(over: images)
        let unitRange = images[0].unitRange()
        let image = ModelImage.normalise(unitRange)
        let features = teacher.features(of: image, on: Narrow.engine)
        let example = Example(unitRange: unitRange, image: image, teacher: teacher, teacherFeatures: features)
        var shared = state.zeroGradients
        let losses = SharedView().study(example, with: &state, accumulatingInto: &shared, on: Narrow.engine)

        var separate = state.zeroGradients
        let hard = TeacherImitation().study(example, with: &state, accumulatingInto: &separate, on: Narrow.engine)
        #expect(abs(losses.hardFeature - hard.hardFeature) <= 1e-6 * hard.hardFeature)
        let latter = state.student.forwardRecording(image, channels: 8..<16, on: Narrow.engine)
        let reconstruction = state.autoencoder.forward(image, on: Narrow.engine)
        let imitation = MeanSquaredError(prediction: latter.output, target: reconstruction)
        #expect(abs(losses.studentAutoencoder - imitation.value) <= 1e-6 * imitation.value)
        state.student.backward(
            imitation.predictionGradient, through: latter.tape, accumulatingInto: &separate.student, on: Narrow.engine)
        for position in 0..<shared.student.count {
            let largest = separate.student[position].values.map(abs).max() ?? 0
            for (first, second) in zip(shared.student[position].values, separate.student[position].values) {
                #expect(abs(first - second) <= 1e-4 * largest)
            }
        }
    }

    @Test func theExtractorLearnsAloneAndOnThePictureAsItIs() throws {
        let settings = settings(.aligned())
        var run = try Narrow.run(settings: settings, images: images)
        // The first picture of the epoch, found by another stream of the same seed.
        var order = RandomStream(seed: 7, stream: .order)
        var epoch = [0, 1, 2]
        order.shuffle(&epoch)
        let image = images[epoch[2]].normalised()
        let extractor = try Narrow.extractor(seed: 9)
        let target = try Narrow.teacher(over: images).features(of: image, on: Narrow.engine)
        let expected = MeanSquaredError(prediction: extractor.forward(image, on: Narrow.engine), target: target)
        #expect(run.step().context == expected.value)
    }

    /// ∂L_pen/∂bias of a channel is 2·mean(S₁)/8, and m = (1 − β₁)·g after the first step.
    @Test func otherThingsPullTheFormerHalfAloneTowardsSilence() throws {
        let others = ModelImage.pictures(50..<53)
        func firstMoments(penalty: [ModelImage]) throws -> (losses: TrainingRun.Losses, bias: [Float]) {
            var run = try Narrow.run(settings: settings(.efficientAD), images: images, penalty: penalty)
            let losses = run.step()
            return (losses, try #require(run.state.tensor("student.first_moment.conv4.bias")).values)
        }
        let (with, without) = (try firstMoments(penalty: others), try firstMoments(penalty: []))
        var stream = RandomStream(seed: 7, stream: .penalty)
        var picture = others[stream.index(below: 3)].unitRange()
        if stream.uniform() < 0.3 { picture = Augmentation.saturation(0).applied(to: picture) }
        let answer = try Narrow.state(settings: settings(.efficientAD)).student
            .forward(ModelImage.normalise(picture), channels: 0..<8, on: Narrow.engine)
        #expect(with.losses.penalty == PenaltyLoss(prediction: answer).value)
        #expect(without.losses.penalty == nil)
        #expect(with.losses.total == without.losses.total + (with.losses.penalty ?? 0))
        for (channel, mean) in globalAveragePool(answer).enumerated() {
            let pull = Double(with.bias[channel] - without.bias[channel])
            #expect(abs(pull - 0.1 * 2 * mean / 8) < 1e-6, "channel \(channel): \(pull), \(mean)")
        }
        #expect(with.bias[8...] == without.bias[8...])
    }

    /// ALGORITHMS §9.12, item 1, for the losses that EfficientAD has not: means over 20 steps.
    @Test(arguments: [Objective.separated(margin: 2), .aligned()])
    func overfittingOnePictureDrivesTheLossesDown(objective: Objective) throws {
        let settings = settings(objective)
        var run = try TrainingRun(
            settings: settings, images: [.picture(5)], teacher: try Narrow.teacher(over: images),
            resuming: try Narrow.state(settings: settings), on: Narrow.engine)
        var means = [[Double]](repeating: [0, 0, 0], count: 3)
        for number in 0..<60 {
            let losses = run.step()
            for (index, loss) in [losses.hardFeature, losses.autoencoder, losses.context ?? 0].enumerated() {
                means[number / 20][index] += loss / 20
            }
        }
        for (earlier, later) in zip(means, means.dropFirst()) {
            #expect(later[0] < earlier[0] && later[1] < earlier[1] && later[2] <= earlier[2], "\(means)")
        }
    }

    @Test(arguments: objectives) func stoppingChangesNothing(objective: Objective) throws {
        let settings = settings(objective)
        let penalty = ModelImage.pictures(50..<52)
        var run = try Narrow.run(settings: settings, images: images, penalty: penalty)
        for _ in 0..<2 { _ = run.step() }
        let text = try JSONEncoder().encode(run.state.record)
        var state = try Narrow.state(settings: settings)
        try state.restore(
            JSONDecoder().decode(TrainingState.Record.self, from: text),
            tensors: Dictionary(uniqueKeysWithValues: run.state.tensors))
        var resumed = try Narrow.run(settings: settings, images: images, penalty: penalty, state: state)
        for _ in 0..<3 { #expect(run.step() == resumed.step()) }
        #expect(resumed.state.isIdentical(to: run.state))
    }

    @Test func aStateOfAnotherObjectiveLacksTensors() throws {
        let (plain, aligned, separated) = (
            try Narrow.state(settings: settings(.efficientAD)), try Narrow.state(settings: settings(.aligned())),
            try Narrow.state(settings: settings(.separated()))
        )
        let tensors = Dictionary(uniqueKeysWithValues: plain.tensors)
        #expect(plain.extractor == nil && plain.averagedStudent == nil)
        for (state, missing) in [(aligned, "extractor.conv1.weight"), (separated, "student.average.conv1.weight")] {
            var state = state
            #expect(throws: TrainingStateError.missingTensor(missing)) {
                try state.restore(plain.record, tensors: tensors)
            }
        }
    }

    @Test func theAverageFollowsTheStudentSlowly() throws {
        var run = try Narrow.run(settings: settings(.separated()), images: images)
        let start = try #require(run.state.averagedStudent)
        #expect(start.network.parameters == run.state.student.parameters && start.momentum == 0.99)
        _ = run.step()
        let average = try #require(run.state.averagedStudent).network.parameters
        for position in 0..<average.count {
            for (index, value) in average[position].values.enumerated() {
                let (from, to) = (
                    start.network.parameters[position].values[index],
                    run.state.student.parameters[position].values[index]
                )
                #expect(abs(value - (0.99 * from + 0.01 * to)) < 1e-7)
            }
        }
    }

    /// Untrained states are as large as the published networks, and start from the same student and autoencoder.
    @Test func methodsOfASizeStartFromTheSameWeights() {
        let states = Self.objectives.map { TrainingState(settings: settings($0)) }
        for state in states {
            #expect(state.student.parameters == states[0].student.parameters)
            #expect(state.autoencoder.parameters == states[0].autoencoder.parameters)
        }
        #expect(states.map { $0.extractor?.parameters.valueCount } == [nil, nil, 12_498_448])
        #expect(states.map(\.autoencoder.design) == [.plain, .instanceNormalised, .plain])
        let medium = TrainingState(settings: settings(.efficientAD, size: .medium))
        #expect(medium.student.size == .medium && medium.student.parameters.valueCount == 11_615_488)
    }

    @Test func dfscSettlesForTheLastTenthOfItsTime() throws {
        var run = try Narrow.run(settings: settings(.separated()), images: images)
        #expect(run.settlingPoint == 0.9)
        for _ in 0..<18 { _ = run.step() }
        #expect(run.settle(since: 0) == 20)
        #expect(run.state.schedule.dropIteration == 18)
    }
}

@Suite struct PenaltyPictureTests {
    /// A frame that is large enough not to be enlarged keeps the pixels in its middle.
    @Test func theMiddleOfTheResizedPictureIsTaken() throws {
        let pixels = PixelBuffer(count: 512 * 512 * 3) { bytes in
            for index in 0..<512 * 512 {
                bytes[3 * index] = UInt8(truncatingIfNeeded: index % 512)
                bytes[3 * index + 1] = UInt8(truncatingIfNeeded: index / 512)
                bytes[3 * index + 2] = 7
            }
        }
        let frame = Frame(
            number: 0, width: 512, height: 512, capturedAt: MonotonicInstant(nanoseconds: 0), pixels: pixels)
        let picture = PenaltyPicture.modelImage(of: frame)
        for (y, x) in [(0, 0), (0, 255), (100, 3), (255, 255)] {
            let start = (y * 256 + x) * 3
            #expect(
                Array(picture.pixels[start..<start + 3])
                    == [UInt8(truncatingIfNeeded: x + 128), UInt8(truncatingIfNeeded: y + 128), 7])
        }
    }
}
