import TensorKernels

/// Outlook attention: every pixel decides by its own features how the values around it are mixed (Yuan et al. 2021,
/// arXiv:2106.13112; ALGORITHMS §2.6).
///
/// `V = W_v·X`, `a = W_a·X + b_a`, `Y` from V and a by `OutlookAggregation`, `output = W_p·Y + b_p`, each product a 1×1
/// convolution. Without the normalisation, shortcut and dropout of the paper's block (D8).
///
/// Parameters, by their names in the published code, from `firstIndex` on:
///
/// - `<name>.v.weight` `[channels, channels, 1, 1]`, no bias
/// - `<name>.attn.weight` `[heads·K⁴, channels, 1, 1]` and `<name>.attn.bias`: logit head·K⁴ + i·K² + j weighs, for place i
///   of the window, the value at place j
/// - `<name>.proj.weight` `[channels, channels, 1, 1]` and `<name>.proj.bias`
///
/// Layout: input and output `[channels, height, width]`.
struct OutlookAttention: Sendable {
    let heads: Int

    /// K, odd.
    let window: Int

    private let value: ConvolutionLayer
    private let logits: ConvolutionLayer
    private let projection: ConvolutionLayer

    init(name: String, firstIndex: Int, heads: Int, window: Int) {
        self.heads = heads
        self.window = window
        value = .pointwise("\(name).v", weightIndex: firstIndex, hasBias: false)
        logits = .pointwise("\(name).attn", weightIndex: firstIndex + 1)
        projection = .pointwise("\(name).proj", weightIndex: firstIndex + 3)
    }

    /// The convolutions, in the order of their parameters.
    static func layers(name: String, channels: Int, heads: Int, window: Int) -> [Architecture.Layer] {
        let places = window * window
        return [
            .init(
                name: "\(name).v", outputChannels: channels, inputChannels: channels, kernelSide: 1, hasBias: false),
            .init(
                name: "\(name).attn", outputChannels: heads * places * places, inputChannels: channels, kernelSide: 1),
            .init(name: "\(name).proj", outputChannels: channels, inputChannels: channels, kernelSide: 1),
        ]
    }

    func forward(_ input: Tensor, parameters: ParameterSet, on engine: any ConvolutionEngine) -> Tensor {
        forwardRecording(input, parameters: parameters, on: engine).output
    }

    /// What the backward pass needs from the forward pass.
    struct Tape: Sendable {
        let input: Tensor
        let values: Tensor

        /// The largest of all: 74 MB for a window of 5 on 61×61 pixels.
        let logits: Tensor
        let aggregated: Tensor
    }

    /// Like `forward`, and keeps the intermediate results.
    func forwardRecording(
        _ input: Tensor, parameters: ParameterSet, on engine: any ConvolutionEngine
    ) -> (output: Tensor, tape: Tape) {
        let values = value.forward(input, parameters: parameters, on: engine)
        let logits = logits.forward(input, parameters: parameters, on: engine)
        let aggregated = aggregation(of: values).forward(values: values, logits: logits, threads: engine.threads)
        let output = projection.forward(aggregated, parameters: parameters, on: engine)
        return (output, Tape(input: input, values: values, logits: logits, aggregated: aggregated))
    }

    /// Adds ∂L/∂parameters to `gradients`.
    ///
    /// - Returns: ∂L/∂input.
    func backward(
        _ outputGradient: Tensor, through tape: Tape, parameters: ParameterSet,
        accumulatingInto gradients: inout ParameterSet, on engine: any ConvolutionEngine
    ) -> Tensor {
        projection.addParameterGradients(from: outputGradient, input: tape.aggregated, to: &gradients, on: engine)
        let aggregatedGradient = projection.inputGradient(
            from: outputGradient, input: tape.aggregated, parameters: parameters, on: engine)
        let (valueGradient, logitGradient) = aggregation(of: tape.values).gradients(
            from: aggregatedGradient, values: tape.values, logits: tape.logits, threads: engine.threads)
        logits.addParameterGradients(from: logitGradient, input: tape.input, to: &gradients, on: engine)
        value.addParameterGradients(from: valueGradient, input: tape.input, to: &gradients, on: engine)
        var gradient = logits.inputGradient(
            from: logitGradient, input: tape.input, parameters: parameters, on: engine)
        gradient.add(value.inputGradient(from: valueGradient, input: tape.input, parameters: parameters, on: engine))
        return gradient
    }

    /// The convolutions' geometries for an input of this size.
    func layerSizes(height: Int, width: Int, parameters: ParameterSet) -> [ConvolutionGeometry] {
        [value, logits, projection].map {
            $0.geometry(inputHeight: height, inputWidth: width, parameters: parameters)
        }
    }

    private func aggregation(of values: Tensor) -> OutlookAggregation {
        OutlookAggregation(
            channels: values.shape[0], heads: heads, window: window, height: values.shape[1], width: values.shape[2])
    }
}

extension ConvolutionLayer {
    /// A matrix product at every pixel.
    static func pointwise(_ name: String, weightIndex: Int, hasBias: Bool = true) -> ConvolutionLayer {
        ConvolutionLayer(
            name: name, weightIndex: weightIndex, stride: 1, padding: 0, activation: .identity, hasBias: hasBias)
    }
}
