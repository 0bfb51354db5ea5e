import CGStreamer
import Foundation
import Imaging

/// Reads one PNG or JPEG file as an RGB frame with number 0.
///
/// Grey is copied to all three channels, transparency is dropped, 16 bits become 8. PNG and grey JPEG files give the
/// values that Pillow's `convert("RGB")` gives; colours of JPEG files differ by a few steps (8 seen), as GStreamer computes
/// RGB from YCbCr with other rounding. CMYK files are refused.
public func decodeImage(at path: String) throws(CaptureError) -> Frame {
    let sample = try decodedSample(ofImageAt: path)
    guard let size = sample.size,
        let pixels = try sample.copyPixels(into: { PixelBuffer(count: $0, fill: $1) })
    else { throw .unreadableFrame(caps: sample.caps, frameNumber: 0) }
    return Frame(
        number: 0, width: size.width, height: size.height, capturedAt: .now,
        fileName: URL(filePath: path).lastPathComponent, pixels: pixels)
}

/// Decodes a whole file; the pixels can be copied from the sample later, when there is room for them.
func decodedSample(ofImageAt path: String) throws(CaptureError) -> Sample {
    let contents: Data
    do {
        contents = try Data(contentsOf: URL(filePath: path))
    } catch {
        throw .cannotOpen(path: path, reason: PipelineText.reason(of: error))
    }
    let kind = try ImageFileKind(of: contents, path: path)
    let pipeline = try Pipeline(
        parsing: PipelineText.endingInSink("appsrc name=file caps=\(kind.mediaType) ! \(kind.decoder)"), shownText: path
    )
    let sink = try SampleSink(of: pipeline, capacity: 1, dropsOldest: false, keepsTime: false, text: path)
    let file = AppSource(in: pipeline, named: "file")
    file.push(bytes: contents)
    file.end()
    defer { try? pipeline.change(to: .stopped, within: decodingLimit) }

    do throws(CaptureError) {
        try pipeline.change(to: .playing, within: decodingLimit)
        let sample = sink.pull(atMost: decodingLimit)
        // The end of the file can still bring an error, so wait for it.
        let isWhole = try pipeline.waitForEnd(atMost: decodingLimit)
        guard let sample, isWhole else {
            throw CaptureError.notAnImage(path: path, reason: "it decodes to no picture")
        }
        return sample
    } catch {
        guard case .elementFailed(let element, let reason, let detail) = error else { throw error }
        // A decoder without words of its own only refuses the data, and our source reports that.
        if element == "file" { throw .notAnImage(path: path, reason: "the decoder refuses its contents") }
        throw .notAnImage(path: path, reason: reason + (detail.map { " (\($0))" } ?? ""))
    }
}

/// No image takes this long; a decoder that does has hung.
private let decodingLimit: Duration = .seconds(10)

/// The image files that are read, told apart by their first bytes and not by their names.
private enum ImageFileKind {
    case png
    case jpeg

    var mediaType: String { self == .png ? "image/png" : "image/jpeg" }
    // The decoder's default inverse transform is fast and inexact: grey values come out one step off.
    var decoder: String { self == .png ? "pngdec" : "jpegdec idct-method=islow" }

    /// - Throws: `.notAnImage` for other files and for a JPEG file without its end, which the decoder would fill up with
    ///   grey and call a picture. (A PNG file without its end is refused by the decoder.)
    init(of contents: Data, path: String) throws(CaptureError) {
        if contents.starts(with: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) {
            self = .png
        } else if contents.starts(with: [0xFF, 0xD8, 0xFF]) {
            self = .jpeg
            if !Self.reachesEndOfJPEG(contents) { throw .notAnImage(path: path, reason: "the file is truncated") }
        } else {
            throw .notAnImage(
                path: path, reason: contents.isEmpty ? "the file is empty" : "its first bytes are neither")
        }
    }

    /// Whether the end marker FF D9 follows the compressed data (ITU-T T.81, B.1).
    ///
    /// The segments before the data are stepped over by their lengths, as an embedded preview has an end of its own.
    private static func reachesEndOfJPEG(_ contents: Data) -> Bool {
        let bytes = [UInt8](contents)
        let startOfScan: UInt8 = 0xDA
        var position = 2
        while position + 3 < bytes.count, bytes[position] == 0xFF {
            if bytes[position + 1] == 0xFF {
                // A fill byte before the marker.
                position += 1
                continue
            }
            let isLast = bytes[position + 1] == startOfScan
            position += 2 + Int(bytes[position + 2]) << 8 + Int(bytes[position + 3])
            if isLast { break }
        }
        guard position + 1 < bytes.count else { return false }
        return (position..<bytes.count - 1).contains { bytes[$0] == 0xFF && bytes[$0 + 1] == 0xD9 }
    }
}
