import TensorKernels

/// PDN-S and PDN-M: describe every 33×33 patch of an image by a vector (EfficientAD, arXiv 2303.14535; ALGORITHMS §2.1,
/// §2.2).
///
/// Teacher and student are the same network with different widths: of the last layer in PDN-S, of the last two in PDN-M.
/// Convolutions, each but the last with ReLU, and an average pool behind the first and the second. A cell of the output
/// sees 33×33 pixels, its neighbour the same window four pixels on.
///
/// - Layout: image `[3, height, width]`, ImageNet-normalised. Output `[outputChannels, h, w]`: 56×56 for a 256×256 image
///   without padding, 64×64 with.
public struct PatchDescriptionNetwork: Sendable {
    /// Which of the two published networks; the raw values are their names in the paper, and in files.
    public enum Size: String, Codable, Sendable, CaseIterable {
        /// PDN-S: four convolutions of up to 256 channels, 20 GMAC for a student.
        case small = "s"

        /// PDN-M: six convolutions of up to 512 channels, two of them 1×1, 63 GMAC for a student.
        case medium = "m"
    }

    /// `conv1.weight`, `conv1.bias` … `conv4.bias` (S) or `conv6.bias` (M), weights `[out, in, side, side]`.
    ///
    /// May change in value but not in names and shapes.
    public var parameters: ParameterSet

    public let size: Size

    /// Whether convolutions and pools pad the image with zeros, as in the teacher's distillation (ALGORITHMS §1.4).
    public let padded: Bool

    /// In order; the last one has no activation.
    private let layers: [ConvolutionLayer]

    /// - Parameter parameters: In any order; the widths are taken from the shapes.
    public init(parameters: ParameterSet, size: Size = .small, padded: Bool = false) throws(NetworkError) {
        let kernels = size.kernels
        self.parameters = try checkedChain(
            parameters, layers: kernels.enumerated().map { ("conv\($0 + 1)", $1.side) },
            network: "patch description network")
        self.size = size
        self.padded = padded
        layers = kernels.enumerated().map { position, kernel in
            ConvolutionLayer(
                name: "conv\(position + 1)", weightIndex: 2 * position, stride: 1,
                padding: padded ? kernel.padding : 0,
                activation: position < kernels.count - 1 ? .rectifier : .identity)
        }
    }

    public var outputChannels: Int { parameters[2 * (layers.count - 1)].shape[0] }

    /// The network's output, or only `channels` of it.
    ///
    /// Of the last layer, channels left out cost nothing: the student's two halves are needed in different passes
    /// (ALGORITHMS §3.3). In PDN-M that layer is 1×1, and nearly all of the work remains.
    public func forward(
        _ image: Tensor, channels: Range<Int>? = nil, on engine: any ConvolutionEngine
    ) -> Tensor {
        var features = image
        for (position, layer) in layers.enumerated() {
            if Self.poolsInput(of: position) {
                features = pooling(of: features).forward(features, threads: engine.threads)
            }
            features = layer.forward(
                features, parameters: parameters, channels: isLast(position) ? channels : nil, on: engine)
        }
        return features
    }

    /// What the backward pass needs from the forward pass.
    public struct Tape: Sendable {
        /// What the layers were given, behind the pools; one per layer.
        var inputs: [Tensor] = []

        /// What the layers gave, before the pools; one per layer but the last.
        var outputs: [Tensor] = []

        /// The output channels that were computed, and that the output gradient has.
        public let channels: Range<Int>
    }

    /// Like `forward`, and keeps the intermediate results.
    public func forwardRecording(
        _ image: Tensor, channels: Range<Int>? = nil, on engine: any ConvolutionEngine
    ) -> (output: Tensor, tape: Tape) {
        let channels = channels ?? 0..<outputChannels
        var tape = Tape(channels: channels)
        var features = image
        for (position, layer) in layers.enumerated() {
            if Self.poolsInput(of: position) {
                features = pooling(of: features).forward(features, threads: engine.threads)
            }
            tape.inputs.append(features)
            features = layer.forward(
                features, parameters: parameters, channels: isLast(position) ? channels : nil, on: engine)
            if !isLast(position) { tape.outputs.append(features) }
        }
        return (features, tape)
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
        var gradient = outputGradient
        for (position, layer) in layers.enumerated().reversed() {
            let input = tape.inputs[position]
            let channels = isLast(position) ? tape.channels : nil
            layer.addParameterGradients(from: gradient, input: input, channels: channels, to: &gradients, on: engine)
            guard position > 0 else { return }
            gradient = layer.inputGradient(
                from: gradient, input: input, parameters: parameters, channels: channels, on: engine)

            let previous = tape.outputs[position - 1]
            if Self.poolsInput(of: position) {
                gradient = pooling(of: previous).inputGradient(from: gradient, threads: engine.threads)
            }
            gradient.passRectifier(activation: previous, threads: engine.threads)
        }
    }

    /// Multiply-accumulate operations of a forward pass, convolutions only (ALGORITHMS §2.1, §2.2).
    public func multiplyAccumulates(imageHeight: Int, imageWidth: Int) -> Int {
        layerSizes(imageHeight: imageHeight, imageWidth: imageWidth).reduce(0) { $0 + $1.multiplyAccumulates }
    }

    /// The convolutions' geometries for an image of this size, in layer order.
    package func layerSizes(imageHeight: Int, imageWidth: Int) -> [ConvolutionGeometry] {
        var (height, width) = (imageHeight, imageWidth)
        return layers.enumerated().map { position, layer in
            if Self.poolsInput(of: position) {
                let channels = parameters[layer.weightIndex].shape[1]
                let pooling = pooling(channels: channels, height: height, width: width)
                (height, width) = (pooling.outputHeight, pooling.outputWidth)
            }
            let geometry = layer.geometry(inputHeight: height, inputWidth: width, parameters: parameters)
            (height, width) = (geometry.outputHeight, geometry.outputWidth)
            return geometry
        }
    }

    /// The second and the third layer take what an average pool makes of the one before.
    private static func poolsInput(of position: Int) -> Bool { position == 1 || position == 2 }

    private func isLast(_ position: Int) -> Bool { position == layers.count - 1 }

    private func pooling(of features: Tensor) -> AveragePooling {
        pooling(channels: features.shape[0], height: features.shape[1], width: features.shape[2])
    }

    private func pooling(channels: Int, height: Int, width: Int) -> AveragePooling {
        AveragePooling(channels: channels, inputHeight: height, inputWidth: width, padding: padded ? 1 : 0)
    }
}

extension PatchDescriptionNetwork.Size {
    /// The sides of the kernels in layer order, each with the zeros around its input where the network pads.
    fileprivate var kernels: [(side: Int, padding: Int)] {
        switch self {
        case .small: [(4, 3), (4, 3), (3, 1), (4, 0)]
        case .medium: [(4, 3), (4, 3), (1, 0), (3, 1), (4, 0), (1, 0)]
        }
    }

    /// The channels of the image and behind each layer.
    fileprivate func widths(outputChannels: Int) -> [Int] {
        switch self {
        case .small: [3, 128, 256, 256, outputChannels]
        case .medium: [3, 256, 512, 512, 512, outputChannels, outputChannels]
        }
    }
}

extension PatchDescriptionNetwork {
    /// Names and shapes of the parameters in layer order.
    ///
    /// - Parameter outputChannels: 384 for the teacher, 768 for the student.
    public static func parameterShapes(
        outputChannels: Int, size: Size = .small
    ) -> [(name: String, shape: [Int])] {
        architecture(outputChannels: outputChannels, size: size).parameterShapes
    }

    /// A start for training: weights and biases uniform in ±1/√(inputs of an output), PyTorch's default.
    public static func defaultParameters(
        outputChannels: Int, size: Size = .small, using generator: inout some RandomNumberGenerator
    ) -> ParameterSet {
        architecture(outputChannels: outputChannels, size: size).defaultParameters(using: &generator)
    }

    /// A teacher for when no trained one exists: random orthogonal weights, scaled by √2 for the rectifiers, no biases.
    ///
    /// Orthogonal rows keep different features different, so distances between outputs still tell patches apart.
    /// No published accuracy can be expected of it (ALGORITHMS §3.0).
    public static func orthogonalParameters(
        outputChannels: Int, size: Size = .small, using generator: inout some RandomNumberGenerator
    ) -> ParameterSet {
        architecture(outputChannels: outputChannels, size: size).orthogonalParameters(using: &generator)
    }

    private static func architecture(outputChannels: Int, size: Size) -> Architecture {
        let widths = size.widths(outputChannels: outputChannels)
        return Architecture(
            layers: size.kernels.enumerated().map { position, kernel in
                .init(
                    name: "conv\(position + 1)", outputChannels: widths[position + 1], inputChannels: widths[position],
                    kernelSide: kernel.side)
            })
    }
}
