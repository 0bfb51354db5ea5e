import Foundation
import Testing

@testable import SyntheticLine

/// The data set means something only if looking at single pixels does not solve it.
@Suite struct PixelBaselineTests {
    /// A tenth of the data set, so that the suite stays quick; chance is 0.50, and the deviation of such an AUROC
    /// over 30 good and 60 anomalous pictures is 0.064.
    @Test func meanAndDeviationPerPixelDoNotFindLogicalDefects() {
        let measured = bestLogicalAUROC(training: 60, good: 30, logical: 60)
        #expect(measured <= 0.70, "\(measured)")
    }

    /// The full measure of the data set's difficulty; takes about a minute.
    @Test(.enabled(if: ProcessInfo.processInfo.environment["BELTWATCH_LONG_TESTS"] != nil))
    func meanAndDeviationPerPixelDoNotFindLogicalDefectsInTheFullDataSet() {
        let measured = bestLogicalAUROC(training: 200, good: 120, logical: 240)
        print("pixel baseline, 200 training pictures, 120 good, 240 logical: AUROC \(measured)")
        #expect(measured <= 0.65, "\(measured)")
    }

    /// The best of largest, mean, and 99 % quantile of |x − μ|/σ over all pixels and channels at 256×256.
    private func bestLogicalAUROC(training: Int, good: Int, logical: Int) -> Double {
        var configuration = SyntheticDataset.Configuration()
        configuration.trainingCount = training
        configuration.validationCount = 0
        configuration.goodCount = good
        configuration.logicalCount = logical
        configuration.structuralCount = 0
        let items = SyntheticDataset(configuration).items

        let baseline = PixelBaseline(items.lazy.filter { $0.split == .trainingGood }.map(modelInput))
        let normal = items.filter { $0.split == .testGood }.map { baseline.scores(modelInput($0)) }
        let anomalous = items.filter { $0.split == .testLogical }.map { baseline.scores(modelInput($0)) }
        return (0..<3).map { score in auroc(normal.map { $0[score] }, anomalous.map { $0[score] }) }.max() ?? .nan
    }

    private func modelInput(_ item: SyntheticItem) -> [Float] {
        shrunk(item.render().image)
    }

    /// Share of (normal, anomalous) pairs in the right order, ties by half.
    private func auroc(_ normal: [Float], _ anomalous: [Float]) -> Double {
        var wins = 0.0
        for low in normal {
            for high in anomalous { wins += high > low ? 1 : (high == low ? 0.5 : 0) }
        }
        return wins / Double(normal.count * anomalous.count)
    }

    /// 320 → 256 with the antialiasing triangle of ALGORITHMS §1.1, without its rounding to bytes.
    private func shrunk(_ image: RenderedImage) -> [Float] {
        let side = 256
        let scale = Float(image.width) / Float(side)
        let taps = (0..<side).map { x -> [(Int, Float)] in
            let centre = (Float(x) + 0.5) * scale
            let columns = max(Int(centre - scale + 0.5), 0)..<min(Int(centre + scale + 0.5), image.width)
            let weights = columns.map { max(0, 1 - abs((Float($0) - centre + 0.5) / scale)) }
            let sum = weights.reduce(0, +)
            return zip(columns, weights).map { ($0, $1 / sum) }
        }
        var narrow = [Float](repeating: 0, count: image.height * side * 3)
        for y in 0..<image.height {
            for x in 0..<side {
                for (column, weight) in taps[x] {
                    for channel in 0..<3 {
                        narrow[(y * side + x) * 3 + channel] +=
                            weight * Float(image.pixels[(y * image.width + column) * 3 + channel])
                    }
                }
            }
        }
        var small = [Float](repeating: 0, count: side * side * 3)
        for y in 0..<side {
            for (row, weight) in taps[y] {
                for i in 0..<side * 3 { small[y * side * 3 + i] += weight * narrow[row * side * 3 + i] }
            }
        }
        return small
    }
}

/// Mean and deviation of every pixel and channel over good pictures.
private struct PixelBaseline {
    private var mean: [Float] = []
    private var deviation: [Float] = []

    /// Welford 1962, one pass.
    init(_ images: some Sequence<[Float]>) {
        var count: Float = 0
        var squares: [Float] = []
        for image in images {
            if mean.isEmpty {
                mean = Array(repeating: 0, count: image.count)
                squares = mean
            }
            count += 1
            for i in image.indices {
                let difference = image[i] - mean[i]
                mean[i] += difference / count
                squares[i] += difference * (image[i] - mean[i])
            }
        }
        deviation = squares.map { ($0 / count).squareRoot() }
    }

    func scores(_ image: [Float]) -> [Float] {
        // Sensor noise keeps every deviation above zero.
        let distances = image.indices.map { abs(image[$0] - mean[$0]) / deviation[$0] }.sorted()
        return [
            distances[distances.count - 1], distances.reduce(0, +) / Float(distances.count),
            distances[Int(Float(distances.count) * 0.99)],
        ]
    }
}
