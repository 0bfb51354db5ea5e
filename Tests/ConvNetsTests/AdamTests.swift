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

    private func single(_ value: Float) -> ParameterSet {
        ParameterSet([("w", Tensor(shape: [1], values: [value]))])
    }
}
