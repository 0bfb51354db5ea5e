/// Something that happened to a station and that somebody will ask about later: published on `event/` and kept in the
/// journal.
public struct StationEvent: Hashable, Sendable {
    /// What happened, for programs; one that this version does not know is kept.
    public struct Name: RawRepresentable, Hashable, Sendable, Codable {
        public let rawValue: String
        public init(rawValue: String) { self.rawValue = rawValue }

        /// A session begins; `details` name the version, the model and the configuration.
        public static let sessionStarted = Name(rawValue: "session_started")

        /// The session before did not end in order: parts in flight then have no verdict.
        public static let sessionLost = Name(rawValue: "session_lost")

        /// Another model, or another station's file, than in the session before.
        public static let modelChanged = Name(rawValue: "model_changed")
        public static let configurationChanged = Name(rawValue: "configuration_changed")
        public static let stateChanged = Name(rawValue: "state_changed")
        public static let flagsChanged = Name(rawValue: "flags_changed")

        /// The latch that stops the line closed, and was released.
        public static let lineStop = Name(rawValue: "line_stop")
        public static let lineStopReset = Name(rawValue: "line_stop_reset")

        /// A command that was carried out or refused; accepted triggers are told by their verdicts.
        public static let command = Name(rawValue: "command")

        /// A peer without the role gave a command.
        public static let commandDenied = Name(rawValue: "command_denied")

        /// A damaged journal was moved aside and a new one begun.
        public static let journalQuarantined = Name(rawValue: "journal_quarantined")

        /// The recovery endpoint stopped by itself.
        public static let recoveryFailed = Name(rawValue: "recovery_failed")

        /// The pictures of a part are on the disk, or will never be.
        public static let evidenceStored = Name(rawValue: "evidence_stored")
        public static let evidenceDropped = Name(rawValue: "evidence_dropped")
    }

    /// Whether somebody has to do something.
    public enum Severity: String, Hashable, Sendable, Codable, CaseIterable {
        case info

        /// Inspection goes on, with less than it should have.
        case warning

        /// Parts are rejected, or the line should stop.
        case alarm
    }

    public var name: Name
    public var severity: Severity

    /// For people.
    public var message: String

    /// The part that it is about.
    @ExplicitNull public var partID: PartID?

    /// Who asked for it, by what the station knows of its peers.
    @ExplicitNull public var peer: String?

    /// What else there is to say, for programs.
    public var details: [String: String]

    public init(
        _ name: Name, _ severity: Severity, _ message: String, partID: PartID? = nil, peer: String? = nil,
        details: [String: String] = [:]
    ) {
        self.name = name
        self.severity = severity
        self.message = message
        self.partID = partID
        self.peer = peer
        self.details = details
    }
}

extension StationEvent: Codable {
    enum CodingKeys: String, CodingKey {
        case name
        case severity
        case message
        case partID = "part_id"
        case peer
        case details
    }
}
