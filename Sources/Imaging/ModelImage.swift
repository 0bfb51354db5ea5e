import TensorKernels

/// A picture of a part at the size that the networks look at: 256×256, after the exact resize and before normalisation.
///
/// - Layout: `[256, 256, 3]`, row-major, red green blue, one byte each.
public struct ModelImage: Hashable, Sendable {
    /// Side of the square, in pixels (ALGORITHMS §1.1).
    public static let side = 256

    public let pixels: [UInt8]

    /// - Precondition: 256·256·3 bytes.
    public init(pixels: [UInt8]) {
        precondition(pixels.count == Self.side * Self.side * 3, "a model image has 256×256 RGB pixels")
        self.pixels = pixels
    }

    /// The values divided by 255, `[3, 256, 256]`, 0…1: what augmentation works on.
    public func unitRange() -> Tensor {
        planes { Float($0) / 255 }
    }

    /// `(x − mean) / deviation` per channel, `[3, 256, 256]`: what the networks take.
    public func normalised() -> Tensor {
        Self.normalise(unitRange())
    }

    /// ImageNet's statistics, which the teacher was trained with (ALGORITHMS §1.1).
    ///
    /// - Parameter unitRange: `[3, height, width]`, values 0…1.
    public static func normalise(_ unitRange: Tensor) -> Tensor {
        precondition(unitRange.shape.first == 3, "ImageNet's statistics are for three channels")
        let mean: [Float] = [0.485, 0.456, 0.406]
        let deviation: [Float] = [0.229, 0.224, 0.225]
        var normalised = unitRange
        let plane = unitRange.count / 3
        var values = normalised.values.mutableSpan
        for channel in 0..<3 {
            for i in channel * plane..<(channel + 1) * plane {
                values[i] = (values[i] - mean[channel]) / deviation[channel]
            }
        }
        return normalised
    }

    private func planes(_ convert: (UInt8) -> Float) -> Tensor {
        let plane = Self.side * Self.side
        var tensor = Tensor(shape: [3, Self.side, Self.side])
        let bytes = pixels.span
        var values = tensor.values.mutableSpan
        for channel in 0..<3 {
            for i in 0..<plane { values[channel * plane + i] = convert(bytes[3 * i + channel]) }
        }
        return tensor
    }
}
