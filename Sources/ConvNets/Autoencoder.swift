import TensorKernels

/// The autoencoder that learns what a whole part looks like (EfficientAD, arXiv 2303.14535; ALGORITHMS §2.3).
///
/// Six convolutions squeeze the image into one vector of 64 numbers; eight convolutions between bilinear enlargements
/// predict the teacher's output from it, and with it everything that the code cannot hold stays unpredicted.
///
/// - Layout: image `[3, side, side]`, ImageNet-normalised, side 256. Output `[384, 56, 56]`, or 64×64 for `padded`.
public struct Autoencoder: Sendable {
    /// Which of the published autoencoders; their parameters have the same names and shapes.
    public enum Design: Sendable {
        /// EfficientAD's.
        case plain

        /// DFSC's (arXiv 2407.17909; ALGORITHMS §2.4, D5): each rectifier sees sums of mean 0 and variance 1 over the
        /// image, and one more rectifier opens the decoder.
        ///
        /// The code, one number per channel, is not normalised: it would be zero.
        case instanceNormalised
    }

    /// `encoder.enconv1.weight`, `encoder.enconv1.bias` … `encoder.enconv6.bias`, `decoder.deconv1.weight` …
    /// `decoder.deconv8.bias`, weights `[out, in, side, side]`.
    ///
    /// May change in value but not in names and shapes.
    public var parameters: ParameterSet

    /// Whether the output has the size of a padded patch description network's.
    public let padded: Bool

    public let design: Design

    /// p, how likely a value behind the first six decoder layers is left out in training; in `0..<1`.
    public var dropoutProbability: Float = 0.2

    private let encoder: [ConvolutionLayer]
    private let decoder: [ConvolutionLayer]

    /// - Parameter parameters: In any order; the widths are taken from the shapes. The last encoder layer's kernel covers
    ///   its whole input, so its side is that of the images over 32: 8.
    public init(
        parameters: ParameterSet, design: Design = .plain, padded: Bool = false
    ) throws(NetworkError) {
        let kernelSides: [Int?] = [4, 4, 4, 4, 4, nil, 4, 4, 4, 4, 4, 4, 3, 3]
        self.parameters = try checkedChain(
            parameters, layers: zip(Self.layerNames, kernelSides).map { ($0, $1) }, network: "autoencoder")
        self.padded = padded
        self.design = design
        // A rectifier behind a normalisation is not the convolution's.
        let rectifier = design == .plain ? Activation.rectifier : .identity
        let code: Activation = design == .plain ? .identity : .rectifier
        encoder = (0..<6).map { position in
            ConvolutionLayer(
                name: Self.layerNames[position], weightIndex: 2 * position, stride: position < 5 ? 2 : 1,
                padding: position < 5 ? 1 : 0, activation: position < 5 ? rectifier : code)
        }
        decoder = (6..<14).map { position in
            ConvolutionLayer(
                name: Self.layerNames[position], weightIndex: 2 * position, stride: 1, padding: position < 12 ? 2 : 1,
                activation: position < 13 ? rectifier : .identity)
        }
    }

    public var outputChannels: Int { parameters[parameters.count - 1].shape[0] }

    /// The side of the square images that the network takes, in pixels: 256.
    public var imageSide: Int { 32 * parameters[encoder[5].weightIndex].shape[2] }

    /// The output for one image, without dropout.
    public func forward(_ image: Tensor, on engine: any ConvolutionEngine) -> Tensor {
        checkSize(of: image)
        var features = image
        for (position, layer) in (encoder + decoder).enumerated() {
            features = enlargement(of: features, before: position - encoder.count)?.forward(features) ?? features
            features = layer.forward(features, parameters: parameters, on: engine)
            if isNormalised(position) { features = rectifiedNormalisation(of: features, threads: engine.threads) }
        }
        return features
    }

    /// What the backward pass needs from the forward pass.
    public struct Tape: Sendable {
        /// What the layers were given, behind the enlargements; one per layer.
        var inputs: [Tensor] = []

        /// What the convolutions gave where their sums are normalised; nil elsewhere.
        var sums: [Tensor?] = []

        /// What the layers gave, behind normalisation, activation and dropout; one per layer but the last.
        var outputs: [Tensor] = []
    }

    /// Like `forward`, but with dropout, and keeps the intermediate results.
    ///
    /// - Parameter dropout: Draws what is left out, one draw per value in memory order.
    public func forwardRecording(
        _ image: Tensor, dropout: inout some RandomNumberGenerator, on engine: any ConvolutionEngine
    ) -> (output: Tensor, tape: Tape) {
        checkSize(of: image)
        var tape = Tape()
        var features = image
        for (position, layer) in (encoder + decoder).enumerated() {
            features = enlargement(of: features, before: position - encoder.count)?.forward(features) ?? features
            tape.inputs.append(features)
            features = layer.forward(features, parameters: parameters, on: engine)
            tape.sums.append(isNormalised(position) ? features : nil)
            guard position < 13 else { break }
            if isNormalised(position) { features = rectifiedNormalisation(of: features, threads: engine.threads) }
            if Self.dropsOut(behind: position - encoder.count) {
                var span = features.values.mutableSpan
                dropOut(&span, probability: dropoutProbability, using: &dropout)
            }
            tape.outputs.append(features)
        }
        return (features, tape)
    }

    /// Adds ∂L/∂parameters to `gradients`.
    ///
    /// The parameters and the dropout probability must be those of the forward pass.
    ///
    /// - Parameters:
    ///   - outputGradient: ∂L/∂output, in the output's shape.
    ///   - gradients: Names and shapes as in `parameters`, such as `parameters.zeros`.
    public func backward(
        _ outputGradient: Tensor, through tape: Tape, accumulatingInto gradients: inout ParameterSet,
        on engine: any ConvolutionEngine
    ) {
        var gradient = outputGradient
        for (position, layer) in (encoder + decoder).enumerated().reversed() {
            let input = tape.inputs[position]
            layer.addParameterGradients(from: gradient, input: input, to: &gradients, on: engine)
            guard position > 0 else { return }
            gradient = layer.inputGradient(from: gradient, input: input, parameters: parameters, on: engine)

            let previous = tape.outputs[position - 1]
            let decoderPosition = position - encoder.count
            if let enlargement = enlargement(of: previous, before: decoderPosition) {
                gradient = enlargement.inputGradient(from: gradient)
            }
            // EfficientAD's code between encoder and decoder has no activation.
            guard decoderPosition != 0 || design != .plain else { continue }
            let scale = Self.dropsOut(behind: decoderPosition - 1) ? 1 / (1 - dropoutProbability) : 1
            gradient.passRectifier(activation: previous, scale: scale, threads: engine.threads)
            if let sums = tape.sums[position - 1] {
                gradient = normalisation(of: sums).inputGradient(from: gradient, input: sums, threads: engine.threads)
            }
        }
    }

    /// Multiply-accumulate operations of a forward pass, convolutions only (ALGORITHMS §2.3).
    public var multiplyAccumulates: Int { layerSizes.reduce(0) { $0 + $1.multiplyAccumulates } }

    /// The convolutions' geometries, in layer order.
    package var layerSizes: [ConvolutionGeometry] {
        var side = imageSide
        return (encoder + decoder).enumerated().map { position, layer in
            if let enlarged = enlargedSide(before: position - encoder.count) { side = enlarged }
            let geometry = layer.geometry(inputHeight: side, inputWidth: side, parameters: parameters)
            side = geometry.outputHeight
            return geometry
        }
    }

    /// Dropout follows the first six decoder layers.
    private static func dropsOut(behind decoderPosition: Int) -> Bool { (0..<6).contains(decoderPosition) }

    /// Whether a normalisation stands between this layer's sums and its rectifier.
    private func isNormalised(_ position: Int) -> Bool {
        design == .instanceNormalised && position != 5 && position != 13
    }

    private func normalisation(of features: Tensor) -> InstanceNormalisation {
        InstanceNormalisation(channels: features.shape[0], height: features.shape[1], width: features.shape[2])
    }

    private func rectifiedNormalisation(of features: Tensor, threads: Int) -> Tensor {
        var normalised = normalisation(of: features).forward(features, threads: threads)
        for index in normalised.values.indices where normalised.values[index] < 0 { normalised.values[index] = 0 }
        return normalised
    }

    /// The side that a decoder layer's input is brought to; nil where the layer takes it as it is.
    private func enlargedSide(before decoderPosition: Int) -> Int? {
        let side = imageSide
        return switch decoderPosition {
        case 0: side / 64 - 1
        case 1: side / 32
        case 2: side / 16 - 1
        case 3: side / 8
        case 4: side / 4 - 1
        case 5: side / 2 - 1
        case 6: padded ? side / 4 : side / 4 - 8
        default: nil
        }
    }

    private func enlargement(of features: Tensor, before decoderPosition: Int) -> BilinearResampling? {
        enlargedSide(before: decoderPosition).map { side in
            BilinearResampling(
                channels: features.shape[0], inputHeight: features.shape[1], inputWidth: features.shape[2],
                outputHeight: side, outputWidth: side)
        }
    }

    private func checkSize(of image: Tensor) {
        precondition(
            image.shape == [3, imageSide, imageSide],
            "the autoencoder takes images of shape [3, \(imageSide), \(imageSide)], not \(image.shape)")
    }
}

extension Autoencoder {
    /// Names and shapes of the parameters in layer order.
    ///
    /// - Parameter outputChannels: As many as the teacher has, 384.
    public static func parameterShapes(outputChannels: Int) -> [(name: String, shape: [Int])] {
        architecture(outputChannels: outputChannels).parameterShapes
    }

    /// A start for training: weights and biases uniform in ±1/√(inputs of an output), PyTorch's default.
    public static func defaultParameters(
        outputChannels: Int, using generator: inout some RandomNumberGenerator
    ) -> ParameterSet {
        architecture(outputChannels: outputChannels).defaultParameters(using: &generator)
    }

    private static let layerNames =
        (1...6).map { "encoder.enconv\($0)" } + (1...8).map { "decoder.deconv\($0)" }

    private static func architecture(outputChannels: Int) -> Architecture {
        let widths = [3, 32, 32, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, outputChannels]
        let kernelSides = [4, 4, 4, 4, 4, 8, 4, 4, 4, 4, 4, 4, 3, 3]
        return Architecture(
            layers: layerNames.indices.map {
                .init(
                    name: layerNames[$0], outputChannels: widths[$0 + 1], inputChannels: widths[$0],
                    kernelSide: kernelSides[$0])
            })
    }
}
