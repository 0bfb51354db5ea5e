import CGStreamer
import Foundation
import Glibc

/// Pictures in, a file out: what the image and the recording writer have in common.
///
/// The file is written beside its final name and renamed at the end, so the name always stands for a whole file.
final class EncodingPipeline {
    private let path: String
    private let pathInProgress: String
    private let pipeline: Pipeline
    private let source: AppSource
    private let size: PixelSize
    private let channels: Int
    private var isOver = false

    /// How many pictures may wait for the encoder; more would only use more memory.
    private static let waitingPictures = 4

    /// How long the encoder and the disk may make no progress.
    private static let stallLimit: Duration = .seconds(30)

    /// - Parameters:
    ///   - encoder: Elements from raw pictures to the file's bytes, as a gst-launch text.
    ///   - channels: 1 for grey, 3 for red green blue.
    ///   - framesPerSecond: 0 for a single picture.
    init(
        path: String, encoder: String, size: PixelSize, channels: Int, framesPerSecond: Int
    ) throws(CaptureWritingError) {
        precondition(channels == 1 || channels == 3, "pictures are grey or red green blue")
        precondition(size.width > 0 && size.height > 0, "pictures have at least one pixel")
        self.path = path
        self.size = size
        self.channels = channels
        pathInProgress = "\(path).\(getpid()).partial"
        let caps =
            "video/x-raw,format=\(channels == 1 ? "GRAY8" : "RGB"),width=\(size.width),height=\(size.height),"
            + "framerate=\(framesPerSecond)/1"
        let text = "appsrc name=pictures format=time caps=\(caps) ! \(encoder) ! filesink name=file"
        do {
            pipeline = try Pipeline(parsing: text, shownText: text)
            pipeline.setLocation(ofElementNamed: "file", to: pathInProgress)
            source = AppSource(in: pipeline, named: "pictures")
            try pipeline.change(to: .playing, within: Self.stallLimit)
        } catch {
            throw .cannotWrite(path: path, reason: error.description)
        }
    }

    deinit { if !isOver { giveUp() } }

    /// Encodes one more picture; waits while the encoder is behind.
    ///
    /// - Precondition: `picture` has width · height · channels bytes, and `finish` was not called.
    func append(_ picture: [UInt8], time: UInt64, duration: UInt64) throws(CaptureWritingError) {
        precondition(!isOver, "the file is finished")
        precondition(picture.count == size.width * size.height * channels, "picture does not have the file's size")
        var waited: Duration = .zero
        let step: Duration = .milliseconds(2)
        repeat {
            if let error = pipeline.waitForError(atMost: source.waitingBuffers < Self.waitingPictures ? .zero : step) {
                throw fail(error)
            }
            waited += step
            if waited > Self.stallLimit {
                giveUp()
                throw .stalled(path: path, limit: Self.stallLimit)
            }
        } while source.waitingBuffers >= Self.waitingPictures
        source.push(picture: picture, bytesPerRow: size.width * channels, time: time, duration: duration)
    }

    /// Waits until everything is in the file, and gives it its name.
    func finish() throws(CaptureWritingError) {
        precondition(!isOver, "the file is finished")
        source.end()
        do throws(CaptureError) {
            guard try pipeline.waitForEnd(atMost: Self.stallLimit) else {
                giveUp()
                throw CaptureError.stateChangeTimedOut(state: "end of stream", limit: Self.stallLimit)
            }
            try pipeline.change(to: .stopped, within: Self.stallLimit)
        } catch .stateChangeTimedOut {
            giveUp()
            throw .stalled(path: path, limit: Self.stallLimit)
        } catch {
            throw fail(error)
        }
        isOver = true
        try publish()
    }

    private func publish() throws(CaptureWritingError) {
        let descriptor = open(pathInProgress, O_RDONLY | O_CLOEXEC)
        // The data must be on the disk before the name says so.
        let isDurable = descriptor >= 0 && fsync(descriptor) == 0 && rename(pathInProgress, path) == 0
        let reason = String(cString: strerror(errno))
        if descriptor >= 0 { close(descriptor) }
        if !isDurable {
            unlink(pathInProgress)
            throw .cannotWrite(path: path, reason: reason)
        }
    }

    private func fail(_ error: CaptureError) -> CaptureWritingError {
        giveUp()
        return .cannotWrite(path: path, reason: error.description)
    }

    private func giveUp() {
        guard !isOver else { return }
        isOver = true
        try? pipeline.change(to: .stopped, within: .seconds(2))
        unlink(pathInProgress)
    }
}
