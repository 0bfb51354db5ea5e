import Glibc
import TensorKernels

/// Outlook attention's products as they are defined (ALGORITHMS §2.6), one loop per index and everything in `Double`: what
/// the fast way is held against.
struct DirectOutlook {
    let channels: Int
    let heads: Int
    let window: Int
    let height: Int
    let width: Int

    private var places: Int { window * window }
    private var depth: Int { channels / heads }
    private var scale: Double { 1 / Double(depth).squareRoot() }

    func forward(values: [Double], logits: [Double]) -> [Double] {
        var output = [Double](repeating: 0, count: values.count)
        forEachPlace(of: logits) { _, head, y, x, i, weights in
            guard let target = pixel(y, x, place: i) else { return }
            for j in 0..<places {
                guard let source = pixel(y, x, place: j) else { continue }
                for c in head * depth..<(head + 1) * depth {
                    output[c * height * width + target] += weights[j] * values[c * height * width + source]
                }
            }
        }
        return output
    }

    func gradients(
        from outputGradient: [Double], values: [Double], logits: [Double]
    ) -> (values: [Double], logits: [Double]) {
        var valueGradient = [Double](repeating: 0, count: values.count)
        var logitGradient = [Double](repeating: 0, count: logits.count)
        forEachPlace(of: logits) { logit, head, y, x, i, weights in
            guard let target = pixel(y, x, place: i) else { return }
            var weightGradient = [Double](repeating: 0, count: places)
            for j in 0..<places {
                guard let source = pixel(y, x, place: j) else { continue }
                for c in head * depth..<(head + 1) * depth {
                    let gradient = outputGradient[c * height * width + target]
                    weightGradient[j] += gradient * values[c * height * width + source]
                    valueGradient[c * height * width + source] += weights[j] * gradient
                }
            }
            let mean = zip(weights, weightGradient).reduce(0) { $0 + $1.0 * $1.1 }
            for j in 0..<places { logitGradient[logit(j)] = scale * weights[j] * (weightGradient[j] - mean) }
        }
        return (valueGradient, logitGradient)
    }

    /// Visits every head, pixel and place of its window, with the index of the logits and the softmax over them.
    private func forEachPlace(
        of logits: [Double],
        _ body: (_ logit: (Int) -> Int, _ head: Int, _ y: Int, _ x: Int, _ i: Int, _ weights: [Double]) -> Void
    ) {
        for head in 0..<heads {
            for y in 0..<height {
                for x in 0..<width {
                    for i in 0..<places {
                        func logit(_ j: Int) -> Int { (((head * places + i) * places + j) * height + y) * width + x }
                        let powers = (0..<places).map { exp(scale * logits[logit($0)]) }
                        let sum = powers.reduce(0, +)
                        body(logit, head, y, x, i, powers.map { $0 / sum })
                    }
                }
            }
        }
    }

    /// Where a place of the window around a pixel lies, or nil outside the image.
    private func pixel(_ y: Int, _ x: Int, place: Int) -> Int? {
        let row = y + place / window - window / 2
        let column = x + place % window - window / 2
        return (0..<height).contains(row) && (0..<width).contains(column) ? row * width + column : nil
    }
}
