import TensorKernels

/// LA-EAD's context extractor: imitates the teacher with a view of the whole part (Sensors 2025, 25, 5016; ALGORITHMS
/// §2.5).
///
/// PDN-M with outlook attention of two scales behind the second pool and a dilated third kernel. The paper's figures that
/// would show the layout are not available; this one has its published numbers of parameters, 12,498,448, and of
/// multiplications, 68.1 G with those of the attention's convolutions (D6). Students of both sizes have the same extractor
/// (D7).
///
/// | layer | kernel | dilation | padding | side for 256 |
/// |---|---|---|---|---|
/// | conv1, ReLU, pool | 4 | 1 | 0 | 253, 126 |
/// | conv2, ReLU, pool | 4 | 1 | 0 | 123, 61 |
/// | attention | windows 3 and 5 | | | 61 |
/// | conv3, ReLU | 1 | 1 | 0 | 61 |
/// | conv4, ReLU | 3 | 2 | 0 | 57 |
/// | conv5, ReLU | 4 | 1 | 1 | 56 |
/// | conv6 | 1 | 1 | 0 | 56 |
///
/// - Layout: image `[3, height, width]`, ImageNet-normalised. Output `[384, 56, 56]` for 256×256 pixels.
public struct ContextExtractor: Sendable {
    /// `conv1.weight`, `conv1.bias`, `conv2.…`, `attention.outlook3.v.weight` … `attention.fusion.bias`
    /// (`MultiScaleOutlookAttention`), `conv3.weight` … `conv6.bias`.
    ///
    /// May change in value but not in names and shapes.
    public var parameters: ParameterSet

    /// In order; the attention stands before the third.
    private let layers: [ConvolutionLayer]
    private let attention: MultiScaleOutlookAttention

    /// - Parameters:
    ///   - parameters: In any order; the widths are taken from the shapes.
    ///   - heads: Of the attention: a divisor of its channels.
    public init(parameters: ParameterSet, heads: Int = Self.heads) throws(NetworkError) {
        self.parameters = try Self.checked(parameters, heads: heads)
        attention = MultiScaleOutlookAttention(name: Self.attentionName, firstIndex: 4, heads: heads)
        layers = Self.kernels.enumerated().map { position, kernel in
            ConvolutionLayer(
                name: "conv\(position + 1)",
                weightIndex: 2 * position + (position < 2 ? 0 : Self.attentionTensors), stride: 1,
                padding: kernel.padding, dilation: kernel.dilation,
                activation: position < Self.kernels.count - 1 ? .rectifier : .identity)
        }
    }

    public var outputChannels: Int { parameters[parameters.count - 1].shape[0] }

    /// The output for one image.
    public func forward(_ image: Tensor, on engine: any ConvolutionEngine) -> Tensor {
        var features = image
        for (position, layer) in layers.enumerated() {
            if Self.poolsInput(of: position) {
                features = pooling(of: features).forward(features, threads: engine.threads)
            }
            if position == 2 { features = attention.forward(features, parameters: parameters, on: engine) }
            features = layer.forward(features, parameters: parameters, on: engine)
        }
        return features
    }

    /// What the backward pass needs from the forward pass.
    public struct Tape: Sendable {
        /// What the convolutions were given, behind pools and attention; one per layer.
        var inputs: [Tensor] = []

        /// What the convolutions gave, before the pools; one per layer but the last.
        var outputs: [Tensor] = []
        var attention: MultiScaleOutlookAttention.Tape?
    }

    /// Like `forward`, and keeps the intermediate results.
    public func forwardRecording(
        _ image: Tensor, on engine: any ConvolutionEngine
    ) -> (output: Tensor, tape: Tape) {
        var tape = Tape()
        var features = image
        for (position, layer) in layers.enumerated() {
            if Self.poolsInput(of: position) {
                features = pooling(of: features).forward(features, threads: engine.threads)
            }
            if position == 2 {
                let attended = attention.forwardRecording(features, parameters: parameters, on: engine)
                features = attended.output
                tape.attention = attended.tape
            }
            tape.inputs.append(features)
            features = layer.forward(features, parameters: parameters, on: engine)
            if position < layers.count - 1 { tape.outputs.append(features) }
        }
        return (features, tape)
    }

    /// Adds ∂L/∂parameters to `gradients`.
    ///
    /// The parameters must be those of the forward pass.
    ///
    /// - Parameters:
    ///   - outputGradient: ∂L/∂output, in the output's shape.
    ///   - gradients: Names and shapes as in `parameters`, such as `parameters.zeros`.
    public func backward(
        _ outputGradient: Tensor, through tape: Tape, accumulatingInto gradients: inout ParameterSet,
        on engine: any ConvolutionEngine
    ) {
        var gradient = outputGradient
        for (position, layer) in layers.enumerated().reversed() {
            let input = tape.inputs[position]
            layer.addParameterGradients(from: gradient, input: input, to: &gradients, on: engine)
            guard position > 0 else { return }
            gradient = layer.inputGradient(from: gradient, input: input, parameters: parameters, on: engine)

            if position == 2, let tape = tape.attention {
                gradient = attention.backward(
                    gradient, through: tape, parameters: parameters, accumulatingInto: &gradients, on: engine)
            }
            let previous = tape.outputs[position - 1]
            if Self.poolsInput(of: position) {
                gradient = pooling(of: previous).inputGradient(from: gradient, threads: engine.threads)
            }
            gradient.passRectifier(activation: previous, threads: engine.threads)
        }
    }

    /// Multiply-accumulate operations of a forward pass, convolutions only (ALGORITHMS §2.5).
    public func multiplyAccumulates(imageHeight: Int, imageWidth: Int) -> Int {
        let sizes = layerSizes(imageHeight: imageHeight, imageWidth: imageWidth)
        let attended = attention.multiplyAccumulates(
            height: sizes[2].inputHeight, width: sizes[2].inputWidth, parameters: parameters)
        return sizes.reduce(attended) { $0 + $1.multiplyAccumulates }
    }

    /// The convolutions' geometries for an image of this size, in layer order, those of the attention left out.
    package func layerSizes(imageHeight: Int, imageWidth: Int) -> [ConvolutionGeometry] {
        var (height, width) = (imageHeight, imageWidth)
        return layers.enumerated().map { position, layer in
            if Self.poolsInput(of: position) { (height, width) = (height / 2, width / 2) }
            let geometry = layer.geometry(inputHeight: height, inputWidth: width, parameters: parameters)
            (height, width) = (geometry.outputHeight, geometry.outputWidth)
            return geometry
        }
    }

    /// The second convolution, and the attention before the third, take what an average pool makes of the one before.
    private static func poolsInput(of position: Int) -> Bool { position == 1 || position == 2 }

    private func pooling(of features: Tensor) -> AveragePooling {
        AveragePooling(
            channels: features.shape[0], inputHeight: features.shape[1], inputWidth: features.shape[2], padding: 0)
    }
}

// MARK: - Parameters

extension ContextExtractor {
    /// h, in how many parts the attention divides its channels; the published number of parameters leaves 8 alone.
    public static let heads = 8

    /// Names and shapes of the parameters in layer order.
    ///
    /// - Parameter outputChannels: As many as the teacher has, 384.
    public static func parameterShapes(outputChannels: Int) -> [(name: String, shape: [Int])] {
        architecture(widths: publishedWidths(outputChannels: outputChannels), heads: heads).parameterShapes
    }

    /// A start for training: weights and biases uniform in ±1/√(inputs of an output), PyTorch's default.
    public static func defaultParameters(
        outputChannels: Int, using generator: inout some RandomNumberGenerator
    ) -> ParameterSet {
        architecture(widths: publishedWidths(outputChannels: outputChannels), heads: heads)
            .defaultParameters(using: &generator)
    }

    /// - Parameter widths: The channels of the image and behind each convolution.
    static func architecture(widths: [Int], heads: Int) -> Architecture {
        let convolutions = kernels.enumerated().map { position, kernel in
            Architecture.Layer(
                name: "conv\(position + 1)", outputChannels: widths[position + 1], inputChannels: widths[position],
                kernelSide: kernel.side)
        }
        let attention = MultiScaleOutlookAttention.layers(name: attentionName, channels: widths[2], heads: heads)
        return Architecture(layers: convolutions[..<2] + attention + convolutions[2...])
    }

    private static func publishedWidths(outputChannels: Int) -> [Int] {
        [3, 256, 512, 512, 512, outputChannels, outputChannels]
    }

    private static let kernels: [(side: Int, dilation: Int, padding: Int)] = [
        (4, 1, 0), (4, 1, 0), (1, 1, 0), (3, 2, 0), (4, 1, 1), (1, 1, 0),
    ]

    private static let attentionName = "attention"

    /// Weights and biases of two windows and the fusion.
    private static let attentionTensors = 12

    /// The parameters in layer order, where they are those of an extractor of any width.
    private static func checked(_ parameters: ParameterSet, heads: Int) throws(NetworkError) -> ParameterSet {
        let network = "context extractor"
        var widths = [3]
        for number in 1...kernels.count {
            let name = "conv\(number).weight"
            guard let weight = parameters.tensor(named: name) else { throw .missingParameter(name, network: network) }
            guard let width = weight.shape.first, width > 0, number != 2 || width % heads == 0 else {
                throw .wrongShape(
                    name, network: network, found: weight.shape,
                    expected: "[channels, \(widths[number - 1]), side, side]")
            }
            widths.append(width)
        }
        var ordered = ParameterSet()
        for (name, shape) in architecture(widths: widths, heads: heads).parameterShapes {
            guard let tensor = parameters.tensor(named: name) else { throw .missingParameter(name, network: network) }
            guard tensor.shape == shape else {
                throw .wrongShape(name, network: network, found: tensor.shape, expected: "\(shape)")
            }
            ordered.append(name, tensor)
        }
        if let unknown = parameters.names.first(where: { !ordered.names.contains($0) }) {
            throw .unknownParameter(unknown, network: network)
        }
        return ordered
    }
}
