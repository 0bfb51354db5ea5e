/// Why a picture or a recording was not written.
///
/// The file that was asked for is then as it was before: nothing half-written bears its name.
public enum CaptureWritingError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The folder, the disk or an encoder refused.
    case cannotWrite(path: String, reason: String)

    /// The encoder or the disk took no more data for this long.
    case stalled(path: String, limit: Duration)

    /// An encoder refused a picture, or is not installed.
    case cannotEncode(reason: String)

    public var description: String {
        switch self {
        case .cannotWrite(let path, let reason): "cannot write \(path): \(reason)"
        case .stalled(let path, let limit): "writing \(path) made no progress for \(limit)"
        case .cannotEncode(let reason): "cannot encode a picture: \(reason)"
        }
    }
}
