import Imaging

/// A rendered camera picture.
///
/// - Layout: `[height, width, 3]`, row-major, red green blue, one byte each, without gaps between rows.
public struct RenderedImage: Hashable, Sendable {
    public let width: Int
    public let height: Int
    public let pixels: [UInt8]

    init(width: Int, height: Int, pixels: [UInt8]) {
        precondition(pixels.count == width * height * 3, "pixels do not match the picture's size")
        self.width = width
        self.height = height
        self.pixels = pixels
    }

    /// The picture as a frame of the line.
    public func frame(
        number: UInt64, capturedAt: MonotonicInstant, presentationTime: Duration? = nil, fileName: String? = nil
    ) -> Frame {
        Frame(
            number: number, width: width, height: height, capturedAt: capturedAt, presentationTime: presentationTime,
            fileName: fileName,
            pixels: PixelBuffer(count: pixels.count) { bytes in
                for index in pixels.indices { bytes[index] = pixels[index] }
            })
    }
}

/// One region of the ground truth: the definition's grey value inside, 0 outside.
///
/// - Layout: `[height, width]`, row-major, one byte each.
public struct DefectMask: Hashable, Sendable {
    public let definition: DefectDefinition
    public let width: Int
    public let height: Int
    public let pixels: [UInt8]

    init(definition: DefectDefinition, width: Int, height: Int, isInside: [Bool]) {
        self.definition = definition
        self.width = width
        self.height = height
        pixels = isInside.map { $0 ? definition.pixelValue : 0 }
    }
}
