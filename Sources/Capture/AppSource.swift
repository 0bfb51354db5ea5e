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

    /// Hands over a copy of a picture.
    ///
    /// - Parameters:
    ///   - bytesPerRow: Without padding.
    ///   - time: When the picture is shown, in nanoseconds from the beginning.
    func push(picture: [UInt8], bytesPerRow: Int, time: UInt64, duration: UInt64) {
        let buffer = PictureBuffer.make(copying: picture.span, bytesPerRow: bytesPerRow)
        buffer.pointee.pts = GstClockTime(time)
        buffer.pointee.duration = GstClockTime(duration)
        gst_app_src_push_buffer(source, buffer)
    }

    /// Says that nothing more comes.
    func end() { gst_app_src_end_of_stream(source) }
}
