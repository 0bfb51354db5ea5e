import CGStreamer

/// Pictures in GStreamer's memory.
enum PictureBuffer {
    /// A copy of a picture, with the padding at the end of each row that GStreamer expects.
    ///
    /// - Parameters:
    ///   - pixels: Rows from top to bottom, without padding.
    ///   - bytesPerRow: Without padding.
    /// - Returns: One reference, which the caller hands on.
    static func make(copying pixels: Span<UInt8>, bytesPerRow: Int) -> UnsafeMutablePointer<GstBuffer> {
        let rows = pixels.count / bytesPerRow
        // Rows begin at multiples of four bytes (gst_video_info_set_format).
        let stride = (bytesPerRow + 3) / 4 * 4
        guard let buffer = gst_buffer_new_allocate(nil, gsize(stride * rows), nil) else {
            preconditionFailure("out of memory for a picture of \(stride * rows) bytes")
        }
        var map = GstMapInfo()
        gst_buffer_map(buffer, &map, GST_MAP_WRITE)
        defer { gst_buffer_unmap(buffer, &map) }
        pixels.withUnsafeBytes { pixels in
            guard let target = map.data, let start = pixels.baseAddress else { return }
            for row in 0..<rows {
                UnsafeMutableRawPointer(target + row * stride)
                    .copyMemory(from: start + row * bytesPerRow, byteCount: bytesPerRow)
            }
        }
        return buffer
    }
}
