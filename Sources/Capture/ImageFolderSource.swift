import Foundation
import Imaging
import Locking

/// Frames from PNG and JPEG files, sorted by name; their sizes may differ.
///
/// A file's frame has the file's place in the order as its number. So a file that was skipped leaves a gap, like any
/// frame that was lost, and the frame after it carries `.discontinuity`.
public final class ImageFolderSource: FrameSource {
    /// What happens to a file that cannot be decoded.
    public enum UnreadableImages: Hashable, Sendable {
        /// It is left out and listed in `skipped`.
        case skip

        /// It ends the stream with the error that names it.
        case refuse
    }

    /// A file that was left out, and why.
    public struct SkippedImage: Hashable, Sendable {
        public let fileName: String
        public let reason: String
    }

    private struct Reading {
        var nextIndex = 0
        var isOver = false
        var isAfterGap = false
        var deliveredFrames = 0
        /// A decoded file that found no token.
        var waiting: Sample?
    }

    public var isLive: Bool { false }

    /// The files, in the order of their frames.
    public let paths: [String]

    private let source: String
    private let pool: FramePool
    private let unreadableImages: UnreadableImages
    private let reading = Lock(Reading())
    private let skippedImages = Lock<[SkippedImage]>([])
    private let isStopped = Lock(false)

    /// How long one wait lasts before the flag is looked at again.
    private static let slice: Duration = .milliseconds(50)

    /// All PNG and JPEG files (by their endings) of a folder, not of the folders in it.
    public convenience init(
        directory: String, pool: FramePool, unreadableImages: UnreadableImages = .skip
    ) throws(CaptureError) {
        let names: [String]
        do {
            names = try FileManager.default.contentsOfDirectory(atPath: directory)
        } catch {
            throw .cannotOpen(path: directory, reason: PipelineText.reason(of: error))
        }
        let images = names.filter { name in
            !name.hasPrefix(".") && [".png", ".jpg", ".jpeg"].contains { name.lowercased().hasSuffix($0) }
        }
        if images.isEmpty { throw .noImages(directory: directory) }
        self.init(
            paths: images.sorted().map { URL(filePath: directory).appending(path: $0).path },
            source: directory, pool: pool, unreadableImages: unreadableImages)
    }

    /// The files with these paths, in this order.
    public convenience init(paths: [String], pool: FramePool, unreadableImages: UnreadableImages = .skip) {
        self.init(
            paths: paths, source: "a list of \(paths.count) images", pool: pool, unreadableImages: unreadableImages)
    }

    private init(paths: [String], source: String, pool: FramePool, unreadableImages: UnreadableImages) {
        self.paths = paths
        self.source = source
        self.pool = pool
        self.unreadableImages = unreadableImages
    }

    /// The files that were left out so far.
    public var skipped: [SkippedImage] { skippedImages.withLock { $0 } }

    /// The next frame; a frame's file name is its file's name without the folder.
    ///
    /// `timeout` bounds the wait for a free token; decoding comes on top.
    ///
    /// - Throws: `CaptureError`: the file that cannot be read, if those are refused, or `.noFrames` when there was none
    ///   that can. Afterwards the source has ended.
    public func next(timeout: Duration) throws -> FramePull {
        try reading.withLock { reading throws(CaptureError) in
            if reading.isOver { return .ended }
            do throws(CaptureError) {
                let pulled = try pull(timeout: timeout, &reading)
                if case .ended = pulled { reading.isOver = true }
                return pulled
            } catch {
                reading.isOver = true
                throw error
            }
        }
    }

    public func stop() { isStopped.withLock { $0 = true } }

    private func pull(timeout: Duration, _ reading: inout Reading) throws(CaptureError) -> FramePull {
        let deadline = MonotonicInstant.now.advanced(by: timeout)
        while !isStopped.withLock({ $0 }) {
            guard reading.nextIndex < paths.count else {
                if reading.deliveredFrames == 0 { throw .noFrames(source: source) }
                return .ended
            }
            let wait = min(max(MonotonicInstant.now.duration(to: deadline), .zero), Self.slice)
            if pool.waitForToken(timeout: wait) {
                if let frame = try decodeNext(&reading) { return .frame(frame) }
            } else if MonotonicInstant.now >= deadline {
                return .timedOut
            }
        }
        return .ended
    }

    /// One step: the next file as a frame, or nil when it was skipped or found no token.
    private func decodeNext(_ reading: inout Reading) throws(CaptureError) -> Frame? {
        let path = paths[reading.nextIndex]
        let fileName = URL(filePath: path).lastPathComponent
        do throws(CaptureError) {
            if reading.waiting == nil { reading.waiting = try decodedSample(ofImageAt: path) }
            guard let sample = reading.waiting else { return nil }
            guard let size = sample.size else {
                throw .notAnImage(path: path, reason: "it decodes to \(sample.caps)")
            }
            guard let pixels = try sample.copyPixels(into: pool.makeBuffer(count:fill:)) else { return nil }
            defer {
                reading.waiting = nil
                reading.isAfterGap = false
                reading.nextIndex += 1
                reading.deliveredFrames += 1
            }
            return Frame(
                number: UInt64(reading.nextIndex), width: size.width, height: size.height, capturedAt: .now,
                flags: reading.isAfterGap ? .discontinuity : [], fileName: fileName, pixels: pixels)
        } catch {
            if unreadableImages == .refuse { throw error }
            let skipped = SkippedImage(fileName: fileName, reason: error.description)
            skippedImages.withLock { $0.append(skipped) }
            reading.waiting = nil
            reading.isAfterGap = true
            reading.nextIndex += 1
            return nil
        }
    }
}
