/// Where frames come from: a camera, a recording, a folder of images, a generator.
///
/// The daemon and replay run the same pipeline; only the source differs. One thread pulls; `stop` may come from any.
public protocol FrameSource: Sendable {
    /// Whether the frames are happening now.
    ///
    /// A recording, a folder or a generator is not live: everything it leads to is marked `simulated`.
    var isLive: Bool { get }

    /// The next frame, waiting for it at most `timeout`.
    ///
    /// Errors carry a description that names the element and the reason. After one, the source yields nothing more.
    func next(timeout: Duration) throws -> FramePull

    /// Ends the stream; a waiting `next` returns `.ended` soon after. Calling it again does nothing.
    func stop()
}

/// What one pull from a `FrameSource` gave.
public enum FramePull: Sendable {
    case frame(Frame)

    /// Nothing came in time; ask again.
    case timedOut

    /// The stream is over, orderly.
    case ended
}
