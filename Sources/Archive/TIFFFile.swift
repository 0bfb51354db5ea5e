import TensorKernels

/// Anomaly maps as images that evaluators read: 32-bit float greyscale TIFF 6.0, little endian, one uncompressed strip.
///
/// Made for the official MVTec AD and LOCO evaluation scripts, `tifffile` and Pillow; every value is kept bit for bit.
public enum TIFFFile {
    /// Replaces the file at `path` and creates the directories above it.
    ///
    /// - Parameter map: `[height, width]` or `[1, height, width]`.
    /// - Precondition: The map has that shape, is not empty and stays below 2³² bytes, which is as far as TIFF counts.
    public static func write(_ map: Tensor, to path: String) throws(FileError) {
        try AtomicFile.createDirectory(AtomicFile.split(path).directory)
        try AtomicFile.replace(path, with: bytes(of: map))
    }

    /// The whole file.
    static func bytes(of map: Tensor) -> [UInt8] {
        let rank = map.shape.count
        precondition(rank == 2 || rank == 3 && map.shape[0] == 1, "a map is [height, width], not \(map.shape)")
        let (height, width) = (map.shape[rank - 2], map.shape[rank - 1])
        precondition(height > 0 && width > 0, "a map of \(height)×\(width) has no pixels")
        precondition(map.count < 1 << 29, "a map of \(height)×\(width) is too large for TIFF")

        // Header, directory, the two resolutions, pixels: all at offsets that are known beforehand.
        let entryCount = 13
        let directoryEnd = 8 + 2 + 12 * entryCount + 4
        let resolutionOffset = (directoryEnd + 3) / 4 * 4
        let pixelOffset = resolutionOffset + 8
        var file = LittleEndianBytes()
        file.append(contentsOf: Array("II".utf8))
        file.append(UInt16(42))
        file.append(UInt32(8))
        file.append(UInt16(entryCount))
        file.appendEntry(256, long: width)  // ImageWidth
        file.appendEntry(257, long: height)  // ImageLength
        file.appendEntry(258, short: 32)  // BitsPerSample
        file.appendEntry(259, short: 1)  // Compression: none
        file.appendEntry(262, short: 1)  // PhotometricInterpretation: black is zero
        file.appendEntry(273, long: pixelOffset)  // StripOffsets
        file.appendEntry(277, short: 1)  // SamplesPerPixel
        file.appendEntry(278, long: height)  // RowsPerStrip
        file.appendEntry(279, long: 4 * map.count)  // StripByteCounts
        file.appendEntry(282, rationalAt: resolutionOffset)  // XResolution
        file.appendEntry(283, rationalAt: resolutionOffset)  // YResolution, the same
        file.appendEntry(296, short: 1)  // ResolutionUnit: none
        file.appendEntry(339, short: 3)  // SampleFormat: IEEE float
        file.append(UInt32(0))  // no further directory
        file.append(contentsOf: Array(repeating: 0, count: resolutionOffset - directoryEnd))
        file.append(UInt32(1))  // one
        file.append(UInt32(1))  // over one
        map.values.withUnsafeBytes { file.append(contentsOf: $0) }
        return file.bytes
    }
}

private struct LittleEndianBytes {
    private(set) var bytes: [UInt8] = []

    mutating func append(_ value: some FixedWidthInteger) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func append(contentsOf more: some Sequence<UInt8>) { bytes.append(contentsOf: more) }

    mutating func appendEntry(_ tag: UInt16, short value: UInt16) {
        appendEntry(tag, type: 3, UInt32(value))
    }

    mutating func appendEntry(_ tag: UInt16, long value: Int) { appendEntry(tag, type: 4, UInt32(value)) }

    mutating func appendEntry(_ tag: UInt16, rationalAt offset: Int) { appendEntry(tag, type: 5, UInt32(offset)) }

    /// One value, or where it lies; a short takes the lower half of the field, which comes first.
    private mutating func appendEntry(_ tag: UInt16, type: UInt16, _ value: UInt32) {
        append(tag)
        append(type)
        append(UInt32(1))
        append(value)
    }
}
