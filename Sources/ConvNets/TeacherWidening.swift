import TensorKernels

/// Writes a PDN-S down as a PDN-M that computes the same: a teacher for medium students where no trained one exists.
///
/// No PDN-M teacher comes with the program. A student of PDN-M has to imitate *some* frozen description of patches, and
/// this one describes them as well as PDN-S does and no better; what PDN-M's own teacher would add is missing, and no
/// published accuracy of the medium models can be expected.
///
/// | PDN-M | from PDN-S |
/// |---|---|
/// | conv1, conv2 | conv1, conv2, every channel twice; a weight that reads a doubled channel is halved |
/// | conv3, 1×1 | the identity: its input is not negative, so its rectifier does nothing |
/// | conv4 | conv3, every channel twice |
/// | conv5 | conv4 with `shift` on its biases, so that its rectifier does nothing |
/// | conv6, 1×1 | the identity with −`shift` on its biases |
///
/// Halves and doubles are exact; sums of other length and the shift round differently, by some 10⁻⁶ of the shift.
public struct TeacherWidening: Sendable {
    /// Outputs below −shift are lost.
    ///
    /// The outputs have about unit variance, as the features do that the teacher was distilled from, and stay within ±16
    /// even for noise and for extremes of black and white. A larger shift would cost precision.
    public static let shift: Float = 32

    /// The parameters of the medium network.
    public let parameters: ParameterSet

    /// - Parameter network: PDN-S of any widths.
    /// - Precondition: It is PDN-S.
    public init(of network: PatchDescriptionNetwork) {
        precondition(network.size == .small, "a network of size \(network.size.rawValue) has the wide layout already")
        let small = network.parameters
        func weight(_ layer: Int) -> Tensor { small[2 * (layer - 1)] }
        func bias(_ layer: Int) -> Tensor { small[2 * (layer - 1) + 1] }
        let width = 2 * weight(2).shape[0]
        var shifted = bias(4)
        for channel in shifted.values.indices { shifted.values[channel] += Self.shift }
        parameters = ParameterSet([
            ("conv1.weight", weight(1).outputsTwice), ("conv1.bias", bias(1).outputsTwice),
            ("conv2.weight", weight(2).inputsHalved.outputsTwice), ("conv2.bias", bias(2).outputsTwice),
            ("conv3.weight", .pointwiseIdentity(channels: width)), ("conv3.bias", Tensor(shape: [width])),
            ("conv4.weight", weight(3).inputsHalved.outputsTwice), ("conv4.bias", bias(3).outputsTwice),
            ("conv5.weight", weight(4).inputsHalved), ("conv5.bias", shifted),
            ("conv6.weight", .pointwiseIdentity(channels: network.outputChannels)),
            ("conv6.bias", Tensor(shape: [network.outputChannels], repeating: -Self.shift)),
        ])
    }
}

extension Tensor {
    /// Everything along the first dimension, and then again.
    fileprivate var outputsTwice: Tensor {
        Tensor(shape: [2 * shape[0]] + shape.dropFirst(), values: values + values)
    }

    /// Each output's weights for all inputs twice in a row, halved: for inputs that come twice.
    fileprivate var inputsHalved: Tensor {
        let length = count / shape[0]
        let halved = values.map { $0 / 2 }
        let rows = (0..<shape[0]).flatMap { row in
            let weights = halved[row * length..<(row + 1) * length]
            return weights + weights
        }
        return Tensor(shape: [shape[0], 2 * shape[1]] + shape.dropFirst(2), values: rows)
    }

    /// A 1×1 convolution that changes nothing.
    fileprivate static func pointwiseIdentity(channels: Int) -> Tensor {
        var identity = Tensor(shape: [channels, channels, 1, 1])
        for channel in 0..<channels { identity.values[channel * (channels + 1)] = 1 }
        return identity
    }
}
