import AnomalyScoring
import ConvNets
import Imaging
import TensorKernels
import Testing

@testable import Training

@Suite struct TrainingRunTests {
    private let images = ModelImage.pictures(0..<3)

    private func settings(seed: UInt64 = 7, iterations: Int = 100) -> TrainingSettings {
        var settings = TrainingSettings()
        settings.seed = seed
        settings.iterations = iterations
        settings.learningRate = 1e-3
        return settings
    }

    // MARK: - One step

    /// ALGORITHMS §3.3, put together once more from the parts that have tests of their own.
    @Test func aStepIsTheOneOfThePaper() throws {
        var settings = settings()
        settings.weightDecay = 0.01
        var run = try Narrow.run(settings: settings, images: images)
        let (teacher, engine) = (try Narrow.teacher(over: images), Narrow.engine)
        var (student, autoencoder) = (run.state.student, run.state.autoencoder)
        var configuration = Adam.Configuration()
        configuration.weightDecay = 0.01
        var studentAdam = Adam(for: student.parameters, configuration: configuration)
        var autoencoderAdam = Adam(for: autoencoder.parameters, configuration: configuration)
        var order = RandomStream(seed: 7, stream: .order)
        var light = RandomStream(seed: 7, stream: .augmentation)
        var dropout = RandomStream(seed: 7, stream: .dropout)
        var epoch = [0, 1, 2]
        order.shuffle(&epoch)

        for index in epoch.reversed() {
            let image = images[index].normalised()
            let augmented = ModelImage.normalise(
                Augmentation.random(using: &light).applied(to: images[index].unitRange()))

            let former = student.forwardRecording(image, channels: 0..<8, on: engine)
            let hard = HardFeatureLoss()(prediction: former.output, target: teacher.features(of: image, on: engine))
            let latter = student.forwardRecording(augmented, channels: 8..<16, on: engine)
            let reconstruction = autoencoder.forwardRecording(augmented, dropout: &dropout, on: engine)
            let autoencoderLoss = MeanSquaredError(
                prediction: reconstruction.output, target: teacher.features(of: augmented, on: engine))
            let imitation = MeanSquaredError(prediction: latter.output, target: reconstruction.output)

            var studentGradients = student.parameters.zeros
            student.backward(hard.gradient, through: former.tape, accumulatingInto: &studentGradients, on: engine)
            student.backward(
                imitation.predictionGradient, through: latter.tape, accumulatingInto: &studentGradients, on: engine)
            var autoencoderGradients = autoencoder.parameters.zeros
            let sum = Tensor(
                shape: reconstruction.output.shape,
                values: zip(autoencoderLoss.predictionGradient.values, imitation.targetGradient.values).map(+))
            autoencoder.backward(
                sum, through: reconstruction.tape, accumulatingInto: &autoencoderGradients, on: engine)
            studentAdam.step(&student.parameters, against: studentGradients, learningRate: 1e-3)
            autoencoderAdam.step(&autoencoder.parameters, against: autoencoderGradients, learningRate: 1e-3)

            let losses = run.step()
            #expect(losses.hardFeature == hard.value)
            #expect(losses.autoencoder == autoencoderLoss.value)
            #expect(losses.studentAutoencoder == imitation.value)
            #expect(losses.total == hard.value + autoencoderLoss.value + imitation.value)
            #expect(run.state.student.parameters == student.parameters)
            #expect(run.state.autoencoder.parameters == autoencoder.parameters)
        }
        #expect(run.state.iteration == 3)
    }

    /// L_STAE is not detached (ALGORITHMS §3.1): what the student's latter half says moves the autoencoder.
    @Test func theStudentPullsAtTheAutoencoder() throws {
        func firstGradient(latterHalf: Float) throws -> Tensor {
            var state = try Narrow.state(settings: settings())
            let bias = state.student.parameters.count - 1
            for channel in 8..<16 { state.student.parameters[bias].values[channel] += latterHalf }
            var run = try Narrow.run(settings: settings(), images: images, state: state)
            _ = run.step()
            return try #require(run.state.tensor("autoencoder.first_moment.decoder.deconv8.bias"))
        }
        let (without, with) = (try firstGradient(latterHalf: 0), try firstGradient(latterHalf: 4))
        // m = (1 − β₁)·g, and ∂L_STAE/∂bias of a channel is 2·(mean A − mean S₂)/8: 4 more in S₂ are −1 in g.
        for (before, after) in zip(without.values, with.values) {
            #expect(abs(after - before + 0.1) < 1e-4, "\(before) became \(after)")
        }
    }

    @Test func theTeacherTeachesTheFormerHalfAloneAndTheAutoencoderTheLatter() throws {
        var settings = settings()
        // So that a moment is the gradient alone.
        settings.weightDecay = 0
        func moments(formerHalf: Float) throws -> [Float] {
            var state = try Narrow.state(settings: settings)
            let bias = state.student.parameters.count - 1
            for channel in 0..<8 { state.student.parameters[bias].values[channel] += formerHalf }
            var run = try Narrow.run(settings: settings, images: images, state: state)
            _ = run.step()
            return try #require(run.state.tensor("student.first_moment.conv4.bias")).values
        }
        let (without, with) = (try moments(formerHalf: 0), try moments(formerHalf: 4))
        #expect(without[8...] == with[8...])
        #expect(without[8...].allSatisfy { $0 != 0 })
        #expect(without[..<8] != with[..<8])
    }

    /// ALGORITHMS §9.12, item 3.
    @Test func anotherAugmentationLeavesTheFirstHardLossUnchanged() throws {
        let state = try Narrow.state(settings: settings())
        var otherState = state
        otherState.augmentation = RandomStream(seed: 99, stream: .augmentation)
        var run = try Narrow.run(settings: settings(), images: images, state: state)
        var other = try Narrow.run(settings: settings(), images: images, state: otherState)
        let (losses, otherLosses) = (run.step(), other.step())
        #expect(losses.hardFeature == otherLosses.hardFeature)
        #expect(losses.autoencoder != otherLosses.autoencoder)
    }

    @Test func droppingOutOtherValuesLeavesTheStudentsPictureUnchanged() throws {
        let state = try Narrow.state(settings: settings())
        var otherState = state
        otherState.dropout = RandomStream(seed: 99, stream: .dropout)
        var run = try Narrow.run(settings: settings(), images: images, state: state)
        var other = try Narrow.run(settings: settings(), images: images, state: otherState)
        let (losses, otherLosses) = (run.step(), other.step())
        #expect(losses.hardFeature == otherLosses.hardFeature)
        #expect(losses.autoencoder != otherLosses.autoencoder)
    }

    // MARK: - Many steps

    /// ALGORITHMS §9.12, item 1: means over 20 steps, because dropout and light change every step.
    ///
    /// The latter half starts away from the autoencoder; from random weights both start near zero, and L_STAE would
    /// first grow while the autoencoder leaves.
    @Test func overfittingOnePictureDrivesEveryLossDown() throws {
        let settings = settings(iterations: 1000)
        var state = try Narrow.state(settings: settings)
        let bias = state.student.parameters.count - 1
        for channel in 8..<16 { state.student.parameters[bias].values[channel] = 2 }
        var run = try TrainingRun(
            settings: settings, images: [.picture(5)], teacher: try Narrow.teacher(over: images), resuming: state,
            on: Narrow.engine)
        var means = [[Double]](repeating: [0, 0, 0], count: 5)
        for number in 0..<100 {
            let losses = run.step()
            for (index, loss) in [losses.hardFeature, losses.autoencoder, losses.studentAutoencoder].enumerated() {
                means[number / 20][index] += loss / 20
            }
        }
        for index in 0..<3 {
            for (earlier, later) in zip(means, means.dropFirst()) {
                #expect(later[index] < earlier[index], "loss \(index): \(means.map { $0[index] })")
            }
        }
    }

    @Test func theSameSeedGivesTheSameBitsAndAnotherSeedOthers() throws {
        func trained(seed: UInt64) throws -> TrainingState {
            // The same start, so that only what the run draws itself can differ.
            let start = try Narrow.state(settings: settings(seed: 1))
            let state = TrainingState(
                student: start.student, autoencoder: start.autoencoder, settings: settings(seed: seed))
            var run = try Narrow.run(settings: settings(seed: seed), images: images, state: state)
            for _ in 0..<4 { _ = run.step() }
            return run.state
        }
        let first = try trained(seed: 7)
        #expect(try trained(seed: 7).isIdentical(to: first))
        #expect(try trained(seed: 8).student.parameters != first.student.parameters)
    }

    @Test func theCacheChangesNothingButTime() throws {
        func trained(cacheCapacity: Int) throws -> TrainingState {
            var settings = settings()
            settings.featureCacheCapacity = cacheCapacity
            var run = try Narrow.run(settings: settings, images: images)
            for _ in 0..<7 { _ = run.step() }
            return run.state
        }
        let remembering = try trained(cacheCapacity: 4 << 30)
        // 8·56·56 floats are one picture's features.
        #expect(try trained(cacheCapacity: 8 * 56 * 56 * 4).isIdentical(to: remembering))
        #expect(try trained(cacheCapacity: 0).isIdentical(to: remembering))
    }

    @Test func everyEpochLooksAtEveryPictureOnceInAnotherOrder() throws {
        var state = try Narrow.state(settings: settings())
        let epochs = (0..<4).map { _ in (0..<20).map { _ in state.nextImage(of: 20) } }
        for epoch in epochs { #expect(epoch.sorted() == Array(0..<20)) }
        #expect(Set(epochs).count == 4)
    }

    /// Two runs that differ in the drop alone go together until then; behind it a step is a tenth as long.
    @Test func theLearningRateDropsForTheLastTwentieth() throws {
        func weights(iterations: Int, steps: Int) throws -> [[Float]] {
            var run = try Narrow.run(settings: settings(iterations: iterations), images: images)
            return (0..<steps).map { _ in
                _ = run.step()
                return run.state.student.parameters[6].values
            }
        }
        // ⌊0.95·21⌋ = 19: the steps 0…18 are long, 19 and 20 short.
        let (short, long) = (try weights(iterations: 21, steps: 20), try weights(iterations: 1000, steps: 20))
        #expect(short[18] == long[18])
        let shortStep = zip(short[19], short[18]).map { Double($0 - $1) }
        let longStep = zip(long[19], long[18]).map { Double($0 - $1) }
        let ratio = length(shortStep) / length(longStep)
        #expect(abs(ratio - 0.1) < 1e-3, "\(ratio)")
    }

    @Test func aNewEndMovesTheDrop() throws {
        var run = try Narrow.run(settings: settings(iterations: 70_000), images: images)
        run.finish(at: 20)
        #expect(run.state.schedule == LearningRateSchedule(iterations: 20, initialRate: 1e-3))
        #expect(run.state.schedule.rate(at: 18) == 1e-3)
        #expect(abs(run.state.schedule.rate(at: 19) - 1e-4) < 1e-10)
    }

    @Test func aRunWhoseTimeIsNearlyUpSettlesForATwentiethOfThatTimesSteps() throws {
        var run = try Narrow.run(settings: settings(iterations: .max), images: images)
        for _ in 0..<38 { _ = run.step() }
        var resumed = run
        #expect(run.settle(since: 0) == 40)
        #expect(run.state.schedule.rate(at: 37) == 1e-3 && run.state.schedule.rate(at: 38) < 2e-4)
        // Of the 38 steps only the last three were this time's.
        #expect(resumed.settle(since: 35) == 39)
        #expect(resumed.state.schedule.rate(at: 38) < 2e-4)
    }

    @Test func noNumberOfIterationsIsTooLarge() {
        for count in 0...1000 {
            #expect(LearningRateSchedule(iterations: count).dropIteration == count * 19 / 20, "\(count)")
        }
        #expect(LearningRateSchedule(iterations: .max).dropIteration == 8_762_203_435_012_037_016)
    }

    @Test func aCopyOfARunIsASnapshot() throws {
        var run = try Narrow.run(settings: settings(), images: images)
        _ = run.step()
        var copy = run
        let losses = run.step()
        #expect(copy.state.iteration == 1)
        #expect(copy.step() == losses)
        #expect(copy.state.isIdentical(to: run.state))
    }

    @Test func anUntouchedStateHoldsThePublishedNetworks() {
        let state = TrainingState(settings: settings())
        #expect(state.student.parameters.valueCount == 4_267_392)
        #expect(state.autoencoder.parameters.valueCount == 1_096_320)
        #expect(state.iteration == 0)
    }

    private func length(_ vector: [Double]) -> Double { vector.reduce(0) { $0 + $1 * $1 }.squareRoot() }
}
