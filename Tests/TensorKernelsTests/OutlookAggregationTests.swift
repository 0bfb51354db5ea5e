import Glibc
import Testing

@testable import TensorKernels

@Suite struct OutlookAggregationTests {
    /// Windows of 1 to 7 pixels, wider than the image among them; images narrower than sixteen columns, exactly as wide,
    /// and wider; one head and several, with one channel each and more; heights of one band and of several.
    private static let cases: [DirectOutlook] = [
        (1, 1, 3, 1, 1), (2, 1, 1, 3, 4), (3, 3, 3, 1, 5), (4, 2, 5, 2, 2), (6, 2, 3, 5, 16), (2, 2, 5, 4, 17),
        (3, 1, 7, 6, 5), (8, 4, 3, 9, 33), (4, 1, 3, 17, 8), (2, 1, 5, 25, 9), (3, 3, 3, 40, 6), (2, 2, 5, 35, 15),
    ].map { DirectOutlook(channels: $0.0, heads: $0.1, window: $0.2, height: $0.3, width: $0.4) }

    /// ALGORITHMS §9.9; nine times what comes out of a window of 3, 25 times of 5.
    @Test func equalWeightsMatchTheWorkedExamples() {
        let ones = [Float](repeating: 1, count: 9)
        let ramp = (0..<9).map(Float.init)
        let cases: [(window: Int, values: [Float], expected: [Float])] = [
            (3, ones, [25, 35, 25, 35, 49, 35, 25, 35, 25]),
            (3, ramp, [80, 119, 90, 133, 196, 147, 110, 161, 120]),
            (5, ones, [Float](repeating: 81, count: 9)),
        ]
        for (window, values, expected) in cases {
            let aggregation = OutlookAggregation(channels: 1, heads: 1, window: window, height: 3, width: 3)
            let output = aggregation.forward(
                values: Tensor(shape: [1, 3, 3], values: values),
                logits: Tensor(shape: [aggregation.logitChannels, 3, 3]))
            let scaled = output.values.map { $0 * Float(window * window) }
            #expect(zip(scaled, expected).allSatisfy { abs($0 - $1) < 1e-5 * $1 }, "\(window): \(scaled)")
        }
    }

    @Test func weightsOfOnesOwnPlaceCountTheOverlappingWindows() {
        var logits = Tensor(shape: [81, 3, 3])
        for place in 0..<9 {
            for pixel in 0..<9 { logits.values[(place * 9 + place) * 9 + pixel] = 200 }
        }
        let output = OutlookAggregation(channels: 1, heads: 1, window: 3, height: 3, width: 3).forward(
            values: Tensor(shape: [1, 3, 3], repeating: 1), logits: logits)
        #expect(output.values == [4, 6, 4, 6, 9, 6, 4, 6, 4])
    }

    @Test func logitsFromTheCentreMatchTheWorkedExample() {
        let values = (0..<9).map(Float.init)
        var logits = Tensor(shape: [81, 3, 3])
        for i in 0..<9 {
            for j in 0..<9 {
                for pixel in 0..<9 {
                    logits.values[(i * 9 + j) * 9 + pixel] = 0.1 * values[pixel] * Float((i + 2 * j) % 3 - 1)
                }
            }
        }
        let output = OutlookAggregation(channels: 1, heads: 1, window: 3, height: 3, width: 3).forward(
            values: Tensor(shape: [1, 3, 3], values: values), logits: logits)
        let expected = [
            9.1469815238, 13.3278050486, 8.6995104967, 15.3796515297, 21.7465598699, 13.6056514696, 12.8030190487,
            17.7814258608, 10.8067496316,
        ]
        #expect(zip(output.values, expected).allSatisfy { abs(Double($0) - $1) < 1e-5 * $1 }, "\(output)")
    }

    @Test func forwardMatchesTheDefinition() {
        for definition in Self.cases {
            let numbers = Numbers(definition)
            let output = OutlookAggregation(definition).forward(values: numbers.values, logits: numbers.logits)
            let expected = definition.forward(values: numbers.values.doubles, logits: numbers.logits.doubles)
            #expect(output.shape == numbers.values.shape)
            #expect(largestDifference(output, expected) < 1e-5, "\(definition)")
        }
    }

    @Test func gradientsMatchTheDefinition() {
        for definition in Self.cases {
            let numbers = Numbers(definition)
            let gradients = OutlookAggregation(definition).gradients(
                from: numbers.outputGradient, values: numbers.values, logits: numbers.logits)
            let expected = definition.gradients(
                from: numbers.outputGradient.doubles, values: numbers.values.doubles, logits: numbers.logits.doubles)
            #expect(largestDifference(gradients.values, expected.values) < 1e-5, "values, \(definition)")
            #expect(largestDifference(gradients.logits, expected.logits) < 1e-5, "logits, \(definition)")
        }
    }

    /// Central differences of the definition for `⟨Y, G⟩`: their error is of the order step² = 1e-8.
    @Test func gradientsMatchFiniteDifferences() {
        for definition in Self.cases.prefix(7) {
            let numbers = Numbers(definition)
            let gradients = OutlookAggregation(definition).gradients(
                from: numbers.outputGradient, values: numbers.values, logits: numbers.logits)
            func loss(_ values: [Double], _ logits: [Double]) -> Double {
                zip(definition.forward(values: values, logits: logits), numbers.outputGradient.values)
                    .reduce(0) { $0 + $1.0 * Double($1.1) }
            }
            let (values, logits) = (numbers.values.doubles, numbers.logits.doubles)
            for index in stride(from: 0, to: values.count, by: 1 + values.count / 20) {
                let difference = derivative(at: values, index) { loss($0, logits) }
                let gradient = Double(gradients.values.values[index])
                #expect(abs(gradient - difference) < 1e-5, "\(definition), value \(index)")
            }
            for index in stride(from: 0, to: logits.count, by: 1 + logits.count / 50) {
                let difference = derivative(at: logits, index) { loss(values, $0) }
                let gradient = Double(gradients.logits.values[index])
                #expect(abs(gradient - difference) < 1e-5, "\(definition), logit \(index)")
            }
        }
    }

    @Test func numbersOfThreadsChangeNoBit() {
        for definition in Self.cases {
            let numbers = Numbers(definition)
            func everything(threads: Int) -> [Tensor] {
                let aggregation = OutlookAggregation(definition)
                let gradients = aggregation.gradients(
                    from: numbers.outputGradient, values: numbers.values, logits: numbers.logits, threads: threads)
                let output = aggregation.forward(values: numbers.values, logits: numbers.logits, threads: threads)
                return [output, gradients.values, gradients.logits]
            }
            let once = everything(threads: 1)
            for threads in [2, 3, 5] { #expect(everything(threads: threads) == once, "\(threads), \(definition)") }
        }
    }

    @Test func largeLogitsDoNotOverflow() {
        var logits = Tensor(shape: [81, 2, 2], repeating: -300)
        for place in 0..<9 {
            for pixel in 0..<4 { logits.values[(place * 9 + place) * 4 + pixel] = 300 }
        }
        let output = OutlookAggregation(channels: 1, heads: 1, window: 3, height: 2, width: 2).forward(
            values: Tensor(shape: [1, 2, 2], repeating: 1), logits: logits)
        #expect(output.values == [4, 4, 4, 4])
    }

    @Test func whatIsNoNumberStaysVisible() {
        let definition = DirectOutlook(channels: 2, heads: 2, window: 3, height: 5, width: 7)
        let aggregation = OutlookAggregation(definition)
        var numbers = Numbers(definition)
        // Place 4 is the window's centre: the result of the pixel itself.
        numbers.logits.values[((81 + 4 * 9 + 2) * 5 + 2) * 7 + 3] = .nan
        let output = aggregation.forward(values: numbers.values, logits: numbers.logits)
        #expect(output.values.indices.filter { output.values[$0].isNaN } == [35 + 2 * 7 + 3])
    }

    @Test func bothWindowsTakeTheProductsOfTheTable() {
        let products = [3, 5].map {
            OutlookAggregation(channels: 512, heads: 8, window: $0, height: 61, width: 61).multiplyAccumulates
        }
        #expect(products.reduce(0, +) == 361_472 * 3721)
    }

    private func derivative(at place: [Double], _ index: Int, of loss: ([Double]) -> Double) -> Double {
        var (before, behind) = (place, place)
        before[index] -= 1e-4
        behind[index] += 1e-4
        return (loss(behind) - loss(before)) / 2e-4
    }

    /// The largest difference, where all numbers are of the order 1.
    private func largestDifference(_ tensor: Tensor, _ expected: [Double]) -> Double {
        guard tensor.count == expected.count else { return .infinity }
        return zip(tensor.values, expected).map { abs(Double($0) - $1) }.reduce(0) { $1 <= $0 ? $0 : $1 }
    }
}

@Suite struct FloatLanesTests {
    @Test func powersOfEAreExactToSevenDigits() {
        var largestError = 0.0
        for step in 0..<100_000 {
            let x = -87 * Float(step) / 100_000
            let power = FloatLanes.exponential(ofNonPositive: FloatLanes(repeating: x))
            #expect(power == FloatLanes(repeating: power[0]))
            largestError = max(largestError, abs(Double(power[0]) / exp(Double(x)) - 1))
        }
        #expect(largestError < 1.5e-7)
    }

    @Test func powersOfEEndInZeroAndKeepNaN() {
        var x = FloatLanes(repeating: -1)
        x[0] = 0
        x[1] = -200
        x[2] = -.infinity
        x[3] = .nan
        let power = FloatLanes.exponential(ofNonPositive: x)
        #expect(power[0] == 1)
        #expect((0..<2e-38).contains(power[1]) && (0..<2e-38).contains(power[2]))
        #expect(power[3].isNaN)
    }
}

extension OutlookAggregation {
    fileprivate init(_ definition: DirectOutlook) {
        self.init(
            channels: definition.channels, heads: definition.heads, window: definition.window,
            height: definition.height, width: definition.width)
    }
}

/// Everything that an aggregation is given.
private struct Numbers {
    var values: Tensor
    var logits: Tensor
    var outputGradient: Tensor

    init(_ definition: DirectOutlook) {
        var numbers = TestNumbers(seed: UInt64(definition.height * 64 + definition.width))
        let plane = definition.height * definition.width
        let imageShape = [definition.channels, definition.height, definition.width]
        let places = definition.window * definition.window
        let logitChannels = definition.heads * places * places
        values = Tensor(shape: imageShape, values: numbers.fractions(definition.channels * plane))
        // Up to ±4: some weights are large, some small.
        logits = Tensor(
            shape: [logitChannels, definition.height, definition.width],
            values: numbers.fractions(logitChannels * plane).map { 4 * $0 })
        outputGradient = Tensor(shape: imageShape, values: numbers.fractions(definition.channels * plane))
    }
}

extension Tensor {
    fileprivate var doubles: [Double] { values.map(Double.init) }
}
