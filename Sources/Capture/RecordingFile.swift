import Foundation

/// What the headers of a video file say about its own length.
///
/// Demuxers play what is there and then end, orderly; and AVI's even takes the stated duration from what it found. The
/// sizes that the outermost structures of a file carry tell a whole file from the beginning of one.
struct RecordingFile: Hashable, Sendable {
    let path: String
    let foundBytes: UInt64
    /// How long the file is at least, by its own account; nil where it does not say (a recorder that was killed, formats
    /// without such sizes).
    let statedBytes: UInt64?

    /// Whether the index is there that this kind of file cannot be played without.
    private let isPlayable: Bool

    init(path: String) throws(CaptureError) {
        self.path = path
        let isGIF: Bool
        do {
            let file = try FileHandle(forReadingFrom: URL(filePath: path))
            foundBytes = try file.seekToEnd()
            isGIF = try Self.bytes(of: file, at: 0, count: 4).elementsEqual("GIF8".utf8)
            (statedBytes, isPlayable) = try Self.length(of: file, foundBytes: foundBytes)
        } catch {
            throw .cannotOpen(path: path, reason: PipelineText.reason(of: error))
        }
        if isGIF {
            throw .cannotOpen(
                path: path,
                reason:
                    "GStreamer 1.22 neither times the frames of a GIF nor finds its end; convert it to another format")
        }
        // The demuxer would look for the index and neither find it nor end.
        if !isPlayable { try check(deliveredFrames: 0) }
    }

    /// - Throws: `.incompleteFile` when the end of the file is missing.
    func check(deliveredFrames: UInt64) throws(CaptureError) {
        guard let statedBytes, statedBytes > foundBytes else { return }
        throw .incompleteFile(
            path: path, statedBytes: statedBytes, foundBytes: foundBytes, deliveredFrames: deliveredFrames)
    }

    private static func length(
        of file: FileHandle, foundBytes: UInt64
    ) throws -> (statedBytes: UInt64?, isPlayable: Bool) {
        let head = try bytes(of: file, at: 0, count: 12)
        if head.starts(with: Array("RIFF".utf8)) { return (endOfRIFF(head), true) }
        if head.starts(with: [0x1A, 0x45, 0xDF, 0xA3]) { return (try endOfMatroskaSegment(file), true) }
        if head.dropFirst(4).starts(with: Array("ftyp".utf8)) { return try endOfBoxes(file, foundBytes: foundBytes) }
        return (nil, true)
    }

    private static func bytes(of file: FileHandle, at offset: UInt64, count: Int) throws -> [UInt8] {
        try file.seek(toOffset: offset)
        return [UInt8](try file.read(upToCount: count) ?? Data())
    }

    private static func bigEndian(_ bytes: some Collection<UInt8>) -> UInt64 {
        bytes.reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// AVI: "RIFF", and the little-endian size of what follows. A recorder that was killed left zero there.
    private static func endOfRIFF(_ head: [UInt8]) -> UInt64? {
        guard head.count == 12 else { return nil }
        let size = bigEndian(head[4..<8].reversed())
        return size == 0 || size == 0xFFFF_FFFF ? nil : 8 + size
    }

    /// MP4 (ISO/IEC 14496-12 §4.2): boxes one after the other, each led by its size; `moov` is the index.
    private static func endOfBoxes(
        _ file: FileHandle, foundBytes: UInt64
    ) throws -> (statedBytes: UInt64?, isPlayable: Bool) {
        var offset: UInt64 = 0
        var hasIndex = false
        while offset < foundBytes {
            let head = try bytes(of: file, at: offset, count: 16)
            guard head.count == 16 else { return (offset + 16, hasIndex) }
            let isIndex = head[4..<8].elementsEqual("moov".utf8)
            let shortSize = bigEndian(head[0..<4])
            // 0: up to the end of the file, wherever that is; 1: the size follows in eight bytes.
            if shortSize == 0 { return (foundBytes, hasIndex || isIndex) }
            let size = shortSize == 1 ? bigEndian(head[8..<16]) : shortSize
            let (end, overflow) = offset.addingReportingOverflow(size)
            guard size >= 8, !overflow else { return (nil, hasIndex) }
            if isIndex { hasIndex = end <= foundBytes }
            offset = end
        }
        return (offset, hasIndex)
    }

    /// Matroska (RFC 8794 §4–6): the EBML header, then one segment that holds everything else.
    private static func endOfMatroskaSegment(_ file: FileHandle) throws -> UInt64? {
        guard let header = try element(of: file, at: 0), let headerSize = header.size,
            let segment = try element(of: file, at: header.start + headerSize), segment.identifier == 0x1853_8067,
            let size = segment.size
        else { return nil }
        let (end, overflow) = segment.start.addingReportingOverflow(size)
        return overflow ? nil : end
    }

    /// An EBML element with a four-byte identifier: where its contents begin, and their size if that is known.
    private static func element(
        of file: FileHandle, at offset: UInt64
    ) throws -> (identifier: UInt64, start: UInt64, size: UInt64?)? {
        let head = try bytes(of: file, at: offset, count: 12)
        guard head.count >= 5 else { return nil }
        // The leading zeros of the first byte tell how many bytes the number has; all ones means unknown.
        let length = head[4].leadingZeroBitCount + 1
        guard length <= 8, head.count >= 4 + length else { return nil }
        let mask = UInt64(1) << UInt64(7 * length) - 1
        let size = bigEndian(head[4..<4 + length]) & mask
        return (bigEndian(head[0..<4]), offset + 4 + UInt64(length), size == mask ? nil : size)
    }
}
