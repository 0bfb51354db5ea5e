import CGStreamer
import Foundation

/// The beginning of a pipeline that we feed ourselves: an `appsrc`.
final class AppSource: @unchecked Sendable {
    // Sendable because the pointer never changes and the element locks itself.
    private let element: UnsafeMutablePointer<GstElement>
    private var source: UnsafeMutablePointer<GstAppSrc> {
        UnsafeMutableRawPointer(element).assumingMemoryBound(to: GstAppSrc.self)
    }

    init(in pipeline: Pipeline, named name: String) {
        guard let found = pipeline.retainedElement(named: name) else {
            preconditionFailure("our pipelines name \(name)")
        }
        element = found
    }

    deinit { gst_object_unref(element) }

    /// How many buffers have been pushed and not yet been taken by the next element.
    var waitingBuffers: Int { Int(gst_app_src_get_current_level_buffers(source)) }

    /// Hands over a copy of `bytes`, without a time stamp.
    func push(bytes: Data) {
        let buffer = bytes.withUnsafeBytes { gst_buffer_new_memdup($0.baseAddress, gsize($0.count)) }
        gst_app_src_push_buffer(source, buffer)
    }

    /// Hands over a copy of a picture, with the padding at the end of each row that GStreamer expects.
    ///
    /// - Parameters:
    ///   - bytesPerRow: Without padding.
    ///   - time: When the picture is shown, in nanoseconds from the beginning.
    func push(picture: [UInt8], bytesPerRow: Int, time: UInt64, duration: UInt64) {
        let rows = picture.count / bytesPerRow
        // Rows begin at multiples of four bytes (gst_video_info_set_format).
        let stride = (bytesPerRow + 3) / 4 * 4
        guard let buffer = gst_buffer_new_allocate(nil, gsize(stride * rows), nil) else {
            preconditionFailure("out of memory for a picture of \(stride * rows) bytes")
        }
        var map = GstMapInfo()
        gst_buffer_map(buffer, &map, GST_MAP_WRITE)
        picture.withUnsafeBytes { pixels in
            guard let target = map.data, let start = pixels.baseAddress else { return }
            for row in 0..<rows {
                UnsafeMutableRawPointer(target + row * stride)
                    .copyMemory(from: start + row * bytesPerRow, byteCount: bytesPerRow)
            }
        }
        gst_buffer_unmap(buffer, &map)
        buffer.pointee.pts = GstClockTime(time)
        buffer.pointee.duration = GstClockTime(duration)
        gst_app_src_push_buffer(source, buffer)
    }

    /// Says that nothing more comes.
    func end() { gst_app_src_end_of_stream(source) }
}
