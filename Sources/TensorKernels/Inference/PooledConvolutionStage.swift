import CKernels

/// The mean over all positions of a convolution's output, without the output.
///
/// The mean commutes with the convolution: `mean(W ∗ x + b) = W · w + b`, where `w[c, i, j]` is the mean of `x[c]` over
/// the window that kernel place (i, j) sees, `outputHeight × outputWidth` pixels from (i, j) on (ENGINE §3.3). Sums are
/// in `Double`. Stride 1, no padding.
package struct PooledConvolutionStage: Sendable {
    private let source: PanelImage
    private let weights: Tensor
    private let bias: [Float]
    private let kernels: VectorKernels

    /// `[inputChannels, kernelSide²]` in `Double`, two floats each.
    private let windows: Int
    private let results: PooledValues

    /// - Parameters:
    ///   - weights: `[outputChannels, inputChannels, kernelSide, kernelSide]`.
    package init(
        _ source: PanelImage, weights: Tensor, bias: [Float], to results: PooledValues, in plan: inout MemoryPlan,
        instructionSet: InstructionSet = .best
    ) {
        self.source = source
        self.weights = weights
        self.bias = bias
        self.results = results
        kernels = VectorKernels(instructionSet)
        windows = plan.reserve(2 * weights.count / weights.shape[0])
    }

    /// The means of the windows, then the pooled values.
    package func phases() -> (windows: any WorkPhase, results: any WorkPhase) {
        (WindowSums(stage: self), WeightedSums(stage: self))
    }

    private var side: Int { weights.shape[2] }

    private func windows(in memory: ProgramMemory) -> UnsafeMutablePointer<Double> {
        PooledValues.doubles(at: windows, count: weights.count / weights.shape[0], in: memory.shared)
    }

    /// A piece is sixteen channels of the source.
    private struct WindowSums: WorkPhase {
        let stage: PooledConvolutionStage

        var pieces: Int { stage.source.laneBlocks }

        var scratchCount: Int { 0 }

        func run(piece: Int, in memory: ProgramMemory) {
            let side = stage.side
            let (height, width) = (stage.source.height - side + 1, stage.source.width - side + 1)
            let windows = stage.windows(in: memory)
            var sums = [SIMD16<Double>](repeating: .zero, count: side * side)
            var rowSums = [SIMD16<Double>](repeating: .zero, count: side)
            for y in 0..<stage.source.height {
                let row = UnsafeRawPointer(stage.source.pixel(memory.shared, block: piece, y: y, x: 0))
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
            for lane in 0..<min(VectorKernels.lanes, stage.source.channels - first) {
                for place in 0..<side * side {
                    windows[(first + lane) * side * side + place] = sums[place][lane] * scale
                }
            }
        }
    }

    /// A piece is some output channels.
    private struct WeightedSums: WorkPhase {
        private static let channelsPerPiece = 16

        let stage: PooledConvolutionStage

        var pieces: Int { (stage.bias.count + Self.channelsPerPiece - 1) / Self.channelsPerPiece }
        var scratchCount: Int { 0 }

        func run(piece: Int, in memory: ProgramMemory) {
            let windows = stage.windows(in: memory)
            let results = stage.results.doubles(in: memory.shared)
            let count = stage.weights.count / stage.weights.shape[0]
            let channels =
                piece * Self.channelsPerPiece..<min((piece + 1) * Self.channelsPerPiece, stage.bias.count)
            stage.weights.values.withUnsafeBufferPointer { weights in
                guard let weights = weights.baseAddress else { return }
                for o in channels {
                    results[o] =
                        stage.kernels.functions.pointee.dot(weights + o * count, windows, count)
                        + Double(stage.bias[o])
                }
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
