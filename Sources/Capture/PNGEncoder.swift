import CGStreamer
import Imaging

/// Pictures as the bytes of a PNG file, encoded on the calling thread.
///
/// A pipeline encodes on a streaming thread of its own, whose priority is not the caller's; evidence must be written with
/// less priority than parts are judged. So there is no pipeline here: the encoder's sink is pushed to from this thread, and
/// what it gives is taken on the same thread.
public enum PNGEncoder {
    /// A frame's pixels, exactly.
    public static func encode(_ frame: Frame) throws(CaptureWritingError) -> [UInt8] {
        try frame.withPixels { pixels throws(CaptureWritingError) in
            try encode(pixels, width: frame.width, height: frame.height)
        }
    }

    /// - Parameter pixels: `[height, width, 3]`, row-major, red green blue, one byte each.
    /// - Precondition: `pixels` has `width · height · 3` bytes, at least one pixel.
    public static func encode(
        _ pixels: Span<UInt8>, width: Int, height: Int
    ) throws(CaptureWritingError) -> [UInt8] {
        precondition(width > 0 && height > 0 && pixels.count == width * height * 3, "the picture is not of its size")
        do throws(CaptureError) { try GStreamerLibrary.start() } catch { throw .cannotEncode(reason: "\(error)") }
        guard let found = gst_element_factory_make("pngenc", nil) else {
            throw .cannotEncode(reason: "the element pngenc is missing (Debian package gstreamer1.0-plugins-good)")
        }
        let element = UnsafeMutableRawPointer(gst_object_ref_sink(found)).assumingMemoryBound(to: GstElement.self)
        defer { gst_object_unref(element) }
        setProperty("compression-level", of: element, to: "\(compressionLevel)")
        let input = Pad("pictures", GST_PAD_SRC)
        let output = Pad("file", GST_PAD_SINK)
        let encoded = Encoded()
        output.collect(into: encoded)
        input.link(to: element, "sink")
        output.link(to: element, "src")
        gst_element_set_state(element, GST_STATE_PLAYING)
        defer { gst_element_set_state(element, GST_STATE_NULL) }

        input.beginStream(caps: "video/x-raw,format=RGB,width=\(width),height=\(height),framerate=0/1")
        let flow = gst_pad_push(input.pointer, PictureBuffer.make(copying: pixels, bytesPerRow: width * 3))
        guard flow == GST_FLOW_OK, !encoded.bytes.isEmpty else {
            throw .cannotEncode(reason: String(cString: gst_flow_get_name(flow)))
        }
        return encoded.bytes
    }

    /// On a noisy picture of 320×320 pixels from `beltwatch synthesize recording`, 7 ms; the default of 6 takes 11 ms, for a
    /// file that is not smaller.
    private static let compressionLevel = 1
}

/// What came out of the encoder. Touched by one thread at a time, as everything here is.
private final class Encoded {
    var bytes: [UInt8] = []
}

/// A pad that belongs to no element: the end that we hold.
private final class Pad {
    let pointer: UnsafeMutablePointer<GstPad>

    init(_ name: String, _ direction: GstPadDirection) {
        guard let pad = gst_pad_new(name, direction) else { preconditionFailure("out of memory for a pad") }
        pointer = UnsafeMutableRawPointer(gst_object_ref_sink(pad)).assumingMemoryBound(to: GstPad.self)
        gst_pad_set_active(pointer, 1)
    }

    deinit {
        gst_pad_set_active(pointer, 0)
        gst_object_unref(pointer)
    }

    func link(to element: UnsafeMutablePointer<GstElement>, _ name: String) {
        guard let other = gst_element_get_static_pad(element, name) else {
            preconditionFailure("an encoder has a \(name)")
        }
        let isSource = pointer.pointee.direction == GST_PAD_SRC
        let result = isSource ? gst_pad_link(pointer, other) : gst_pad_link(other, pointer)
        precondition(result == GST_PAD_LINK_OK, "pads do not link")
        gst_object_unref(other)
    }

    /// What every stream begins with.
    func beginStream(caps text: String) {
        gst_pad_push_event(pointer, gst_event_new_stream_start("picture"))
        let caps = gst_caps_from_string(text)
        gst_pad_push_event(pointer, gst_event_new_caps(caps))
        gst_caps_unref(caps)
        var segment = GstSegment()
        gst_segment_init(&segment, GST_FORMAT_TIME)
        gst_pad_push_event(pointer, gst_event_new_segment(&segment))
    }

    /// Takes what arrives, for as long as the pad is linked.
    func collect(into encoded: Encoded) {
        gst_pad_set_chain_function_full(
            pointer,
            { pad, _, buffer in
                guard let target = pad?.pointee.chaindata, let buffer else { return GST_FLOW_ERROR }
                defer { gst_buffer_unref(buffer) }
                var map = GstMapInfo()
                guard gst_buffer_map(buffer, &map, GST_MAP_READ) != 0 else { return GST_FLOW_ERROR }
                defer { gst_buffer_unmap(buffer, &map) }
                Unmanaged<Encoded>.fromOpaque(target).takeUnretainedValue().bytes
                    .append(contentsOf: UnsafeBufferPointer(start: map.data, count: Int(map.size)))
                return GST_FLOW_OK
            },
            Unmanaged.passRetained(encoded).toOpaque(), { $0.map { Unmanaged<Encoded>.fromOpaque($0).release() } })
    }
}
