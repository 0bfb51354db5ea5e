import TensorKernels

/// One convolution of a network: which parameters are its own, and how it uses them.
///
/// The widths are those of the parameters, so that tests can run narrow networks.
struct ConvolutionLayer: Sendable {
    /// `<name>.weight` and `<name>.bias` are the parameters.
    let name: String

    /// Where the weights are in the parameter set; the bias follows, if there is one.
    let weightIndex: Int
    let stride: Int
    let padding: Int

    /// From one weight of a kernel to the next, in pixels.
    var dilation = 1
    let activation: Activation
    var hasBias = true

    func geometry(
        inputHeight: Int, inputWidth: Int, parameters: ParameterSet, channels: Range<Int>? = nil
    ) -> ConvolutionGeometry {
        let weightShape = parameters[weightIndex].shape
        return ConvolutionGeometry(
            inputChannels: weightShape[1], inputHeight: inputHeight, inputWidth: inputWidth,
            outputChannels: channels?.count ?? weightShape[0], kernelSide: weightShape[2], stride: stride,
            padding: padding, dilation: dilation)
    }

    private func geometry(for input: Tensor, parameters: ParameterSet, channels: Range<Int>?) -> ConvolutionGeometry {
        let inputChannels = parameters[weightIndex].shape[1]
        precondition(
            input.shape.count == 3 && input.shape[0] == inputChannels,
            "\(name) takes \(inputChannels) channels, not an input of shape \(input.shape)")
        return geometry(
            inputHeight: input.shape[1], inputWidth: input.shape[2], parameters: parameters, channels: channels)
    }

    /// - Parameter channels: Which output channels to compute; nil is all of them.
    func forward(
        _ input: Tensor, parameters: ParameterSet, channels: Range<Int>? = nil, on engine: any ConvolutionEngine
    ) -> Tensor {
        let geometry = geometry(for: input, parameters: parameters, channels: channels)
        let first = channels?.lowerBound ?? 0
        let bias =
            hasBias
            ? parameters[weightIndex + 1].values[first..<first + geometry.outputChannels]
            : ArraySlice(repeating: 0, count: geometry.outputChannels)
        return Tensor(shape: [geometry.outputChannels, geometry.outputHeight, geometry.outputWidth]) { output in
            engine.forward(
                input.values.span,
                weights: parameters[weightIndex].values.span.extracting(
                    geometry.weightRange(ofChannelsFrom: first)),
                bias: bias.span, activation: activation, geometry: geometry, into: &output)
        }
    }

    /// Adds ∂L/∂weights and, where there is a bias, ∂L/∂bias to `gradients`.
    ///
    /// - Parameter outputGradient: With respect to the sums before the activation, of `channels` alone.
    func addParameterGradients(
        from outputGradient: Tensor, input: Tensor, channels: Range<Int>? = nil, to gradients: inout ParameterSet,
        on engine: any ConvolutionEngine
    ) {
        let geometry = geometry(for: input, parameters: gradients, channels: channels)
        let first = channels?.lowerBound ?? 0
        let weightRange = geometry.weightRange(ofChannelsFrom: first)
        gradients[weightIndex].values.withUnsafeMutableBufferPointer { all in
            var weights = UnsafeMutableBufferPointer(rebasing: all[weightRange]).mutableSpan
            engine.weightGradient(
                from: outputGradient.values.span, input: input.values.span, geometry: geometry,
                accumulatingInto: &weights)
        }
        guard hasBias else { return }
        gradients[weightIndex + 1].values.withUnsafeMutableBufferPointer { all in
            var biases = UnsafeMutableBufferPointer(rebasing: all[first..<first + geometry.outputChannels]).mutableSpan
            addChannelSums(of: outputGradient.values.span, to: &biases)
        }
    }

    /// ∂L/∂input, from the gradient with respect to the sums before the activation.
    func inputGradient(
        from outputGradient: Tensor, input: Tensor, parameters: ParameterSet, channels: Range<Int>? = nil,
        on engine: any ConvolutionEngine
    ) -> Tensor {
        let geometry = geometry(for: input, parameters: parameters, channels: channels)
        let range = geometry.weightRange(ofChannelsFrom: channels?.lowerBound ?? 0)
        return Tensor(shape: input.shape) { gradient in
            engine.inputGradient(
                from: outputGradient.values.span, weights: parameters[weightIndex].values.span.extracting(range),
                geometry: geometry, into: &gradient)
        }
    }
}

extension ConvolutionGeometry {
    /// Where this many output channels, from `first` on, are in the weights of a layer that may have more.
    fileprivate func weightRange(ofChannelsFrom first: Int) -> Range<Int> {
        first * patchCount..<first * patchCount + weightCount
    }
}

/// Checks that parameters are a chain of square convolutions with these names, and puts them into layer order.
///
/// - Parameters:
///   - layers: Names in layer order, each with its kernel side where the architecture fixes it.
///   - network: For the error message.
func checkedChain(
    _ parameters: ParameterSet, layers: [(name: String, kernelSide: Int?)], network: String
) throws(NetworkError) -> ParameterSet {
    var ordered = ParameterSet()
    var width = 3
    for layer in layers {
        let weightName = "\(layer.name).weight"
        guard let weight = parameters.tensor(named: weightName) else {
            throw .missingParameter(weightName, network: network)
        }
        let shape = weight.shape
        let side = layer.kernelSide ?? shape.last ?? 0
        guard shape.count == 4, shape.allSatisfy({ $0 > 0 }), shape[1] == width, shape[2] == side, shape[3] == side
        else {
            let sideText = layer.kernelSide.map { "\($0), \($0)" } ?? "side, side"
            throw .wrongShape(
                weightName, network: network, found: shape, expected: "[channels, \(width), \(sideText)]")
        }
        let biasName = "\(layer.name).bias"
        guard let bias = parameters.tensor(named: biasName) else {
            throw .missingParameter(biasName, network: network)
        }
        guard bias.shape == [shape[0]] else {
            throw .wrongShape(biasName, network: network, found: bias.shape, expected: "[\(shape[0])]")
        }
        ordered.append(weightName, weight)
        ordered.append(biasName, bias)
        width = shape[0]
    }
    if let unknown = parameters.names.first(where: { !ordered.names.contains($0) }) {
        throw .unknownParameter(unknown, network: network)
    }
    return ordered
}
