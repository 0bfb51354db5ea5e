import TensorKernels

/// PDN-S: describes every 33×33 patch of an image by a vector (EfficientAD, arXiv 2303.14535; ALGORITHMS §2.1).
///
/// Teacher and student are the same network with different widths of the last layer. Four convolutions, each but the last
/// with ReLU, and an average pool behind the first and the second. A cell of the output sees 33×33 pixels, its
/// neighbour the same window four pixels on.
///
/// - Layout: image `[3, height, width]`, ImageNet-normalised. Output `[outputChannels, h, w]`: 56×56 for a 256×256 image
///   without padding, 64×64 with.
public struct PatchDescriptionNetwork: Sendable {
    /// Four convolutions, `conv1.weight`, `conv1.bias` … `conv4.bias`, weights `[out, in, side, side]`.
    ///
    /// May change in value but not in names and shapes.
    public var parameters: ParameterSet

    /// Whether convolutions and pools pad the image with zeros, as in the teacher's distillation (ALGORITHMS §1.4).
    public let padded: Bool

    private let conv1: ConvolutionLayer
    private let conv2: ConvolutionLayer
    private let conv3: ConvolutionLayer
    private let conv4: ConvolutionLayer

    /// - Parameter parameters: In any order; the widths are taken from the shapes.
    public init(parameters: ParameterSet, padded: Bool = false) throws(NetworkError) {
        self.parameters = try checkedChain(
            parameters, layers: [("conv1", 4), ("conv2", 4), ("conv3", 3), ("conv4", 4)],
            network: "patch description network")
        self.padded = padded
        func layer(_ position: Int, padding: Int, _ activation: Activation) -> ConvolutionLayer {
            ConvolutionLayer(
                name: "conv\(position + 1)", weightIndex: 2 * position, stride: 1, padding: padded ? padding : 0,
                activation: activation)
        }
        conv1 = layer(0, padding: 3, .rectifier)
        conv2 = layer(1, padding: 3, .rectifier)
        conv3 = layer(2, padding: 1, .rectifier)
        conv4 = layer(3, padding: 0, .identity)
    }

    public var outputChannels: Int { parameters[conv4.weightIndex].shape[0] }

    /// The network's output, or only `channels` of it.
    ///
    /// Channels left out cost nothing: the student's two halves are needed in different passes (ALGORITHMS §3.3).
    public func forward(
        _ image: Tensor, channels: Range<Int>? = nil, on engine: any ConvolutionEngine
    ) -> Tensor {
        var features = conv1.forward(image, parameters: parameters, on: engine)
        features = pooling(of: features).forward(features, threads: engine.threads)
        features = conv2.forward(features, parameters: parameters, on: engine)
        features = pooling(of: features).forward(features, threads: engine.threads)
        features = conv3.forward(features, parameters: parameters, on: engine)
        return conv4.forward(features, parameters: parameters, channels: channels, on: engine)
    }

    /// What the backward pass needs from the forward pass.
    public struct Tape: Sendable {
        let image: Tensor
        let features1: Tensor
        let pooled1: Tensor
        let features2: Tensor
        let pooled2: Tensor
        let features3: Tensor

        /// The output channels that were computed, and that the output gradient has.
        public let channels: Range<Int>
    }

    /// Like `forward`, and keeps the intermediate results.
    public func forwardRecording(
        _ image: Tensor, channels: Range<Int>? = nil, on engine: any ConvolutionEngine
    ) -> (output: Tensor, tape: Tape) {
        let features1 = conv1.forward(image, parameters: parameters, on: engine)
        let pooled1 = pooling(of: features1).forward(features1, threads: engine.threads)
        let features2 = conv2.forward(pooled1, parameters: parameters, on: engine)
        let pooled2 = pooling(of: features2).forward(features2, threads: engine.threads)
        let features3 = conv3.forward(pooled2, parameters: parameters, on: engine)
        let channels = channels ?? 0..<outputChannels
        let output = conv4.forward(features3, parameters: parameters, channels: channels, on: engine)
        let tape = Tape(
            image: image, features1: features1, pooled1: pooled1, features2: features2, pooled2: pooled2,
            features3: features3, channels: channels)
        return (output, tape)
    }

    /// Adds ∂L/∂parameters to `gradients`.
    ///
    /// The parameters must be those of the forward pass.
    ///
    /// - Parameters:
    ///   - outputGradient: ∂L/∂output for the tape's channels, in the output's shape.
    ///   - gradients: Names and shapes as in `parameters`, such as `parameters.zeros`.
    public func backward(
        _ outputGradient: Tensor, through tape: Tape, accumulatingInto gradients: inout ParameterSet,
        on engine: any ConvolutionEngine
    ) {
        conv4.addParameterGradients(
            from: outputGradient, input: tape.features3, channels: tape.channels, to: &gradients, on: engine)
        var gradient = conv4.inputGradient(
            from: outputGradient, input: tape.features3, parameters: parameters, channels: tape.channels, on: engine)

        gradient.passRectifier(activation: tape.features3, threads: engine.threads)
        conv3.addParameterGradients(from: gradient, input: tape.pooled2, to: &gradients, on: engine)
        gradient = conv3.inputGradient(from: gradient, input: tape.pooled2, parameters: parameters, on: engine)

        gradient = pooling(of: tape.features2).inputGradient(from: gradient, threads: engine.threads)
        gradient.passRectifier(activation: tape.features2, threads: engine.threads)
        conv2.addParameterGradients(from: gradient, input: tape.pooled1, to: &gradients, on: engine)
        gradient = conv2.inputGradient(from: gradient, input: tape.pooled1, parameters: parameters, on: engine)

        gradient = pooling(of: tape.features1).inputGradient(from: gradient, threads: engine.threads)
        gradient.passRectifier(activation: tape.features1, threads: engine.threads)
        conv1.addParameterGradients(from: gradient, input: tape.image, to: &gradients, on: engine)
    }

    /// Multiply-accumulate operations of a forward pass, convolutions only (ALGORITHMS §2.1).
    public func multiplyAccumulates(imageHeight: Int, imageWidth: Int) -> Int {
        layerSizes(imageHeight: imageHeight, imageWidth: imageWidth).reduce(0) { $0 + $1.multiplyAccumulates }
    }

    /// The convolutions' geometries for an image of this size, in layer order.
    package func layerSizes(imageHeight: Int, imageWidth: Int) -> [ConvolutionGeometry] {
        var geometries: [ConvolutionGeometry] = []
        var (height, width) = (imageHeight, imageWidth)
        for layer in [conv1, conv2, conv3, conv4] {
            let geometry = layer.geometry(inputHeight: height, inputWidth: width, parameters: parameters)
            geometries.append(geometry)
            (height, width) = (geometry.outputHeight, geometry.outputWidth)
            if layer.weightIndex <= conv2.weightIndex {
                let pooling = AveragePooling(
                    channels: geometry.outputChannels, inputHeight: height, inputWidth: width, padding: padded ? 1 : 0)
                (height, width) = (pooling.outputHeight, pooling.outputWidth)
            }
        }
        return geometries
    }

    private func pooling(of features: Tensor) -> AveragePooling {
        AveragePooling(
            channels: features.shape[0], inputHeight: features.shape[1], inputWidth: features.shape[2],
            padding: padded ? 1 : 0)
    }
}

extension PatchDescriptionNetwork {
    /// Names and shapes of PDN-S's parameters in layer order.
    ///
    /// - Parameter outputChannels: 384 for the teacher, 768 for the student.
    public static func parameterShapes(outputChannels: Int) -> [(name: String, shape: [Int])] {
        architecture(outputChannels: outputChannels).parameterShapes
    }

    /// A start for training: weights and biases uniform in ±1/√(inputs of an output), PyTorch's default.
    public static func defaultParameters(
        outputChannels: Int, using generator: inout some RandomNumberGenerator
    ) -> ParameterSet {
        architecture(outputChannels: outputChannels).defaultParameters(using: &generator)
    }

    /// A teacher for when no trained one exists: random orthogonal weights, scaled by √2 for the rectifiers, no biases.
    ///
    /// Orthogonal rows keep different features different, so distances between outputs still tell patches apart.
    /// No published accuracy can be expected of it (ALGORITHMS §3.0).
    public static func orthogonalParameters(
        outputChannels: Int, using generator: inout some RandomNumberGenerator
    ) -> ParameterSet {
        architecture(outputChannels: outputChannels).orthogonalParameters(using: &generator)
    }

    private static func architecture(outputChannels: Int) -> Architecture {
        Architecture(layers: [
            .init(name: "conv1", outputChannels: 128, inputChannels: 3, kernelSide: 4),
            .init(name: "conv2", outputChannels: 256, inputChannels: 128, kernelSide: 4),
            .init(name: "conv3", outputChannels: 256, inputChannels: 256, kernelSide: 3),
            .init(name: "conv4", outputChannels: outputChannels, inputChannels: 256, kernelSide: 4),
        ])
    }
}
