import CGStreamer
import Imaging

/// One sample from the `appsink`: a buffer of pixels, their format and their place in time.
///
/// Owns one reference and gives it back when the last reader lets go. Not `Sendable`: it stays with the thread that
/// pulled it.
final class Sample {
    private let pointer: OpaquePointer

    /// - Parameter pointer: One reference, which this object takes over.
    init(taking pointer: OpaquePointer) { self.pointer = pointer }

    deinit { gst_sample_unref(pointer) }

    private var buffer: UnsafeMutablePointer<GstBuffer>? { gst_sample_get_buffer(pointer) }

    /// The number that `FrameCounter` wrote into the buffer when it arrived.
    var number: UInt64 { UInt64(buffer?.pointee.offset ?? 0) }

    var caps: String {
        guard let caps = gst_sample_get_caps(pointer) else { return "no caps" }
        return GStreamerLibrary.take(gst_caps_to_string(caps))
    }

    /// Size of the picture, or nil when it is not RGB video.
    var size: PixelSize? { videoInfo.map { PixelSize(width: Int($0.width), height: Int($0.height)) } }

    private var videoInfo: GstVideoInfo? {
        var info = GstVideoInfo()
        guard let caps = gst_sample_get_caps(pointer), gst_video_info_from_caps(&info, caps) != 0,
            info.finfo.pointee.format == GST_VIDEO_FORMAT_RGB
        else { return nil }
        return info
    }

    /// What the elements say to be wrong with the buffer.
    var flags: Frame.Flags {
        guard let buffer else { return .corrupt }
        var flags: Frame.Flags = []
        // A gap buffer is neutral filling where data is missing, and no picture of anything.
        if Self.isSet(GST_BUFFER_FLAG_CORRUPTED, buffer) || Self.isSet(GST_BUFFER_FLAG_GAP, buffer) {
            flags.insert(.corrupt)
        }
        if Self.isSet(GST_BUFFER_FLAG_DISCONT, buffer) { flags.insert(.discontinuity) }
        return flags
    }

    private static func isSet(_ flag: GstBufferFlags, _ buffer: UnsafeMutablePointer<GstBuffer>) -> Bool {
        buffer.pointee.mini_object.flags & flag.rawValue != 0
    }

    /// Position in the stream (GStreamer's stream time), where the buffer carries a time stamp.
    var streamTime: Duration? { time(gst_segment_to_stream_time) }

    /// Time since the pipeline began to play, on the pipeline's clock.
    var runningTime: Duration? { time(gst_segment_to_running_time) }

    private func time(
        _ convert: (UnsafePointer<GstSegment>?, GstFormat, guint64) -> guint64
    ) -> Duration? {
        guard let buffer, let segment = gst_sample_get_segment(pointer), segment.pointee.format == GST_FORMAT_TIME,
            buffer.pointee.pts != GstClockTime.max
        else { return nil }
        let time = convert(segment, GST_FORMAT_TIME, buffer.pointee.pts)
        return time == GstClockTime.max ? nil : .nanoseconds(Int64(time))
    }

    /// How long the frame is shown, from the buffer or else from the nominal frame rate.
    var duration: Duration? {
        if let length = buffer?.pointee.duration, length != GstClockTime.max { return .nanoseconds(Int64(length)) }
        guard let info = videoInfo, info.fps_n > 0 else { return nil }
        return .nanoseconds(1_000_000_000 * Int64(info.fps_d) / Int64(info.fps_n))
    }

    /// Copies the pixels into a buffer from `makeBuffer`, without the padding that GStreamer has between rows.
    ///
    /// - Returns: nil when `makeBuffer` has no buffer to give.
    /// - Throws: `.unreadableFrame` when the memory cannot be mapped as RGB video.
    func copyPixels(
        into makeBuffer: (Int, (inout MutableSpan<UInt8>) -> Void) -> PixelBuffer?
    ) throws(CaptureError) -> PixelBuffer? {
        var frame = GstVideoFrame()
        guard let buffer, var info = videoInfo, gst_video_frame_map(&frame, &info, buffer, GST_MAP_READ) != 0 else {
            throw .unreadableFrame(caps: caps, frameNumber: number)
        }
        defer { gst_video_frame_unmap(&frame) }
        guard let plane = frame.data.0 else { throw .unreadableFrame(caps: caps, frameNumber: number) }
        let height = Int(frame.info.height)
        let bytesPerRow = Int(frame.info.width) * 3
        let stride = Int(frame.info.stride.0)
        return makeBuffer(height * bytesPerRow) { pixels in
            pixels.withUnsafeMutableBytes { target in
                guard let start = target.baseAddress else { return }
                for row in 0..<height {
                    (start + row * bytesPerRow).copyMemory(from: plane + row * stride, byteCount: bytesPerRow)
                }
            }
        }
    }
}
