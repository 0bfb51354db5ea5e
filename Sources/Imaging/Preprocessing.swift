/// Which part of a frame the networks see, and how it becomes their input (ALGORITHMS §1.1).
public struct Preprocessing: Hashable, Sendable, Codable {
    /// The rectangle to look at, in source pixels; nil is the whole frame.
    public var region: RegionOfInterest?

    public init(region: RegionOfInterest? = nil) {
        self.region = region
    }

    /// Cuts the region out of a frame and resizes it to 256×256, whatever its aspect ratio, exactly as Pillow does.
    ///
    /// - Throws: `regionOutsideFrame` where the frame does not hold the whole region.
    public func modelImage(of frame: Frame) throws(ImagingError) -> ModelImage {
        let whole = RegionOfInterest(x: 0, y: 0, width: frame.width, height: frame.height)
        let region = region ?? whole
        guard whole.contains(region) else {
            throw .regionOutsideFrame(region, frameWidth: frame.width, frameHeight: frame.height)
        }
        let resize = PillowBilinear(
            inputWidth: region.width, inputHeight: region.height, outputWidth: ModelImage.side,
            outputHeight: ModelImage.side)
        return frame.withPixels { pixels in
            ModelImage(
                pixels: resize.resize(
                    pixels, bytesPerRow: frame.width * 3, offset: (region.y * frame.width + region.x) * 3))
        }
    }
}

/// A rectangle in source pixels.
public struct RegionOfInterest: Hashable, Sendable, Codable {
    public var x: Int
    public var y: Int
    public var width: Int
    public var height: Int

    public init(x: Int, y: Int, width: Int, height: Int) {
        self.x = x
        self.y = y
        self.width = width
        self.height = height
    }

    /// Whether `other` is a rectangle of at least one pixel that lies inside this one.
    public func contains(_ other: RegionOfInterest) -> Bool {
        other.width > 0 && other.height > 0 && other.x >= x && other.y >= y
            && other.width <= width - (other.x - x) && other.height <= height - (other.y - y)
    }
}

/// Why a frame cannot become a model's picture.
public enum ImagingError: Error, Equatable, CustomStringConvertible {
    case regionOutsideFrame(RegionOfInterest, frameWidth: Int, frameHeight: Int)

    public var description: String {
        switch self {
        case .regionOutsideFrame(let region, let width, let height):
            """
            the region of \(region.width)×\(region.height) pixels at (\(region.x), \(region.y)) does not lie inside the \
            frame of \(width)×\(height); correct the region or the camera's resolution
            """
        }
    }
}
