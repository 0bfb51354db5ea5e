import Foundation
import Imaging
import Testing

@testable import Capture

@Suite struct RecordingTests {
    /// Every byte value in no order that a codec could like.
    private func noise(width: Int, height: Int, seed: UInt64) -> [UInt8] {
        var state = seed &* 2 &+ 1
        return (0..<width * height * 3).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return UInt8(truncatingIfNeeded: state >> 56)
        }
    }

    private func open(_ path: String) throws -> PipelineSource {
        try RecordingSource.open(path: path, pool: FramePool(capacity: 4))
    }

    @Test func aWrittenRecordingGivesBackTheSamePixelsAndTimes() throws {
        try withTemporaryFolder { folder in
            // Quotes and blanks mean something in a gst-launch text, a path may contain them.
            let path = folder.appending(path: "a \"belt\" ! .mkv").path
            let pictures = (0..<31).map { noise(width: 131, height: 62, seed: $0) }
            let writer = try RecordingWriter(path: path, width: 131, height: 62, framesPerSecond: 30)
            for picture in pictures { try writer.append(picture) }
            #expect(!FileManager.default.fileExists(atPath: path), "before it is whole")
            try writer.finish()

            let frames = try open(path).pullAll()
            #expect(frames.count == pictures.count)
            for (index, frame) in frames.enumerated() {
                #expect(frame.pixels == pictures[index], "frame \(index)")
                #expect(frame.presentationTime == .nanoseconds(index * 1_000_000_000 / 30))
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).count == 1)
        }
    }

    @Test func anUnfinishedRecordingLeavesNothingBehind() throws {
        try withTemporaryFolder { folder in
            do {
                let writer = try RecordingWriter(
                    path: folder.appending(path: "a.mkv").path, width: 64, height: 48, framesPerSecond: 25)
                try writer.append(noise(width: 64, height: 48, seed: 1))
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
        }
    }

    @Test func aFolderThatDoesNotExistIsNamed() {
        #expect {
            let writer = try RecordingWriter(path: "/nonexistent/a.mkv", width: 64, height: 48, framesPerSecond: 25)
            try writer.append([UInt8](repeating: 0, count: 64 * 48 * 3))
            try writer.finish()
        } throws: { error in
            guard case .cannotWrite(path: "/nonexistent/a.mkv", _) = error as? CaptureWritingError else { return false }
            return true
        }
    }

    @Test func aFileThatIsMissingOrNoVideoIsNamed() throws {
        #expect(throws: CaptureError.self) { try open("/nonexistent/a.mkv") }
        try withTemporaryFolder { folder in
            let path = folder.appending(path: "a.mp4").path
            for contents in ["", "GIF89a", "no video at all, and a few words more for the type finder to chew on"] {
                try contents.write(toFile: path, atomically: true, encoding: .utf8)
                #expect(throws: CaptureError.self, "\(contents)") { try open(path).pullAll() }
            }
            #expect(throws: CaptureError.self) { try open(folder.path).pullAll() }
        }
    }

    /// What becomes of the first part of a file, and of the whole.
    private func checkTruncation(
        _ path: String, frameCount: Int, isExpected: (CaptureError) -> Bool, source: SourceLocation = #_sourceLocation
    ) throws {
        #expect(try open(path).pullAll().count == frameCount, sourceLocation: source)
        let contents = try #require(FileManager.default.contents(atPath: path))
        for share in [0.5, 0.9, 0.98] {
            let part = path + ".part"
            try contents.prefix(Int(Double(contents.count) * share)).write(to: URL(filePath: part))
            let (frames, error) = openAndPull(part)
            // The last two hundredths may be an index that nobody misses.
            #expect(frames.count < frameCount || share == 0.98, sourceLocation: source)
            let captureError = error as? CaptureError
            #expect(
                captureError.map(isExpected) == true,
                "\(share) of the file, \(frames.count) frames, \(String(describing: error))", sourceLocation: source)
        }
    }

    private func openAndPull(_ path: String) -> (frames: [PulledFrame], error: (any Error)?) {
        do {
            return try open(path).pullUntilError()
        } catch {
            return ([], error)
        }
    }

    private func make(_ path: String, _ encoding: String) throws {
        // Two seconds, by gst-launch's own parser and a pipeline of ours.
        let text =
            "videotestsrc num-buffers=50 pattern=ball ! video/x-raw,format=I420,width=160,height=120,framerate=25/1"
            + " ! \(encoding) ! filesink name=file location=\(path)"
        let pipeline = try Pipeline(parsing: text, shownText: text)
        try pipeline.change(to: .playing, within: .seconds(10))
        #expect(try pipeline.waitForEnd(atMost: .seconds(20)))
        try pipeline.change(to: .stopped, within: .seconds(10))
    }

    @Test func aTruncatedMatroskaFileIsNoSuccess() throws {
        try withTemporaryFolder { folder in
            let path = folder.appending(path: "a.mkv").path
            try make(path, "jpegenc ! matroskamux")
            try checkTruncation(path, frameCount: 50) { error in
                switch error {
                case .truncated(_, let expected, let delivered): expected == .seconds(2) && delivered < expected
                case .incompleteFile(_, let stated, let found, let frames): stated > found && frames >= 43
                default: false
                }
            }
        }
    }

    @Test func aTruncatedMP4FileIsNoSuccess() throws {
        try withTemporaryFolder { folder in
            // With its index at the end, half a file gives nothing; with it in front, half the frames.
            for (name, options) in [("a.mp4", ""), ("b.mp4", "faststart=true")] {
                let path = folder.appending(path: name).path
                try make(path, "jpegenc ! qtmux \(options)")
                try checkTruncation(path, frameCount: 50) { error in
                    switch error {
                    case .truncated: !options.isEmpty
                    case .incompleteFile(_, let stated, let found, _): stated > found
                    default: false
                    }
                }
            }
        }
    }

    @Test func aTruncatedAVIFileIsNoSuccess() throws {
        try withTemporaryFolder { folder in
            let path = folder.appending(path: "a.avi").path
            try make(path, "jpegenc ! avimux")
            try checkTruncation(path, frameCount: 50) { error in
                if case .incompleteFile(_, let stated, let found, let frames) = error {
                    stated > found && frames > 0
                } else {
                    false
                }
            }
        }
    }

    @Test func theSharedRecordingHasAllItsFrames() throws {
        guard let path = sharedFile("video/bottle-detection.mp4") else { return }
        let source = try open(path)
        var count: UInt64 = 0
        var last: Frame?
        while case .frame(let frame) = try source.next(timeout: .seconds(10)) {
            #expect(frame.number == count && frame.width == 640 && frame.height == 360)
            count += 1
            last = frame
        }
        // 39.85 s at 29.83 frames per second.
        #expect(count == 1189)
        #expect(abs(try #require(last?.presentationTime).seconds - 39.82) < 0.01)
    }
}
