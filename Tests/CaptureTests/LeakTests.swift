import Foundation
import Imaging
import Testing

@testable import Capture

/// GStreamer's own leak tracer, in processes of their own: it has to be asked for before the library starts, and it
/// speaks when the library ends.
@Suite struct LeakTests {
    @Test func everyWayThroughCaptureGivesItsObjectsBack() async throws {
        let child = await #expect(processExitsWith: .success, observing: [\.standardErrorContent]) {
            try LeakTracer.reportObjectsAlive {
                try useEverything()
            }
        }
        let alive = LeakTracer.objects(in: try #require(child).standardErrorContent)
        #expect(alive.isEmpty, "\(alive.joined(separator: "\n"))")
    }

    @Test func theTracerSeesALeak() async throws {
        let child = await #expect(processExitsWith: .success, observing: [\.standardErrorContent]) {
            try LeakTracer.reportObjectsAlive {
                let text = "videotestsrc ! fakesink name=kept"
                // A reference that nobody gives back.
                _ = try Pipeline(parsing: text, shownText: text).retainedElement(named: "kept")
            }
        }
        let alive = LeakTracer.objects(in: try #require(child).standardErrorContent)
        #expect(alive.contains { $0.contains("GstFakeSink") }, "\(alive)")
    }
}

private enum LeakTracer {
    private static let mark = "object-alive"

    /// Runs `body`, ends GStreamer, and writes the tracer's line for each object that is still alive to standard error.
    ///
    /// Only in a process that has not started GStreamer yet.
    static func reportObjectsAlive(after body: () throws -> Void) throws {
        let log = FileManager.default.temporaryDirectory.appending(path: "beltwatch-leaks-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: log) }
        setenv("GST_TRACERS", "leaks", 1)
        setenv("GST_DEBUG", "GST_TRACER:7", 1)
        setenv("GST_DEBUG_FILE", log.path, 1)
        setenv("GST_DEBUG_NO_COLOR", "1", 1)
        try body()
        GStreamerLibrary.shutDown()
        let text = try String(contentsOf: log, encoding: .utf8)
        guard text.contains("GST_TRACER") else { throw TracerIsMissing() }
        // The tracer also declares, once, what such a line consists of.
        let lines = text.split(separator: "\n").filter { $0.contains(":: \(mark)") }
        FileHandle.standardError.write(Data(lines.map { $0 + "\n" }.joined().utf8))
    }

    /// The reported objects, from the standard error of the child.
    static func objects(in output: [UInt8]) -> [String] {
        String(decoding: output, as: UTF8.self).split(separator: "\n").filter { $0.contains(mark) }.map(String.init)
    }

    struct TracerIsMissing: Error {}
}

/// Frames to the end, stops in mid-stream, every kind of error, both writers, the encoder and the image reader.
private func useEverything() throws {
    try withTemporaryFolder { folder in
        let pixels = [UInt8](repeating: 90, count: 64 * 48 * 3)
        let recording = folder.appending(path: "a.mkv").path
        let writer = try RecordingWriter(path: recording, width: 64, height: 48, framesPerSecond: 25)
        for _ in 0..<5 { try writer.append(pixels) }
        try writer.finish()
        _ = try RecordingSource.open(path: recording, pool: FramePool(capacity: 2)).pullAll()

        try PNGWriter.write(
            pixels: pixels, width: 64, height: 48, channels: 3, to: folder.appending(path: "a.png").path)
        _ = try PNGEncoder.encode(pixels.span, width: 64, height: 48)
        try Data("no picture".utf8).write(to: folder.appending(path: "b.png"))
        _ = try ImageFolderSource(directory: folder.path, pool: FramePool(capacity: 2)).pullAll()

        for (name, width) in [("0.png", 64), ("1.png", 32)] {
            try PNGWriter.write(
                pixels: Array(pixels.prefix(width * 48 * 3)), width: width, height: 48, channels: 3,
                to: folder.appending(path: name).path)
        }
        let stopped = try PipelineSource.offline("videotestsrc")
        _ = try stopped.next(timeout: .seconds(10))
        stopped.stop()
        _ = try PipelineSource.offline("videotestsrc").next(timeout: .seconds(10))

        for text in [
            "videotestsrc ! identity error-after=3", "filesrc location=/nonexistent ! decodebin", "videotestsrc ! warp",
            "videotestsrc pattern=purple", "videotestsrc ! fakesink name=beltwatch",
            // A change of size. Not with `concat`, which itself sometimes leaks a buffer when it is stopped (1.22.0).
            "multifilesrc location=\(folder.path)/%d.png caps=image/png,framerate=1/1 ! pngdec",
        ] {
            do {
                _ = try PipelineSource.offline(text).pullAll()
                preconditionFailure("no error from \(text)")
            } catch is CaptureError {}
        }
    }
}
