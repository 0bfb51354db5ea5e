import TensorKernels

/// A small change of the light that does not make a good part bad (ALGORITHMS §1.2).
///
/// Works on values 0…1 before ImageNet normalisation, as in PUAD's published code (D1).
public enum Augmentation: Hashable, Sendable {
    /// `clamp(λ·x)`.
    case brightness(Float)

    /// `clamp(λ·x + (1 − λ)·m)`, m being the mean of the picture's grey values.
    case contrast(Float)

    /// `clamp(λ·x + (1 − λ)·grey)`, pixel by pixel.
    case saturation(Float)

    /// One of the three, each equally likely, with λ from 0.8 to 1.2.
    public static func random(using generator: inout some RandomNumberGenerator) -> Augmentation {
        // Drawn from the bits directly: how the standard library draws is not part of its promises.
        let kind = ((generator.next() >> 32) * 3) >> 32
        let factor = 0.8 + 0.4 * Float(generator.next() >> 40) * 0x1p-24
        return switch kind {
        case 0: .brightness(factor)
        case 1: .contrast(factor)
        default: .saturation(factor)
        }
    }

    /// - Parameter image: `[3, height, width]`, red green blue, values 0…1.
    public func applied(to image: Tensor) -> Tensor {
        precondition(image.shape.first == 3, "light changes are for colour pictures")
        switch self {
        case .brightness(let factor): return Self.blend(image, factor: factor) { _ in 0 }
        case .contrast(let factor):
            let grey = Self.grey(of: image)
            let mean = Float(grey.reduce(0.0) { $0 + Double($1) } / Double(grey.count))
            return Self.blend(image, factor: factor) { _ in mean }
        case .saturation(let factor):
            let grey = Self.grey(of: image)
            return Self.blend(image, factor: factor) { grey[$0] }
        }
    }

    /// `0.2989 R + 0.587 G + 0.114 B`, one value per pixel.
    static func grey(of image: Tensor) -> [Float] {
        let plane = image.count / 3
        let values = image.values
        return (0..<plane).map { 0.2989 * values[$0] + 0.587 * values[plane + $0] + 0.114 * values[2 * plane + $0] }
    }

    /// `clamp(λ·x + (1 − λ)·other)`.
    @inline(__always)
    private static func blend(_ image: Tensor, factor: Float, with other: (_ pixel: Int) -> Float) -> Tensor {
        let plane = image.count / 3
        var blended = image
        var values = blended.values.mutableSpan
        for channel in 0..<3 {
            for pixel in 0..<plane {
                let value = factor * values[channel * plane + pixel] + (1 - factor) * other(pixel)
                values[channel * plane + pixel] = min(max(value, 0), 1)
            }
        }
        return blended
    }
}
