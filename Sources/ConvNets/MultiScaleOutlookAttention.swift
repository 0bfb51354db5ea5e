import TensorKernels

/// MSOA: outlook attention with windows of several sizes on the same features, mixed by one 1×1 convolution (LA-EAD,
/// Sensors 2025, 25, 5016; ALGORITHMS §2.5, §2.6).
///
/// `MSOA(X) = W·[OA₃(X), OA₅(X)] + b`, no norm, no shortcut and no activation (D8).
///
/// Parameters from `firstIndex` on: those of `<name>.outlook3`, then of `<name>.outlook5` (`OutlookAttention`), then
/// `<name>.fusion.weight` `[channels, windows·channels, 1, 1]` and `<name>.fusion.bias`. With 512 channels and 8 heads
/// 4,471,824 numbers.
///
/// Layout: input and output `[channels, height, width]`.
struct MultiScaleOutlookAttention: Sendable {
    private let scales: [OutlookAttention]
    private let fusion: ConvolutionLayer

    /// - Precondition: There is at least one window, and all are odd.
    init(name: String, firstIndex: Int, heads: Int = 8, windows: [Int] = [3, 5]) {
        precondition(!windows.isEmpty, "an attention without windows")
        let tensorsPerScale = 5
        scales = windows.enumerated().map { number, window in
            OutlookAttention(
                name: Self.scaleName(name, window), firstIndex: firstIndex + number * tensorsPerScale, heads: heads,
                window: window)
        }
        fusion = .pointwise("\(name).fusion", weightIndex: firstIndex + windows.count * tensorsPerScale)
    }

    /// The convolutions, in the order of their parameters.
    static func layers(name: String, channels: Int, heads: Int = 8, windows: [Int] = [3, 5]) -> [Architecture.Layer] {
        windows.flatMap {
            OutlookAttention.layers(name: scaleName(name, $0), channels: channels, heads: heads, window: $0)
        } + [
            .init(
                name: "\(name).fusion", outputChannels: channels, inputChannels: windows.count * channels,
                kernelSide: 1)
        ]
    }

    private static func scaleName(_ name: String, _ window: Int) -> String { "\(name).outlook\(window)" }

    func forward(_ input: Tensor, parameters: ParameterSet, on engine: any ConvolutionEngine) -> Tensor {
        // One scale after the other, so that only one has its logits in memory.
        let outputs = scales.map { $0.forward(input, parameters: parameters, on: engine) }
        return fusion.forward(Tensor(stacking: outputs), parameters: parameters, on: engine)
    }

    /// What the backward pass needs from the forward pass.
    struct Tape: Sendable {
        /// One per window.
        var scales: [OutlookAttention.Tape] = []

        /// All scales' outputs.
        let stacked: Tensor
    }

    /// Like `forward`, and keeps the intermediate results.
    func forwardRecording(
        _ input: Tensor, parameters: ParameterSet, on engine: any ConvolutionEngine
    ) -> (output: Tensor, tape: Tape) {
        let recorded = scales.map { $0.forwardRecording(input, parameters: parameters, on: engine) }
        let stacked = Tensor(stacking: recorded.map(\.output))
        let output = fusion.forward(stacked, parameters: parameters, on: engine)
        return (output, Tape(scales: recorded.map(\.tape), stacked: stacked))
    }

    /// Adds ∂L/∂parameters to `gradients`.
    ///
    /// - Returns: ∂L/∂input.
    func backward(
        _ outputGradient: Tensor, through tape: Tape, parameters: ParameterSet,
        accumulatingInto gradients: inout ParameterSet, on engine: any ConvolutionEngine
    ) -> Tensor {
        fusion.addParameterGradients(from: outputGradient, input: tape.stacked, to: &gradients, on: engine)
        let stackedGradient = fusion.inputGradient(
            from: outputGradient, input: tape.stacked, parameters: parameters, on: engine)
        let shares = scales.indices.map { number in
            scales[number].backward(
                stackedGradient.part(number, of: scales.count), through: tape.scales[number], parameters: parameters,
                accumulatingInto: &gradients, on: engine)
        }
        return shares.dropFirst().reduce(into: shares[0]) { $0.add($1) }
    }

    /// Multiply-accumulate operations of the convolutions; those of the aggregations come on top (ALGORITHMS §2.5).
    func multiplyAccumulates(height: Int, width: Int, parameters: ParameterSet) -> Int {
        let convolutions =
            scales.flatMap { $0.layerSizes(height: height, width: width, parameters: parameters) }
            + [fusion.geometry(inputHeight: height, inputWidth: width, parameters: parameters)]
        return convolutions.reduce(0) { $0 + $1.multiplyAccumulates }
    }
}

extension Tensor {
    /// The channels of all images behind each other.
    ///
    /// - Precondition: There is one, and all have the same height and width.
    fileprivate init(stacking images: [Tensor]) {
        let size = Array(images[0].shape.dropFirst())
        precondition(images.allSatisfy { $0.shape.dropFirst() == size[...] }, "images of several sizes")
        self.init(
            shape: [images.reduce(0) { $0 + $1.shape[0] }] + size,
            values: Array(images.map(\.values).joined()))
    }

    /// One of several equal parts of the channels.
    fileprivate func part(_ number: Int, of parts: Int) -> Tensor {
        let length = count / parts
        return Tensor(
            shape: [shape[0] / parts] + shape.dropFirst(),
            values: Array(values[number * length..<(number + 1) * length]))
    }
}
