import TensorKernels
import Testing

@Suite struct RectifierTests {
    @Test func gradientPassesWhereTheActivationIsPositive() {
        let activation = Tensor(shape: [4], values: [0, 2, 0, 0.5])
        var gradient = Tensor(shape: [4], values: [1, -3, 4, 5])
        gradient.passRectifier(activation: activation)
        #expect(gradient.values == [0, -3, 0, 5])
    }

    @Test func dropoutZeroesAFifthAndScalesTheRest() {
        var numbers = TestNumbers(seed: 1)
        var values = [Float](repeating: 2, count: 100_000)
        var span = values.mutableSpan
        dropOut(&span, probability: 0.2, using: &numbers)
        #expect(Set(values) == [0, 2.5])
        // Binomial: standard deviation 126 of 100,000 draws, four of them allowed.
        #expect(abs(values.count { $0 == 0 } - 20_000) < 510)
    }

    @Test func dropoutOfNothingDrawsNothing() {
        var numbers = TestNumbers(seed: 1)
        var untouched = numbers
        var values: [Float] = [1, 2, 3]
        var span = values.mutableSpan
        dropOut(&span, probability: 0, using: &numbers)
        #expect(values == [1, 2, 3])
        #expect(numbers.next() == untouched.next())
    }

    @Test func gradientOfRectifierAndDropoutTogetherIsThatOfTheirProduct() {
        let sums: [Float] = (0..<1000).map { Float($0 % 7) - 3 }
        var activation = sums.map { max(0, $0) }
        var numbers = TestNumbers(seed: 5)
        var mask = [Float](repeating: 1, count: sums.count)
        var sameNumbers = numbers
        var span = activation.mutableSpan
        dropOut(&span, probability: 0.5, using: &numbers)
        var maskSpan = mask.mutableSpan
        dropOut(&maskSpan, probability: 0.5, using: &sameNumbers)

        var gradient = [Float](repeating: 3, count: sums.count)
        var gradientSpan = gradient.mutableSpan
        rectifierGradient(activation: activation.span, scale: 2, into: &gradientSpan)
        #expect(gradient == zip(sums, mask).map { $0 > 0 ? 3 * $1 : 0 })
    }

    @Test func channelSumsAreAddedToWhatIsThere() {
        // 13 positions: eight side by side and five left over.
        let values = (0..<26).map(Float.init)
        var sums: [Float] = [1, -1]
        var span = sums.mutableSpan
        addChannelSums(of: values.span, to: &span)
        #expect(sums == [1 + 78, -1 + 247])
    }
}
