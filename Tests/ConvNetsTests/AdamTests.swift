import TensorKernels
import Testing

@testable import ConvNets

@Suite struct AdamTests {
    /// ALGORITHMS §9.7; half the distance of neighbouring Floats below 1 is 3e-8.
    @Test func stepsMatchTheWorkedExample() {
        var parameters = single(1)
        var adam = Adam(for: parameters)
        adam.step(&parameters, against: single(0.5), learningRate: 1e-4)
        #expect(abs(Double(parameters[0].values[0]) - 0.999900000002) < 6e-8)
        adam.step(&parameters, against: single(-0.25), learningRate: 1e-4)
        #expect(abs(Double(parameters[0].values[0]) - 0.9998733639815004) < 6e-8)
        #expect(adam.stepCount == 2)
    }

    /// ALGORITHMS §9.7: the first step of AdamW.
    @Test func decoupledDecayMatchesTheWorkedExample() {
        var parameters = single(1)
        var configuration = Adam.Configuration()
        configuration.decay = .decoupled
        var adam = Adam(for: parameters, configuration: configuration)
        adam.step(&parameters, against: single(0.5), learningRate: 1e-4)
        #expect(abs(Double(parameters[0].values[0]) - 0.999899999002) < 6e-8)
    }

    /// A decay that can be told from rounding: without gradient AdamW takes η·λ of the weight, Adam a whole step.
    @Test func decoupledDecayDoesNotPassTheMoments() {
        var configuration = Adam.Configuration()
        configuration.weightDecay = 0.5
        var regularised = single(2)
        var adam = Adam(for: regularised, configuration: configuration)
        adam.step(&regularised, against: single(0), learningRate: 0.1)
        #expect(abs(regularised[0].values[0] - 1.9) < 1e-6)

        configuration.decay = .decoupled
        var decoupled = single(2)
        var adamW = Adam(for: decoupled, configuration: configuration)
        adamW.step(&decoupled, against: single(0), learningRate: 0.1)
        #expect(abs(decoupled[0].values[0] - 1.9) < 1e-6)
        #expect(adamW.firstMoments[0].values == [0])
    }

    @Test func restoredStateGoesOnWhereItWas() {
        var parameters = single(1)
        var adam = Adam(for: parameters)
        for step in 1...5 { adam.step(&parameters, against: single(Float(step) - 2.5), learningRate: 1e-2) }
        var restored = Adam(for: parameters)
        restored.firstMoments = adam.firstMoments
        restored.secondMoments = adam.secondMoments
        restored.stepCount = adam.stepCount
        var others = parameters
        adam.step(&parameters, against: single(0.3), learningRate: 1e-2)
        restored.step(&others, against: single(0.3), learningRate: 1e-2)
        #expect(others == parameters)
    }

    @Test func weightDecayPullsAParameterWithoutGradientTowardsZero() {
        var parameters = single(-1)
        var adam = Adam(for: parameters)
        adam.step(&parameters, against: single(0), learningRate: 1e-2)
        #expect(parameters[0].values[0] > -1)
    }

    @Test func learningRateDropsForTheLastTwentieth() {
        let schedule = LearningRateSchedule(iterations: 70_000)
        #expect(schedule.rate(at: 66_499) == 1e-4)
        #expect(abs(schedule.rate(at: 66_500) - 1e-5) < 1e-11)
        #expect(LearningRateSchedule(iterations: 30).dropIteration == 28)
    }

    /// ALGORITHMS §9.7.
    @Test func warmUpMatchesTheWorkedExample() {
        let warmUp = UntunedWarmUp(squaredGradientDecay: 0.997)
        for (step, factor) in [
            (1, 0.0029955045), (10, 0.0295544665), (100, 0.2591817793), (333, 0.6317524954), (1000, 0.9502129316),
            (3000, 0.9998765902),
        ] {
            #expect(abs(warmUp.factor(ofStep: step) - factor) < 1e-9, "step \(step)")
        }
    }

    /// ALGORITHMS §9.7: iterations count from 0, updates from 1.
    @Test func aWarmedUpScheduleRisesAndDropsForTheLastTenth() {
        let schedule = LearningRateSchedule(
            iterations: 70_000, finalShare: 10, warmUp: UntunedWarmUp(squaredGradientDecay: 0.997))
        #expect(abs(schedule.rate(at: 0) - 0.0029955045e-4) < 1e-12)
        #expect(abs(schedule.rate(at: 999) - 0.9502129316e-4) < 1e-10)
        #expect(abs(schedule.rate(at: 62_999) - 1e-4) < 1e-10)
        #expect(abs(schedule.rate(at: 63_000) - 1e-5) < 1e-11)
    }

    /// ALGORITHMS §9.7.
    @Test func theMovingAverageMatchesTheWorkedExample() {
        var average = ExponentialMovingAverage(of: single(1))
        average.follow(single(2))
        #expect(abs(average.average[0].values[0] - 1.01) < 1e-6)
        average.follow(single(3), threads: 2)
        #expect(abs(average.average[0].values[0] - 1.0299) < 1e-6)
    }

    private func single(_ value: Float) -> ParameterSet {
        ParameterSet([("w", Tensor(shape: [1], values: [value]))])
    }
}
