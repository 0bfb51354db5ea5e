/// One colour image from the camera, with the moment it was taken.
///
/// The pixels are copied once, out of the capture buffer, and never change afterwards. Every later stage reads the same
/// storage, so passing a frame on costs one reference count. Row padding ends at the capture boundary: here rows follow
/// each other without gaps.
///
/// - Layout: `[height, width, 3]`, row-major, red green blue, one byte each.
/// - Range: 0 is black, 255 is sensor saturation.
public struct Frame: Sendable {
    /// What the source knows to be wrong with a frame.
    public struct Flags: OptionSet, Hashable, Sendable {
        public let rawValue: UInt8

        public init(rawValue: UInt8) { self.rawValue = rawValue }

        /// The decoder or the camera marked the pixels as damaged.
        public static let corrupt = Flags(rawValue: 1)

        /// Frames are missing between this one and the one before.
        public static let discontinuity = Flags(rawValue: 2)
    }

    /// Position in the capture sequence, from 0.
    ///
    /// A gap in the numbers is a frame that was lost.
    public let number: UInt64

    public let width: Int
    public let height: Int

    /// When the shutter closed, as well as the source can tell.
    public let capturedAt: MonotonicInstant

    /// Position in the stream or recording, where the source has one (GStreamer's PTS).
    public let presentationTime: Duration?

    public let flags: Flags

    /// The file that the frame came from, for sources that are folders of images.
    public let fileName: String?

    private let pixels: PixelBuffer

    /// Wraps a filled buffer.
    ///
    /// - Precondition: `pixels` holds exactly `width · height · 3` bytes.
    public init(
        number: UInt64, width: Int, height: Int, capturedAt: MonotonicInstant, presentationTime: Duration? = nil,
        flags: Flags = [], fileName: String? = nil, pixels: PixelBuffer
    ) {
        precondition(pixels.count == width * height * 3, "pixel buffer does not match the frame's size")
        self.number = number
        self.width = width
        self.height = height
        self.capturedAt = capturedAt
        self.presentationTime = presentationTime
        self.flags = flags
        self.fileName = fileName
        self.pixels = pixels
    }

    /// Lends all pixels, row after row, `width · height · 3` bytes.
    public func withPixels<Result, Failure: Error>(
        _ body: (Span<UInt8>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try pixels.withBytes(body)
    }

    /// Lends one row of pixels, left to right, `width · 3` bytes.
    ///
    /// - Parameter row: Counted from the top, in `0..<height`.
    public func withRow<Result, Failure: Error>(
        _ row: Int, _ body: (Span<UInt8>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try pixels.withBytes { bytes throws(Failure) in
            try body(bytes.extracting(row * width * 3..<(row + 1) * width * 3))
        }
    }
}
