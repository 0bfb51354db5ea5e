/// Why no frames come, or no more of them.
public enum CaptureError: Error, Equatable, Sendable {
    /// GStreamer itself could not be initialised.
    case libraryUnavailable(reason: String)

    /// A gst-launch text is not a pipeline.
    ///
    /// `offset` counts the characters of `text` before what `message` complains about, where that can be told.
    case pipelineDoesNotParse(text: String, message: String, offset: Int?)

    /// A gst-launch text names elements that are not installed.
    case missingElements([String], text: String)

    /// The text names an element `beltwatch`, but that is not an `appsink`.
    case sinkIsNotAnAppSink(found: String, text: String)

    /// A pipeline that is said to be live plays a file.
    case recordingIsNotLive(element: String)

    /// A file with a pipeline in it contains comments only.
    case emptyPipeline(path: String)

    /// An element stopped the stream.
    case elementFailed(element: String, reason: String, detail: String?)

    /// An element did not start or stop in time; a driver or a server does not answer.
    case stateChangeTimedOut(state: String, limit: Duration)

    /// The frame size changed within one stream.
    case sizeChanged(from: PixelSize, to: PixelSize, frameNumber: UInt64)

    /// A frame arrived that is not RGB video, or whose memory could not be read.
    case unreadableFrame(caps: String, frameNumber: UInt64)

    /// The stream ended before its first frame.
    case noFrames(source: String)

    /// A recording ended before the duration that its container states.
    case truncated(source: String, expectedDuration: Duration, deliveredDuration: Duration)

    /// A recording's file is shorter than its own headers say.
    case incompleteFile(path: String, statedBytes: UInt64, foundBytes: UInt64, deliveredFrames: UInt64)

    /// A stream that is not live gives neither frames nor an end, nor an error.
    case stalled(source: String, limit: Duration)

    /// A file or folder cannot be opened.
    case cannotOpen(path: String, reason: String)

    /// A file is not a whole PNG or JPEG image.
    case notAnImage(path: String, reason: String)

    /// A folder holds no file with the name of a PNG or JPEG image.
    case noImages(directory: String)
}

/// Width and height of a picture, in pixels.
public struct PixelSize: Hashable, Sendable, CustomStringConvertible {
    public let width: Int
    public let height: Int

    public init(width: Int, height: Int) {
        self.width = width
        self.height = height
    }

    public var description: String { "\(width)×\(height)" }
}

extension CaptureError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .libraryUnavailable(let reason):
            "GStreamer does not start: \(reason)"
        case .pipelineDoesNotParse(let text, let message, let offset):
            "the pipeline does not parse: \(message)\n  \(text)" + (offset.map { "\n  \(Self.marker(at: $0))" } ?? "")
        case .missingElements(let names, let text):
            "the pipeline needs what is not installed: " + names.map(Self.installation).joined(separator: ", ")
                + "\n  \(text)"
        case .sinkIsNotAnAppSink(let found, _):
            "the element named beltwatch is a \(found); "
                + "name an appsink so, or none, and the frames are taken from the end of the pipeline"
        case .recordingIsNotLive(let element):
            "element \(element) plays a file, which is not happening now; a controller would act on it, so say that the "
                + "source is not live"
        case .emptyPipeline(let path):
            "\(path) holds no pipeline, only comments"
        case .elementFailed(let element, let reason, let detail):
            "element \(element) failed: \(reason)" + (detail.map { " (\($0))" } ?? "")
        case .stateChangeTimedOut(let state, let limit):
            "the pipeline did not reach \(state) within \(limit); its device or server does not answer"
        case .sizeChanged(let old, let new, let frameNumber):
            "frame \(frameNumber) is \(new), the frames before it were \(old); the size may not change within a stream"
        case .unreadableFrame(let caps, let frameNumber):
            "frame \(frameNumber) cannot be read as RGB: \(caps)"
        case .noFrames(let source):
            "\(source) ended without a single frame"
        case .truncated(let source, let expected, let delivered):
            "\(source) is truncated: frames for \(delivered) of the \(expected) that it states"
        case .incompleteFile(let path, let stated, let found, let frames):
            "\(path) is truncated: \(found) of at least \(stated) bytes, which gave \(frames) frames"
        case .stalled(let source, let limit):
            "\(source) gave no frame and did not end for \(limit)"
        case .cannotOpen(let path, let reason):
            "cannot open \(path): \(reason)"
        case .notAnImage(let path, let reason):
            "\(path) is not a whole PNG or JPEG image: \(reason)"
        case .noImages(let directory):
            "no PNG or JPEG image in \(directory)"
        }
    }

    private static func marker(at offset: Int) -> String {
        String(repeating: " ", count: offset) + "^"
    }

    private static func installation(of element: String) -> String {
        debianPackage(ofElement: element).map { "\(element) (Debian package \($0))" } ?? element
    }
}
