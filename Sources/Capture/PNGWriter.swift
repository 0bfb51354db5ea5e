/// Writes PNG files.
public enum PNGWriter {
    /// Writes one picture; the file appears under its name once it is whole.
    ///
    /// - Parameters:
    ///   - pixels: `[height, width, channels]`, row-major, one byte each.
    ///   - channels: 1 for grey, 3 for red green blue.
    /// - Precondition: `pixels` has `width · height · channels` bytes.
    public static func write(
        pixels: [UInt8], width: Int, height: Int, channels: Int, to path: String
    ) throws(CaptureWritingError) {
        let file = try EncodingPipeline(
            path: path, encoder: "pngenc", size: PixelSize(width: width, height: height), channels: channels,
            framesPerSecond: 0)
        try file.append(pixels, time: 0, duration: 0)
        try file.finish()
    }
}
