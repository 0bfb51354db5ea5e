import Glibc
import TensorKernels

/// The two local maps of one picture: where the student's halves differ from what they imitate (ALGORITHMS §4.1).
public struct AnomalyMaps: Hashable, Sendable {
    /// M_ST = mean_c (T̂ − S₁)², `[1, 56, 56]`.
    public var studentTeacher: Tensor

    /// M_AE = mean_c (A − S₂)², `[1, 56, 56]`.
    public var autoencoderStudent: Tensor

    public init(studentTeacher: Tensor, autoencoderStudent: Tensor) {
        self.studentTeacher = studentTeacher
        self.autoencoderStudent = autoencoderStudent
    }

    /// Half of each map after `0.1·(M − q_a)/(q_b − q_a)` and, where `logistic`, `1/(1 + exp(−M))`; `[1, 56, 56]`.
    public func combined(by quantiles: MapQuantiles, logistic: Bool = false) -> Tensor {
        var combined = studentTeacher
        let (a, b) = (quantiles.studentTeacher, quantiles.autoencoderStudent)
        func projected(_ value: Double) -> Double { logistic ? 1 / (1 + exp(-value)) : value }
        for i in combined.values.indices {
            let first = projected(a.normalise(Double(studentTeacher.values[i])))
            let second = projected(b.normalise(Double(autoencoderStudent.values[i])))
            combined.values[i] = Float(0.5 * first + 0.5 * second)
        }
        return combined
    }

    /// The map that scores and pictures are made of: combined, padded and resized as `options` say (§1.6, D4).
    ///
    /// - Returns: `[1, scoreResolution, scoreResolution]`.
    public func canonical(by quantiles: MapQuantiles, options: MapOptions) -> Tensor {
        enlarged(by: quantiles, options: options, width: options.scoreResolution, height: options.scoreResolution)
    }

    /// The map for finding defects: resized directly to the size of the original picture, not by way of the canonical
    /// map (§1.6, D4).
    ///
    /// - Returns: `[1, height, width]`.
    public func enlarged(by quantiles: MapQuantiles, options: MapOptions, width: Int, height: Int) -> Tensor {
        let combined = combined(by: quantiles, logistic: options.logistic)
        return (options.padMaps ? combined.zeroPadded(by: 4) : combined).resampled(width: width, height: height)
    }
}

extension MapQuantiles.Range {
    /// q_a → 0, q_b → 0.1, unclamped.
    func normalise(_ value: Double) -> Double {
        0.1 * (value - lower) / (upper - lower)
    }
}

extension MapQuantiles {
    /// Measures q_a = 0.9 and q_b = 0.995 over all cells of the maps of validation pictures, each kind for itself.
    ///
    /// - Throws: `noMapSpread` where q_a = q_b: there is no unit to measure with, and none is made up.
    public init(of maps: [AnomalyMaps]) throws(CalibrationError) {
        guard !maps.isEmpty else { throw .noPictures }
        studentTeacher = try Self.range(of: maps.flatMap(\.studentTeacher.values), map: "student-teacher")
        autoencoderStudent = try Self.range(
            of: maps.flatMap(\.autoencoderStudent.values), map: "autoencoder-student")
    }

    private static func range(of values: [Float], map: String) throws(CalibrationError) -> Range {
        guard values.allSatisfy(\.isFinite) else { throw .notFinite("the \(map) map") }
        let range = Range(lower: quantile(0.9, of: values), upper: quantile(0.995, of: values))
        guard range.lower < range.upper else { throw .noMapSpread(map: map) }
        return range
    }
}

/// `mean_c (a − b)²` at every position.
///
/// - Parameters: Two tensors of the same shape `[channels, height, width]`.
/// - Returns: `[1, height, width]`, summed in `Double`.
public func meanSquaredDifferenceMap(_ a: Tensor, _ b: Tensor) -> Tensor {
    precondition(a.shape == b.shape && a.shape.count == 3, "shapes \(a.shape) and \(b.shape) cannot be compared")
    let plane = a.shape[1] * a.shape[2]
    var sums = [Double](repeating: 0, count: plane)
    let (first, second) = (a.values.span, b.values.span)
    for channel in 0..<a.shape[0] {
        for i in 0..<plane {
            let difference = Double(first[channel * plane + i] - second[channel * plane + i])
            sums[i] += difference * difference
        }
    }
    return Tensor(shape: [1, a.shape[1], a.shape[2]], values: sums.map { Float($0 / Double(a.shape[0])) })
}

/// GAP: the mean of every channel over all positions, in `Double` (ALGORITHMS §4.2).
///
/// - Parameter features: `[channels, height, width]`.
public func globalAveragePool(_ features: Tensor) -> [Double] {
    let plane = features.shape[1] * features.shape[2]
    let values = features.values.span
    return (0..<features.shape[0]).map { channel in
        var sum = 0.0
        for i in channel * plane..<(channel + 1) * plane { sum += Double(values[i]) }
        return sum / Double(plane)
    }
}

extension Tensor {
    /// A frame of zeros around every channel.
    func zeroPadded(by margin: Int) -> Tensor {
        let (channels, height, width) = (shape[0], shape[1], shape[2])
        var padded = Tensor(shape: [channels, height + 2 * margin, width + 2 * margin])
        for channel in 0..<channels {
            for y in 0..<height {
                let source = (channel * height + y) * width
                let target = ((channel * (height + 2 * margin)) + y + margin) * (width + 2 * margin) + margin
                for x in 0..<width { padded.values[target + x] = values[source + x] }
            }
        }
        return padded
    }

    /// Bilinear point sampling (ALGORITHMS §1.5).
    func resampled(width: Int, height: Int) -> Tensor {
        BilinearResampling(
            channels: shape[0], inputHeight: shape[1], inputWidth: shape[2], outputHeight: height, outputWidth: width
        ).forward(self)
    }
}
