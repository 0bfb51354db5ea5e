import Imaging

/// Frames from a video file, each one, in order.
///
/// Whatever container and codec GStreamer has a decoder for (MP4, Matroska, AVI …). Nothing is dropped, so the same file
/// gives the same frames. A file whose end is missing gives the frames that are there and then an error: `.truncated` where
/// the container states a duration, else `.incompleteFile`.
public enum RecordingSource {
    /// - Parameters:
    ///   - path: The video file.
    ///   - pool: Bounds the frames in the system; while no token is free, the recording waits.
    ///   - keepsTime: Whether the frames come at the pace at which they were taken, instead of as fast as they are asked
    ///     for.
    public static func open(
        path: String, pool: FramePool, keepsTime: Bool = false
    ) throws(CaptureError) -> PipelineSource {
        let file = try RecordingFile(path: path)
        var configuration = PipelineSource.Configuration(isLive: false)
        configuration.keepsTime = keepsTime
        return try PipelineSource(
            pipeline: "filesrc name=recording ! decodebin", name: path, file: file, pool: pool,
            configuration: configuration
        ) { pipeline in
            // Not in the text, where blanks and quotes would mean something.
            pipeline.setLocation(ofElementNamed: "recording", to: path)
        }
    }
}
