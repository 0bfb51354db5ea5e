/// What a convolution layer does to its sums.
public enum Activation: Hashable, Sendable {
    case identity

    /// ReLU, `max(0, ·)`; NaN stays NaN.
    case rectifier
}

/// A way to compute convolutions and their two gradients.
///
/// Networks are written against this protocol, so that the slow obvious engine of a test, the reference and a tuned
/// engine are exchangeable. Weights come with every call: a training step changes them every time.
///
/// An engine is deterministic: the same numbers on the same machine with the same number of threads give the same bits.
///
/// - Precondition: In every call the spans hold exactly what `ConvolutionGeometry` says.
public protocol ConvolutionEngine: Sendable {
    /// How many threads compute at once; what stands between convolutions may use as many.
    var threads: Int { get }

    /// `output ← activation(weights ∗ input + bias)`.
    ///
    /// To compute some output channels only, pass their rows of `weights` and `bias`.
    func forward(
        _ input: Span<Float>, weights: Span<Float>, bias: Span<Float>, activation: Activation,
        geometry: ConvolutionGeometry, into output: inout MutableSpan<Float>)

    /// `inputGradient ← ∂L/∂input`, from the gradient with respect to the sums before the activation.
    func inputGradient(
        from outputGradient: Span<Float>, weights: Span<Float>, geometry: ConvolutionGeometry,
        into inputGradient: inout MutableSpan<Float>)

    /// `weightGradient ← weightGradient + ∂L/∂weights`, from the gradient with respect to the sums before the activation.
    ///
    /// The bias needs no engine: its gradient is `addChannelSums`.
    func weightGradient(
        from outputGradient: Span<Float>, input: Span<Float>, geometry: ConvolutionGeometry,
        accumulatingInto weightGradient: inout MutableSpan<Float>)
}

extension ConvolutionEngine {
    public var threads: Int { 1 }
}
