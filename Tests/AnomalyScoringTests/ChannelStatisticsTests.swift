import AnomalyScoring
import ConvNets
import TensorKernels
import Testing

@Suite struct ChannelStatisticsTests {
    @Test func aWorkedExample() throws {
        var accumulator = ChannelStatistics.Accumulator()
        accumulator.add(Tensor(shape: [2, 1, 2], values: [1, 2, -1, -1]))
        accumulator.add(Tensor(shape: [2, 1, 2], values: [4, 5, -1, -1]))
        let statistics = try accumulator.statistics()
        #expect(statistics.mean == [3, -1])
        #expect(statistics.deviation == [Float(2.5.squareRoot()), 0])
        #expect(statistics.deadChannels == [1])
    }

    /// A large mean is where the one-pass formula E[x²] − E[x]² loses its digits.
    @Test func agreesWithTwoPassesOverAllPictures() throws {
        var generator = LinearCongruential(seed: 31)
        let offsets: [Float] = [0, 1000, -3]
        var accumulator = ChannelStatistics.Accumulator()
        var pooled = [[Double]](repeating: [], count: 3)
        for picture in 0..<7 {
            // Pictures of different sizes weigh by their positions.
            var features = generator.tensor([3, 4 + picture, 9], in: -1...1)
            let plane = features.count / 3
            for i in features.values.indices { features.values[i] += offsets[i / plane] + Float(picture) * 0.1 }
            for channel in 0..<3 {
                pooled[channel] += features.values[channel * plane..<(channel + 1) * plane].map { Double($0) }
            }
            accumulator.add(features)
        }
        let statistics = try accumulator.statistics()
        for channel in 0..<3 {
            let values = pooled[channel]
            let mean = values.reduce(0, +) / Double(values.count)
            let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count)
            #expect(abs(Double(statistics.mean[channel]) / mean - 1) < 1e-7, "channel \(channel)")
            #expect(abs(Double(statistics.deviation[channel]) / variance.squareRoot() - 1) < 1e-7, "channel \(channel)")
        }
    }

    @Test func nothingAndNotFiniteAreRefused() {
        var accumulator = ChannelStatistics.Accumulator()
        #expect(throws: CalibrationError.noPictures) { try accumulator.statistics() }
        accumulator.add(Tensor(shape: [1, 1, 2], values: [1, .nan]))
        #expect(throws: CalibrationError.notFinite("a feature of the teacher")) { try accumulator.statistics() }
    }

    @Test func theNormalisedTeacherHasDeadChannelsOfZero() throws {
        var generator = LinearCongruential(seed: 32)
        let network = try PatchDescriptionNetwork(parameters: generator.patchDescription(outputChannels: 2))
        let teacher = NormalisedTeacher(
            network: network, statistics: ChannelStatistics(mean: [0.25, 0.5], deviation: [2, 0]))
        let engine = ReferenceConvolution(threads: 1)
        let image = generator.tensor([3, 64, 64], in: -2...2)
        let (plain, normalised) = (network.forward(image, on: engine), teacher.features(of: image, on: engine))
        let plane = plain.count / 2
        for i in 0..<plane {
            #expect(normalised.values[i] == (plain.values[i] - 0.25) / 2)
            #expect(normalised.values[plane + i] == 0)
        }
    }
}
