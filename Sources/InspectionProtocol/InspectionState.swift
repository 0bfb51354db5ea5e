/// What a station is doing (PROTOCOL §3; the words of OPC 40100-1 and PackML stand in the table there).
public enum InspectionState: String, Hashable, Sendable, Codable, CaseIterable {
    /// Starting or resetting.
    case preoperational

    /// Configured, without a usable model or source yet.
    case initialized

    /// Able to run, not armed.
    case ready
    case running

    /// Running, but no part has come for a while; healthy.
    case starved

    /// Stopped by a latch that a person resets: line stop, failed challenge, drift lockout.
    case held

    /// Returns by itself to the highest possible state.
    case error
    case halted

    /// Whether a controller may rely on the station: the `ready` column of the table.
    public var isReady: Bool {
        switch self {
        case .ready, .running, .starved: true
        case .preoperational, .initialized, .held, .error, .halted: false
        }
    }

    /// Whether parts are judged; in every other state a trigger is answered at once with `reject/not_ready`.
    public var isRunning: Bool { self == .running || self == .starved }
}

/// A remark beside the state, which stops nothing; one that this version does not know is kept.
public struct StateFlag: Hashable, Sendable, Codable {
    public let text: String

    public static let degradedEvidence = StateFlag("degraded_evidence")
    public static let clockUnsynced = StateFlag("clock_unsynced")
    public static let challengeDue = StateFlag("challenge_due")
    public static let driftWarning = StateFlag("drift_warning")

    /// The frames are not happening now.
    public static let replay = StateFlag("replay")
    public static let cameraReconnecting = StateFlag("camera_reconnecting")

    private init(_ text: String) { self.text = text }

    public init(from decoder: any Decoder) throws {
        text = try decoder.singleValueContainer().decode(String.self)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }
}
