import CKernels

/// The mean over all positions of a convolution's output, without the output.
///
/// The mean commutes with the convolution: `mean(W ∗ x + b) = W · w + b`, where `w[c, i, j]` is the mean of `x[c]` over
/// the window that kernel place (i, j) sees, `outputHeight × outputWidth` pixels from (i, j) on (ENGINE §3.3). Sums are
/// in `Double`. Stride 1, no padding.
package struct PooledConvolutionStage: Sendable {
    private let sums: WindowSums
    private let product: PooledProduct

    /// - Parameters:
    ///   - weights: `[outputChannels, inputChannels, kernelSide, kernelSide]`.
    package init(
        _ source: PanelImage, weights: Tensor, bias: [Float], to results: PooledValues, in plan: inout MemoryPlan,
        instructionSet: InstructionSet = .best
    ) {
        let windows = PooledValues(count: weights.count / weights.shape[0], in: &plan)
        sums = WindowSums(source: source, side: weights.shape[2], windows: windows)
        product = PooledProduct(windows, weights: weights, bias: bias, to: results, instructionSet: instructionSet)
    }

    /// The means of the windows, then the pooled values.
    package func phases() -> (windows: any WorkPhase, results: any WorkPhase) {
        (sums, product)
    }

    /// A piece is sixteen channels of the source.
    private struct WindowSums: WorkPhase {
        let source: PanelImage

        /// Of the kernel.
        let side: Int

        /// `[inputChannels, side²]`.
        let windows: PooledValues

        var pieces: Int { source.laneBlocks }

        var scratchCount: Int { 0 }

        func run(piece: Int, in memory: ProgramMemory) {
            let (height, width) = (source.height - side + 1, source.width - side + 1)
            let windows = windows.doubles(in: memory.shared)
            var sums = [SIMD16<Double>](repeating: .zero, count: side * side)
            var rowSums = [SIMD16<Double>](repeating: .zero, count: side)
            for y in 0..<source.height {
                let row = UnsafeRawPointer(source.pixel(memory.shared, block: piece, y: y, x: 0))
                func pixel(_ x: Int) -> SIMD16<Double> {
                    SIMD16<Double>(
                        row.loadUnaligned(
                            fromByteOffset: x * VectorKernels.panelColumns * MemoryLayout<Float>.stride,
                            as: SIMD16<Float>.self))
                }
                // What all windows share, then their edges.
                var core = SIMD16<Double>.zero
                for x in side - 1..<width { core += pixel(x) }
                for j in 0..<side {
                    var sum = core
                    for x in j..<side - 1 { sum += pixel(x) }
                    for x in width..<width + j { sum += pixel(x) }
                    rowSums[j] = sum
                }
                for i in 0..<side where (i..<i + height).contains(y) {
                    for j in 0..<side { sums[i * side + j] += rowSums[j] }
                }
            }
            let scale = 1 / Double(height * width)
            let first = piece * VectorKernels.lanes
            for lane in 0..<min(VectorKernels.lanes, source.channels - first) {
                for place in 0..<side * side {
                    windows[(first + lane) * side * side + place] = sums[place][lane] * scale
                }
            }
        }
    }
}

/// `results = weights · values + bias` in `Double`; a piece is some of the results.
package struct PooledProduct: WorkPhase {
    private let values: PooledValues
    private let weights: Tensor
    private let bias: [Float]
    private let results: PooledValues
    private let kernels: VectorKernels

    private static let resultsPerPiece = 16

    /// - Parameter weights: One row of as many numbers as there are values for every result, in any shape.
    package init(
        _ values: PooledValues, weights: Tensor, bias: [Float], to results: PooledValues,
        instructionSet: InstructionSet = .best
    ) {
        precondition(
            weights.count == bias.count * values.count && results.count == bias.count, "weights of other values")
        self.values = values
        self.weights = weights
        self.bias = bias
        self.results = results
        kernels = VectorKernels(instructionSet)
    }

    package var pieces: Int { (bias.count + Self.resultsPerPiece - 1) / Self.resultsPerPiece }
    package var scratchCount: Int { 0 }

    package func run(piece: Int, in memory: ProgramMemory) {
        let values = values.doubles(in: memory.shared)
        let results = results.doubles(in: memory.shared)
        let count = self.values.count
        weights.values.withUnsafeBufferPointer { weights in
            guard let weights = weights.baseAddress else { return }
            for o in piece * Self.resultsPerPiece..<min((piece + 1) * Self.resultsPerPiece, bias.count) {
                results[o] = kernels.functions.pointee.dot(weights + o * count, values, count) + Double(bias[o])
            }
        }
    }
}

/// A vector of `Double`s in the memory of an inference program.
package struct PooledValues: Sendable {
    package let count: Int
    private let offset: Int

    package init(count: Int, in plan: inout MemoryPlan) {
        self.count = count
        offset = plan.reserve(2 * count)
    }

    func doubles(in memory: UnsafeMutablePointer<Float>) -> UnsafeMutablePointer<Double> {
        Self.doubles(at: offset, count: count, in: memory)
    }

    package func values(in memory: UnsafePointer<Float>) -> [Double] {
        (memory + offset).withMemoryRebound(to: Double.self, capacity: count) {
            Array(UnsafeBufferPointer(start: $0, count: count))
        }
    }

    static func doubles(
        at offset: Int, count: Int, in memory: UnsafeMutablePointer<Float>
    ) -> UnsafeMutablePointer<Double> {
        UnsafeMutableRawPointer(memory + offset).assumingMemoryBound(to: Double.self)
    }
}
