import Foundation
import Imaging

@testable import Capture

/// What a frame said, copied out, so that its token is free again.
struct PulledFrame {
    let number: UInt64
    let width: Int
    let height: Int
    let capturedAt: MonotonicInstant
    let presentationTime: Duration?
    let flags: Frame.Flags
    let fileName: String?
    let pixels: [UInt8]

    init(_ frame: Frame) {
        number = frame.number
        width = frame.width
        height = frame.height
        capturedAt = frame.capturedAt
        presentationTime = frame.presentationTime
        flags = frame.flags
        fileName = frame.fileName
        pixels = frame.pixels
    }
}

extension FrameSource {
    /// Pulls until the end; errors come through, and so does a source that does not end.
    func pullAll(limit: Duration = .seconds(30)) throws -> [PulledFrame] {
        let (frames, error) = pullUntilError(limit: limit)
        if let error { throw error }
        return frames
    }

    /// The frames before the end or the error, and the error.
    func pullUntilError(limit: Duration = .seconds(30)) -> (frames: [PulledFrame], error: (any Error)?) {
        var frames: [PulledFrame] = []
        let deadline = ContinuousClock.now + limit
        do {
            while true {
                switch try next(timeout: .milliseconds(200)) {
                case .frame(let frame): frames.append(PulledFrame(frame))
                case .ended: return (frames, nil)
                case .timedOut: if ContinuousClock.now > deadline { throw DidNotEnd(limit: limit) }
                }
            }
        } catch {
            return (frames, error)
        }
    }
}

extension FramePull {
    var frame: Frame? { if case .frame(let frame) = self { frame } else { nil } }
    var isEnded: Bool { if case .ended = self { true } else { false } }
    var isTimedOut: Bool { if case .timedOut = self { true } else { false } }
}

struct DidNotEnd: Error {
    let limit: Duration
}

extension Frame {
    var pixels: [UInt8] { withPixels { span in (0..<span.count).map { span[$0] } } }
}

extension PipelineSource {
    /// A source that is not live, over a text.
    static func offline(_ text: String, tokens: Int = 4) throws -> PipelineSource {
        try PipelineSource(pipeline: text, pool: FramePool(capacity: tokens), configuration: .init(isLive: false))
    }
}

/// Runs `body` with a new folder that is removed afterwards.
func withTemporaryFolder(_ body: (URL) throws -> Void) throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "beltwatch-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try body(folder)
}

/// The folder of the repository.
let repository = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

/// A file of `../shared`, or nil when it is not on this machine, which is said.
func sharedFile(_ path: String) -> String? {
    let file = repository.deletingLastPathComponent().appending(path: "shared").appending(path: path).path
    if FileManager.default.fileExists(atPath: file) { return file }
    print("skipped: ../shared/\(path) is not here")
    return nil
}
