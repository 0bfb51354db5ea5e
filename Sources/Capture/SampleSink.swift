import CGStreamer
import Imaging

/// The end of a pipeline: the `appsink` that samples are pulled from.
///
/// Every buffer is numbered when it arrives, before the sink's queue can drop it. So a sink that drops does not lose
/// frames in silence: they are missing in the numbers.
final class SampleSink: @unchecked Sendable {
    // Sendable because the pointer never changes and the sink locks itself.
    private let element: UnsafeMutablePointer<GstElement>
    private var sink: UnsafeMutablePointer<GstAppSink> {
        UnsafeMutableRawPointer(element).assumingMemoryBound(to: GstAppSink.self)
    }

    /// - Parameters:
    ///   - capacity: How many frames the sink holds at most.
    ///   - dropsOldest: Whether a full sink drops its oldest frame; otherwise the stream waits.
    ///   - keepsTime: Whether frames come at the pace of their time stamps, or as fast as they are made.
    init(of pipeline: Pipeline, capacity: Int, dropsOldest: Bool, keepsTime: Bool, text: String) throws(CaptureError) {
        guard let found = pipeline.retainedElement(named: PipelineText.sinkName) else {
            throw .sinkIsNotAnAppSink(found: "property value", text: text)
        }
        let isAppSink = found.withMemoryRebound(to: GTypeInstance.self, capacity: 1) {
            g_type_check_instance_is_a($0, gst_app_sink_get_type()) != 0
        }
        guard isAppSink else {
            let kind = found.withMemoryRebound(to: GTypeInstance.self, capacity: 1) {
                String(cString: g_type_name_from_instance($0))
            }
            gst_object_unref(found)
            throw .sinkIsNotAnAppSink(found: kind, text: text)
        }
        element = found
        let caps = gst_caps_from_string("video/x-raw,format=RGB")
        gst_app_sink_set_caps(sink, caps)
        gst_caps_unref(caps)
        for (name, value) in [
            ("max-buffers", "\(capacity)"), ("drop", "\(dropsOldest)"), ("sync", "\(keepsTime)"),
            ("enable-last-sample", "false"), ("qos", "false"),
        ] { setProperty(name, of: element, to: value) }
        numberArrivingBuffers()
    }

    deinit { gst_object_unref(element) }

    /// The next sample, or nil when none came in time, the stream is over, or the pipeline was stopped.
    func pull(atMost timeout: Duration) -> Sample? {
        gst_app_sink_try_pull_sample(sink, GstClockTime(max(0, timeout.nanoseconds))).map(Sample.init(taking:))
    }

    /// Whether the stream is over and every sample was pulled; also true of a sink that never started.
    var isAtEnd: Bool { gst_app_sink_is_eos(sink) != 0 }

    private func numberArrivingBuffers() {
        let nextNumber = UnsafeMutablePointer<UInt64>.allocate(capacity: 1)
        nextNumber.initialize(to: 0)
        let pad = gst_element_get_static_pad(element, "sink")
        gst_pad_add_probe(
            pad, GST_PAD_PROBE_TYPE_BUFFER,
            { _, info, nextNumber in
                guard let info, let nextNumber, let arrived = info.pointee.data else { return GST_PAD_PROBE_OK }
                // Only the streaming thread comes here, and it holds the buffer's only reference to be passed on.
                let writable = gst_mini_object_make_writable(arrived.assumingMemoryBound(to: GstMiniObject.self))
                info.pointee.data = UnsafeMutableRawPointer(writable)
                let number = nextNumber.assumingMemoryBound(to: UInt64.self)
                if let writable {
                    UnsafeMutableRawPointer(writable).assumingMemoryBound(to: GstBuffer.self).pointee.offset =
                        guint64(number.pointee)
                }
                number.pointee += 1
                return GST_PAD_PROBE_OK
            },
            nextNumber, { $0?.deallocate() })
        gst_object_unref(pad)
    }
}
