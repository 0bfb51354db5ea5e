/// The definition of convolution and of its gradients, one loop per index and sums in `Double`: what the fast engines
/// are held against, in tests and on the machines they run on.
package struct DirectConvolution: ConvolutionEngine {
    package init() {}

    package func forward(
        _ input: Span<Float>, weights: Span<Float>, bias: Span<Float>, activation: Activation,
        geometry: ConvolutionGeometry, into output: inout MutableSpan<Float>
    ) {
        var sums = (0..<geometry.outputCount).map { Double(bias[$0 / geometry.positionCount]) }
        forEachProduct(geometry) { outputIndex, weightIndex, inputIndex in
            sums[outputIndex] += Double(weights[weightIndex]) * Double(input[inputIndex])
        }
        for index in sums.indices {
            output[index] = Float(activation == .rectifier ? max(0, sums[index]) : sums[index])
        }
    }

    package func inputGradient(
        from outputGradient: Span<Float>, weights: Span<Float>, geometry: ConvolutionGeometry,
        into inputGradient: inout MutableSpan<Float>
    ) {
        var sums = [Double](repeating: 0, count: geometry.inputCount)
        forEachProduct(geometry) { outputIndex, weightIndex, inputIndex in
            sums[inputIndex] += Double(weights[weightIndex]) * Double(outputGradient[outputIndex])
        }
        for index in sums.indices { inputGradient[index] = Float(sums[index]) }
    }

    package func weightGradient(
        from outputGradient: Span<Float>, input: Span<Float>, geometry: ConvolutionGeometry,
        accumulatingInto weightGradient: inout MutableSpan<Float>
    ) {
        var sums = weightGradient.indices.map { Double(weightGradient[$0]) }
        forEachProduct(geometry) { outputIndex, weightIndex, inputIndex in
            sums[weightIndex] += Double(outputGradient[outputIndex]) * Double(input[inputIndex])
        }
        for index in sums.indices { weightGradient[index] = Float(sums[index]) }
    }

    /// Visits all (o, y, x, c, i, j) whose pixel lies inside the image.
    private func forEachProduct(_ g: ConvolutionGeometry, _ body: (_ output: Int, _ weight: Int, _ input: Int) -> Void)
    {
        for o in 0..<g.outputChannels {
            for y in 0..<g.outputHeight {
                for x in 0..<g.outputWidth {
                    for c in 0..<g.inputChannels {
                        for i in 0..<g.kernelSide {
                            for j in 0..<g.kernelSide {
                                let row = y * g.stride + i * g.dilation - g.padding
                                let column = x * g.stride + j * g.dilation - g.padding
                                guard (0..<g.inputHeight).contains(row), (0..<g.inputWidth).contains(column) else {
                                    continue
                                }
                                body(
                                    (o * g.outputHeight + y) * g.outputWidth + x,
                                    ((o * g.inputChannels + c) * g.kernelSide + i) * g.kernelSide + j,
                                    (c * g.inputHeight + row) * g.inputWidth + column)
                            }
                        }
                    }
                }
            }
        }
    }
}
