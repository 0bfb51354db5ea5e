import Foundation

/// Pipelines as people write them: gst-launch texts, and files that hold one with comments.
///
/// What is written leads up to the frames; where it ends is up to us: a conversion to RGB and our `appsink` are
/// appended to the end of the text. A pipeline whose frames are to be taken elsewhere says so with an `appsink` of its
/// own that is called `beltwatch`:
///
///     v4l2src device=/dev/video0 ! tee name=t ! queue ! videoconvert ! appsink name=beltwatch  t. ! queue ! fakesink
///
/// Then nothing is appended, and the frames must reach that sink as `video/x-raw, format=RGB`.
public enum PipelineText {
    /// The name of the `appsink` that frames are taken from.
    public static let sinkName = "beltwatch"

    /// Reads a file of `Pipelines/`: lines that start with `#` are comments, the others are one gst-launch text.
    public static func load(path: String) throws(CaptureError) -> String {
        let contents: String
        do {
            contents = try String(contentsOfFile: path, encoding: .utf8)
        } catch {
            throw .cannotOpen(path: path, reason: reason(of: error))
        }
        let text = withoutComments(contents)
        if text.isEmpty { throw .emptyPipeline(path: path) }
        return text
    }

    /// The lines of `text` that are not comments, joined to one line.
    ///
    /// Only a whole line is a comment: a `#` within a line may belong to an address.
    static func withoutComments(_ text: String) -> String {
        text.split(whereSeparator: \.isNewline)
            .map { $0.trimmingCharacters(in: .whitespaces) }
            .filter { !$0.isEmpty && !$0.hasPrefix("#") }
            .joined(separator: " ")
    }

    /// `text` with our end appended, unless it has one of its own.
    static func endingInSink(_ text: String) -> String {
        if text.contains(ownSink) { return text }
        var body = Substring(text)
        while let last = body.last, last.isWhitespace || last == "!" { body.removeLast() }
        // Dithering would add a pattern to 16-bit sources, and pixels that no camera saw.
        return body + " ! videoconvert dither=none ! video/x-raw,format=RGB ! appsink name=\(sinkName)"
    }

    private static var ownSink: Regex<Substring> { /\bname\s*=\s*["']?beltwatch["']?(?=\s|$)/ }

    static func reason(of error: any Error) -> String {
        let underlying = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError
        return (underlying ?? error as NSError).localizedDescription
    }
}
