import Foundation
import Imaging
import Testing

@testable import Capture

@Suite struct ImageFileTests {
    private func picture(width: Int, height: Int, channels: Int) -> [UInt8] {
        (0..<width * height * channels).map { UInt8(truncatingIfNeeded: $0 &* $0 &* 31 &+ $0 &* 7) }
    }

    @Test func writtenPicturesAreReadBackExactly() throws {
        try withTemporaryFolder { folder in
            let path = folder.appending(path: "a b.png").path
            for (width, height) in [(1, 1), (7, 5), (642, 3), (256, 256)] {
                let colour = picture(width: width, height: height, channels: 3)
                try PNGWriter.write(pixels: colour, width: width, height: height, channels: 3, to: path)
                let frame = try decodeImage(at: path)
                #expect(frame.width == width && frame.height == height && frame.fileName == "a b.png")
                #expect(frame.pixels == colour)

                let grey = picture(width: width, height: height, channels: 1)
                try PNGWriter.write(pixels: grey, width: width, height: height, channels: 1, to: path)
                #expect(try decodeImage(at: path).pixels == grey.flatMap { [$0, $0, $0] })
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["a b.png"])
        }
    }

    @Test func encodedFramesAreReadBackExactly() throws {
        try withTemporaryFolder { folder in
            let path = folder.appending(path: "a.png")
            for (width, height) in [(1, 1), (7, 5), (642, 3), (640, 480)] {
                let colour = picture(width: width, height: height, channels: 3)
                let frame = Frame(
                    number: 0, width: width, height: height, capturedAt: .now,
                    pixels: PixelBuffer(count: colour.count) { span in
                        for index in span.indices { span[index] = colour[index] }
                    })
                try Data(PNGEncoder.encode(frame)).write(to: path)
                #expect(try decodeImage(at: path.path).pixels == colour)
            }
        }
    }

    @Test func everyKindOfFileDecodesAsInPillow() throws {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Images")
        let golden = try #require(FileManager.default.contents(atPath: folder.appending(path: "pillow.json").path))
        let expected = try JSONDecoder().decode([String: PillowImage].self, from: golden)
        #expect(expected.count == 8)
        for (name, image) in expected {
            let frame = try decodeImage(at: folder.appending(path: name).path)
            #expect(frame.width == image.width && frame.height == image.height, "\(name)")
            let difference = zip(frame.pixels, image.rgb).map { abs(Int($0) - Int($1)) }.max() ?? .max
            #expect(frame.pixels.count == image.rgb.count && difference <= image.tolerance, "\(name): \(difference)")
        }
    }

    private struct PillowImage: Decodable {
        let width: Int
        let height: Int
        let tolerance: Int
        let rgb: [UInt8]
    }

    @Test func aFolderIsReadInTheOrderOfNamesWithItsSizes() throws {
        try withTemporaryFolder { folder in
            try makeFolder(folder)
            let source = try ImageFolderSource(directory: folder.path, pool: FramePool(capacity: 1))
            let frames = try source.pullAll()
            #expect(!source.isLive)
            #expect(frames.map(\.fileName) == ["a.png", "c.PNG", "e.png"])
            #expect(frames.map(\.number) == [0, 2, 4])
            #expect(frames.map(\.width) == [10, 30, 20])
            #expect(frames.map { $0.flags.contains(.discontinuity) } == [false, true, true])
            #expect(source.skipped.map(\.fileName) == ["b.png", "d.jpg"])
            #expect(source.skipped[1].reason.contains("d.jpg is not a whole PNG or JPEG image"))
        }
    }

    @Test func unreadableImagesCanBeRefused() throws {
        try withTemporaryFolder { folder in
            try makeFolder(folder)
            let source = try ImageFolderSource(
                directory: folder.path, pool: FramePool(capacity: 1), unreadableImages: .refuse)
            let (frames, error) = source.pullUntilError()
            #expect(frames.map(\.fileName) == ["a.png"])
            guard case .notAnImage(let path, _) = error as? CaptureError else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(path.hasSuffix("/b.png"))
        }
    }

    /// Three good images of different sizes, a damaged one, one that is none, and other files.
    private func makeFolder(_ folder: URL) throws {
        for (name, width) in [("e.png", 20), ("a.png", 10), ("c.PNG", 30), ("b.png", 40)] {
            try PNGWriter.write(
                pixels: picture(width: width, height: 9, channels: 3), width: width, height: 9, channels: 3,
                to: folder.appending(path: name).path)
        }
        let damaged = folder.appending(path: "b.png")
        try Data(contentsOf: damaged).dropLast(100).write(to: damaged)
        try Data("no picture".utf8).write(to: folder.appending(path: "d.jpg"))
        try Data("notes".utf8).write(to: folder.appending(path: "readme.txt"))
    }

    @Test func everyDamageIsNoticed() throws {
        try withTemporaryFolder { folder in
            let images = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Images")
            for name in ["rgb.png", "colour.jpg"] {
                let whole = try Data(contentsOf: images.appending(path: name))
                let path = folder.appending(path: name).path
                for length in [0, 1, 9, 40, whole.count / 2, whole.count - 2] {
                    try whole.prefix(length).write(to: URL(filePath: path))
                    #expect(throws: CaptureError.self, "\(name), \(length) bytes") { try decodeImage(at: path) }
                }
            }
            var flipped = try Data(contentsOf: images.appending(path: "rgb.png"))
            flipped[flipped.count / 2] ^= 0xFF
            let path = folder.appending(path: "flipped.png").path
            try flipped.write(to: URL(filePath: path))
            #expect(throws: CaptureError.notAnImage(path: path, reason: "the decoder refuses its contents")) {
                try decodeImage(at: path)
            }
        }
    }

    @Test func foldersWithoutImagesAreErrors() throws {
        try withTemporaryFolder { folder in
            #expect(throws: CaptureError.noImages(directory: folder.path)) {
                try ImageFolderSource(directory: folder.path, pool: FramePool(capacity: 1))
            }
            try Data("no picture".utf8).write(to: folder.appending(path: "d.png"))
            #expect(throws: CaptureError.noFrames(source: folder.path)) {
                try ImageFolderSource(directory: folder.path, pool: FramePool(capacity: 1)).pullAll()
            }
        }
        #expect(throws: CaptureError.self) {
            try ImageFolderSource(directory: "/nonexistent", pool: FramePool(capacity: 1))
        }
    }

    @Test func aFolderWaitsForTokensAndStops() throws {
        try withTemporaryFolder { folder in
            try makeFolder(folder)
            let source = try ImageFolderSource(directory: folder.path, pool: FramePool(capacity: 1))
            let first = try #require(try source.next(timeout: .seconds(10)).frame)
            #expect(try source.next(timeout: .milliseconds(10)).isTimedOut)
            source.stop()
            #expect(try source.next(timeout: .seconds(10)).isEnded)
            #expect(first.number == 0)
        }
    }
}
