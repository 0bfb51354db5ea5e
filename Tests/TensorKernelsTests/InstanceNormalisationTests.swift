import TensorKernels
import Testing

@Suite struct InstanceNormalisationTests {
    /// Odd and even sizes, fewer and more positions than are summed side by side.
    private static let sizes = [(1, 1, 1), (3, 1, 2), (2, 3, 3), (5, 4, 5), (3, 7, 11), (17, 16, 16)]

    /// ALGORITHMS §9.4.
    @Test func fourNumbersMatchTheWorkedExample() {
        let output = InstanceNormalisation(channels: 1, height: 2, width: 2).forward(
            Tensor(shape: [1, 2, 2], values: [1, 2, 3, 6]))
        for (value, expected) in zip(output.values, [-1.06904344, -0.53452172, 0, 1.60356516]) {
            #expect(abs(Double(value) - expected) < 1e-7)
        }
    }

    /// Only the rounding of the result is between them.
    @Test func forwardMatchesTheDefinition() {
        for (channels, height, width) in Self.sizes {
            var numbers = TestNumbers(seed: UInt64(width))
            let count = channels * height * width
            // Far from zero, where a variance from sums of squares would be lost.
            let image = Tensor(
                shape: [channels, height, width], values: numbers.fractions(count).map { 1000 + $0 })
            let output = InstanceNormalisation(channels: channels, height: height, width: width).forward(image)
            let expected = normalised(image.values.map(Double.init), channels: channels)
            #expect(output.shape == image.shape)
            #expect(
                zip(output.values, expected).allSatisfy { abs(Double($0) - $1) < 1e-6 },
                "\(channels)×\(height)×\(width)")
        }
    }

    @Test func aConstantChannelBecomesZero() {
        let normalisation = InstanceNormalisation(channels: 2, height: 3, width: 5)
        var image = Tensor(shape: [2, 3, 5], repeating: 0.1)
        image.values[15] = 4
        let output = normalisation.forward(image)
        #expect(output.values[..<15].allSatisfy { $0 == 0 })
        #expect(output.values[15...].allSatisfy { $0 != 0 })
    }

    @Test func whatIsNoNumberStaysVisibleInItsChannel() {
        var image = Tensor(shape: [3, 4, 4], values: (0..<48).map(Float.init))
        image.values[20] = .nan
        let output = InstanceNormalisation(channels: 3, height: 4, width: 4).forward(image)
        let unknown = output.values.indices.filter { output.values[$0].isNaN }
        #expect(unknown == Array(16..<32))
    }

    /// Central differences of the definition in `Double` for `⟨y, G⟩`: their error is of the order step² = 1e-8.
    @Test func gradientMatchesFiniteDifferences() {
        for (channels, height, width) in Self.sizes {
            var numbers = TestNumbers(seed: UInt64(height))
            let count = channels * height * width
            let image = Tensor(shape: [channels, height, width], values: numbers.fractions(count))
            let outputGradient = Tensor(shape: image.shape, values: numbers.fractions(count))
            let gradient = InstanceNormalisation(channels: channels, height: height, width: width)
                .inputGradient(from: outputGradient, input: image)
            #expect(gradient.shape == image.shape)
            func loss(moving index: Int, by distance: Double) -> Double {
                var values = image.values.map(Double.init)
                values[index] += distance
                return zip(normalised(values, channels: channels), outputGradient.values)
                    .reduce(0) { $0 + $1.0 * Double($1.1) }
            }
            for index in stride(from: 0, to: count, by: max(1, count / 40)) {
                let difference = (loss(moving: index, by: 1e-4) - loss(moving: index, by: -1e-4)) / 2e-4
                #expect(
                    abs(Double(gradient.values[index]) - difference) < 1e-5 * max(1, abs(difference)),
                    "\(channels)×\(height)×\(width), value \(index)")
            }
        }
    }

    /// Neither a shift nor, but for ε, a scale of the input changes the output, so no gradient points there.
    @Test func gradientHasNoShareAlongMeanAndSpread() {
        var numbers = TestNumbers(seed: 1)
        let image = Tensor(shape: [4, 9, 9], values: numbers.fractions(4 * 81))
        let normalisation = InstanceNormalisation(channels: 4, height: 9, width: 9)
        let gradient = normalisation.inputGradient(
            from: Tensor(shape: image.shape, values: numbers.fractions(4 * 81)), input: image)
        let output = normalisation.forward(image)
        for c in 0..<4 {
            let places = c * 81..<(c + 1) * 81
            #expect(abs(places.reduce(0.0) { $0 + Double(gradient.values[$1]) }) < 1e-5)
            let share = places.reduce(0.0) { $0 + Double(gradient.values[$1]) * Double(output.values[$1]) }
            #expect(abs(share) < 1e-2)
        }
    }

    /// Large enough that several threads take part.
    @Test func numbersOfThreadsChangeNoBit() {
        var numbers = TestNumbers(seed: 3)
        let image = Tensor(shape: [19, 128, 129], values: numbers.fractions(19 * 128 * 129))
        let outputGradient = Tensor(shape: image.shape, values: numbers.fractions(image.count))
        func everything(threads: Int) -> [Tensor] {
            let normalisation = InstanceNormalisation(channels: 19, height: 128, width: 129)
            return [
                normalisation.forward(image, threads: threads),
                normalisation.inputGradient(from: outputGradient, input: image, threads: threads),
            ]
        }
        let once = everything(threads: 1)
        for threads in [2, 3, 5] { #expect(everything(threads: threads) == once) }
    }

    /// The formula, channel by channel, in `Double`.
    private func normalised(_ values: [Double], channels: Int) -> [Double] {
        let plane = values.count / channels
        return (0..<channels).flatMap { c -> [Double] in
            let channel = values[c * plane..<(c + 1) * plane]
            let mean = channel.reduce(0, +) / Double(plane)
            let variance = channel.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(plane)
            return channel.map { ($0 - mean) / (variance + 1e-5).squareRoot() }
        }
    }
}
