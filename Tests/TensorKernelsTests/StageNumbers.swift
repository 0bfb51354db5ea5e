@testable import TensorKernels

/// Input, weights and bias of a convolution.
struct StageNumbers {
    let geometry: ConvolutionGeometry
    let input: [Float]
    let weights: Tensor
    let bias: [Float]

    init(_ geometry: ConvolutionGeometry, seed: UInt64) {
        var numbers = TestNumbers(seed: seed)
        self.geometry = geometry
        input = numbers.fractions(geometry.inputCount)
        bias = numbers.fractions(geometry.outputChannels)
        weights = Tensor(
            shape: [geometry.outputChannels, geometry.inputChannels, geometry.kernelSide, geometry.kernelSide],
            values: numbers.fractions(geometry.weightCount))
    }

    func convolved(_ activation: Activation, bias: [Float]? = nil) -> [Float] {
        DirectConvolution().forward(
            input, weights: weights.values, bias: bias ?? self.bias, activation: activation, geometry: geometry)
    }
}

// MARK: - Images in the memory of a program, as [channels, height, width]

func write(_ values: [Float], to image: PlaneImage, in memory: UnsafeMutablePointer<Float>) {
    for (index, value) in values.enumerated() { memory[image.offset + index] = value }
}

func write(_ values: [Float], to image: PanelImage, in memory: UnsafeMutablePointer<Float>) {
    for c in 0..<image.channels {
        for y in 0..<image.height {
            for x in 0..<image.width {
                image.pixel(memory, block: c / 16, y: y, x: x)[c % 16] =
                    values[(c * image.height + y) * image.width + x]
            }
        }
    }
}

func read(_ image: PanelImage, in memory: UnsafePointer<Float>) -> [Float] {
    (0..<image.channels).flatMap { c in
        (0..<image.height).flatMap { y in
            (0..<image.width).map { x in image.pixel(memory, block: c / 16, y: y, x: x)[c % 16] }
        }
    }
}

func write(_ values: [Float], to image: RowPanelImage, in memory: UnsafeMutablePointer<Float>) {
    for c in 0..<image.channels {
        for y in 0..<image.height {
            for x in 0..<image.width {
                image.pixel(memory, channel: c, y: y, x: x).pointee = values[(c * image.height + y) * image.width + x]
            }
        }
    }
}

func read(_ image: RowPanelImage, in memory: UnsafePointer<Float>) -> [Float] {
    (0..<image.channels).flatMap { c in
        (0..<image.height).flatMap { y in
            (0..<image.width).map { x in image.pixel(memory, channel: c, y: y, x: x).pointee }
        }
    }
}
