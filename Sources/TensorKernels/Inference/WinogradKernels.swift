import Glibc

/// The weights of one convolution, transformed once for all frames: `[⌈outputChannels/32⌉, 64, inputChannels, 32]`.
package final class WinogradKernels: Sendable {
    package let inputChannels: Int
    package let outputChannels: Int
    let transform: WinogradTransform

    // Written before the initialiser returns, read only after.
    private nonisolated(unsafe) let base: UnsafeMutablePointer<Float>

    /// - Parameters:
    ///   - weights: `[outputChannels, inputChannels, kernelSide, kernelSide]`, side 3 or 4.
    ///   - embeddingSide: 4 treats a kernel of side 3 as one of side 4 with zeros in its last row and column, so that it
    ///     shares tiles with kernels of side 4; nil leaves the side as it is.
    ///   - scale: Factor of every output channel; nil is 1.
    package init(
        _ weights: Tensor, embeddingSide: Int? = nil, scale: [Float]? = nil, threads: Int,
        instructionSet: InstructionSet = .best
    ) {
        let side = embeddingSide ?? weights.shape[2]
        outputChannels = weights.shape[0]
        inputChannels = weights.shape[1]
        transform = WinogradTransform(kernelSide: side)
        let count = PointMatrices.panelwiseCount(rows: inputChannels, columns: outputChannels)
        base = Self.allocate(count)
        let embedded = Self.embed(weights, side: side, scale: scale)
        embedded.withUnsafeBufferPointer { weights in
            guard let weights = weights.baseAddress else { return }
            KernelTransform(loop: DataParallelLoop(threads: threads), kernels: VectorKernels(instructionSet)).transform(
                weights, inputChannels: inputChannels, outputChannels: outputChannels, transform: transform,
                into: matrices)
        }
    }

    deinit { base.deallocate() }

    package var byteCount: Int {
        PointMatrices.panelwiseCount(rows: inputChannels, columns: outputChannels) * MemoryLayout<Float>.stride
    }

    var matrices: PointMatrices { PointMatrices(panelwiseAt: base, rows: inputChannels) }

    private static func allocate(_ count: Int) -> UnsafeMutablePointer<Float> {
        let pageSize = 2 << 20
        let raw = UnsafeMutableRawPointer.allocate(
            byteCount: count * MemoryLayout<Float>.stride, alignment: pageSize)
        madvise(raw, count * MemoryLayout<Float>.stride, MADV_HUGEPAGE)
        let base = raw.bindMemory(to: Float.self, capacity: count)
        base.initialize(repeating: 0, count: count)
        return base
    }

    private static func embed(_ weights: Tensor, side: Int, scale: [Float]?) -> [Float] {
        let (outputs, inputs, ownSide) = (weights.shape[0], weights.shape[1], weights.shape[2])
        guard side != ownSide || scale != nil else { return weights.values }
        var result = [Float](repeating: 0, count: outputs * inputs * side * side)
        for o in 0..<outputs {
            let factor = scale?[o] ?? 1
            for c in 0..<inputs {
                for i in 0..<ownSide {
                    for j in 0..<ownSide {
                        result[((o * inputs + c) * side + i) * side + j] =
                            factor * weights.values[((o * inputs + c) * ownSide + i) * ownSide + j]
                    }
                }
            }
        }
        return result
    }
}
