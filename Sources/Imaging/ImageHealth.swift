/// What is plain to see in a picture before any network looks at it: a covered lens, a dead lamp, a blank sensor.
///
/// A part behind a picture that cannot be judged is rejected with its own reason, not scored.
public struct ImageHealth: Hashable, Sendable {
    /// Mean of all bytes, 0…255.
    public let meanBrightness: Double

    /// Population standard deviation of all bytes, 0…127.5.
    public let contrast: Double

    /// Share of bytes that are 255, 0…1.
    public let saturatedShare: Double

    /// Between which values a picture can be judged.
    public struct Limits: Hashable, Sendable, Codable {
        /// Below this mean the lamp is off or the lens covered, 0…255.
        public var minimumBrightness = 4.0

        /// Below this deviation there is nothing in the picture: even an empty belt has noise.
        public var minimumContrast = 1.0

        /// Above this share the picture is blown out, 0…1.
        public var maximumSaturatedShare = 0.9

        public init() {}
    }

    /// Why a picture cannot be judged.
    public enum Complaint: String, Hashable, Sendable {
        case tooDark = "too dark"
        case blank = "blank"
        case overexposed = "overexposed"
    }

    public init(of image: ModelImage) {
        var (sum, squares, saturated) = (0, 0, 0)
        for byte in image.pixels {
            sum += Int(byte)
            squares += Int(byte) * Int(byte)
            saturated += byte == 255 ? 1 : 0
        }
        let count = Double(image.pixels.count)
        meanBrightness = Double(sum) / count
        // Exact integers under the root, so a constant picture has a contrast of exactly 0.
        contrast = (Double(squares * image.pixels.count - sum * sum)).squareRoot() / count
        saturatedShare = Double(saturated) / count
    }

    /// The first thing that is wrong, or nil.
    public func complaint(within limits: Limits) -> Complaint? {
        if meanBrightness < limits.minimumBrightness { return .tooDark }
        if saturatedShare > limits.maximumSaturatedShare { return .overexposed }
        if contrast < limits.minimumContrast { return .blank }
        return nil
    }
}
