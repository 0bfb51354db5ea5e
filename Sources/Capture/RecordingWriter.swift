/// Writes a recording that gives back exactly the pixels it was given: FFV1 in Matroska.
///
/// Every picture is coded by itself and carries checksums, so damage stays where it is and does not go unnoticed. The
/// file appears under its name with `finish`; without it, nothing is left behind. Used by one thread.
public final class RecordingWriter {
    private let file: EncodingPipeline
    private let framesPerSecond: UInt64
    private var frameCount: UInt64 = 0

    /// - Parameters:
    ///   - path: Usually ends in `.mkv`.
    ///   - framesPerSecond: The constant rate; picture n is shown at n / framesPerSecond, rounded down to nanoseconds.
    public init(path: String, width: Int, height: Int, framesPerSecond: Int) throws(CaptureWritingError) {
        precondition(framesPerSecond > 0, "a recording has at least one frame per second")
        self.framesPerSecond = UInt64(framesPerSecond)
        // FFV1 has no three-byte RGB; the fourth byte of BGRx is not coded. A Matroska time unit of one nanosecond, not
        // the usual millisecond, keeps the times as they are.
        file = try EncodingPipeline(
            path: path,
            encoder: "videoconvert dither=none ! video/x-raw,format=BGRx"
                + " ! avenc_ffv1 gop-size=1 slices=4 slicecrc=1 ! matroskamux timecodescale=1",
            size: PixelSize(width: width, height: height), channels: 3, framesPerSecond: framesPerSecond)
    }

    /// Adds the next picture; waits while the encoder is behind.
    ///
    /// - Precondition: `pixels` are `[height, width, 3]`, red green blue, and `finish` was not called.
    public func append(_ pixels: [UInt8]) throws(CaptureWritingError) {
        let start = time(ofFrame: frameCount)
        frameCount += 1
        try file.append(pixels, time: start, duration: time(ofFrame: frameCount) - start)
    }

    /// Ends the recording and gives it its name.
    ///
    /// - Precondition: At least one picture was appended.
    public func finish() throws(CaptureWritingError) {
        precondition(frameCount > 0, "a recording has at least one picture")
        try file.finish()
    }

    private func time(ofFrame index: UInt64) -> UInt64 {
        let (seconds, rest) = index.quotientAndRemainder(dividingBy: framesPerSecond)
        return seconds * 1_000_000_000 + rest * 1_000_000_000 / framesPerSecond
    }
}
