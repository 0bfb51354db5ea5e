import TensorKernels
import Testing

@Suite struct AveragePoolingTests {
    @Test func everyWindowCountsFourPixelsPaddingIncluded() {
        for height in 1...6 {
            for width in 1...7 {
                for padding in 0...1 where min(height, width) + 2 * padding >= 2 {
                    let pooling = AveragePooling(
                        channels: 2, inputHeight: height, inputWidth: width, padding: padding)
                    var numbers = TestNumbers(seed: UInt64(height * 8 + width))
                    let image = Tensor(
                        shape: [2, height, width], values: numbers.wholeNumbers(2 * height * width))
                    func pixel(_ c: Int, _ y: Int, _ x: Int) -> Float {
                        (0..<height).contains(y) && (0..<width).contains(x)
                            ? image.values[(c * height + y) * width + x] : 0
                    }
                    let output = pooling.forward(image)
                    #expect(output.shape == [2, (height + 2 * padding) / 2, (width + 2 * padding) / 2])
                    for (index, value) in output.values.enumerated() {
                        let x = index % pooling.outputWidth * 2 - padding
                        let y = index / pooling.outputWidth % pooling.outputHeight * 2 - padding
                        let c = index / pooling.outputWidth / pooling.outputHeight
                        let sum = pixel(c, y, x) + pixel(c, y, x + 1) + pixel(c, y + 1, x) + pixel(c, y + 1, x + 1)
                        #expect(value == sum / 4, "\(height)×\(width), padding \(padding), window \(y), \(x)")
                    }
                }
            }
        }
    }

    @Test func gradientIsTheAdjoint() {
        for height in 1...6 {
            for width in 1...7 {
                for padding in 0...1 where min(height, width) + 2 * padding >= 2 {
                    let pooling = AveragePooling(
                        channels: 2, inputHeight: height, inputWidth: width, padding: padding)
                    expectAdjoint(
                        forward: { pooling.forward($0, threads: 2) },
                        backward: { pooling.inputGradient(from: $0, threads: 2) },
                        inputShape: [2, height, width], exact: true, "\(height)×\(width), padding \(padding)")
                }
            }
        }
    }
}

@Suite struct BilinearResamplingTests {
    @Test func rowsMatchTheWorkedExamples() {
        #expect(resampled([0, 4], to: 4) == [0, 1, 3, 4])
        #expect(resampled([0, 1, 5, 7], to: 2) == [0.5, 6])
        let ramp = resampled((0..<9).map(Float.init), to: 15)
        for (value, expected) in zip(ramp, [0, 0.4, 1.0, 1.6] as [Float]) { #expect(abs(value - expected) < 1e-6) }
        for (value, expected) in zip(ramp.suffix(2), [7.6, 8] as [Float]) { #expect(abs(value - expected) < 1e-6) }
        let smaller = resampled((0..<128).map(Float.init), to: 56)
        for (value, expected) in zip(smaller, [0.6428571429, 2.9285714286, 5.2142857143, 7.5] as [Float]) {
            #expect(abs(value - expected) < 1e-6)
        }
    }

    @Test func columnsAreResampledLikeRows() {
        let image = Tensor(shape: [1, 4, 1], values: [0, 1, 5, 7])
        let resampling = BilinearResampling(
            channels: 1, inputHeight: 4, inputWidth: 1, outputHeight: 2, outputWidth: 1)
        #expect(resampling.forward(image).values == [0.5, 6])
    }

    /// ALGORITHMS §9.3: a one-cell peak in a padded map.
    @Test func peakOfAPaddedMapKeepsThreeQuartersOfItsHeight() throws {
        var map = Tensor(shape: [1, 64, 64])
        map.values[24 * 64 + 34] = 1
        let enlarged = BilinearResampling(
            channels: 1, inputHeight: 64, inputWidth: 64, outputHeight: 256, outputWidth: 256
        ).forward(map)
        let peak = try #require(enlarged.values.max())
        #expect(peak == 0.765625)
        let places = enlarged.values.indices.filter { enlarged.values[$0] == peak }.map { [$0 / 256, $0 % 256] }
        #expect(places == [[97, 137], [97, 138], [98, 137], [98, 138]])
        #expect(enlarged.values.reduce(0, +) == 16)
    }

    @Test func gradientIsTheAdjoint() {
        for (height, width, outputHeight, outputWidth) in [
            (1, 1, 3, 2), (2, 3, 5, 4), (4, 4, 8, 8), (9, 9, 15, 15), (13, 7, 5, 3),
        ] {
            let resampling = BilinearResampling(
                channels: 2, inputHeight: height, inputWidth: width, outputHeight: outputHeight,
                outputWidth: outputWidth)
            expectAdjoint(
                forward: resampling.forward, backward: resampling.inputGradient, inputShape: [2, height, width],
                exact: false, "\(height)×\(width) to \(outputHeight)×\(outputWidth)")
        }
    }

    private func resampled(_ row: [Float], to width: Int) -> [Float] {
        BilinearResampling(
            channels: 1, inputHeight: 1, inputWidth: row.count, outputHeight: 1, outputWidth: width
        ).forward(Tensor(shape: [1, 1, row.count], values: row)).values
    }
}

/// Checks `⟨A·x, y⟩ = ⟨x, Aᵀ·y⟩` for a linear map and its gradient.
///
/// - Parameter exact: Whether all numbers are fractions that `Float` holds; otherwise sums of some hundred products of
///   small whole numbers agree within 1e-3.
private func expectAdjoint(
    forward: (Tensor) -> Tensor, backward: (Tensor) -> Tensor, inputShape: [Int], exact: Bool, _ name: String
) {
    var numbers = TestNumbers(seed: 3)
    let x = Tensor(shape: inputShape, values: numbers.wholeNumbers(inputShape.reduce(1, *)))
    let image = forward(x)
    let y = Tensor(shape: image.shape, values: numbers.wholeNumbers(image.count))
    let gradient = backward(y)
    #expect(gradient.shape == inputShape, "\(name)")
    let left = zip(image.values, y.values).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
    let right = zip(x.values, gradient.values).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
    #expect(abs(left - right) <= (exact ? 0 : 1e-3), "\(name): \(left) and \(right)")
}
