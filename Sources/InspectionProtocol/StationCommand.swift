/// What a station can be told to do, by a peer with the role for it.
public enum StationCommand: Hashable, Sendable {
    /// A part is in front of the camera: judge the next frame.
    case trigger(ExternalTrigger)

    /// Judge parts from now on: from `ready` to `running`.
    case arm

    /// Release the latch that holds the station.
    case reset

    /// The commands by their names in JSON.
    public enum Name: String, Codable, Hashable, Sendable, CaseIterable {
        case trigger = "Trigger"
        case arm = "Arm"
        case reset = "Reset"
    }

    public var name: Name {
        switch self {
        case .trigger: .trigger
        case .arm: .arm
        case .reset: .reset
        }
    }
}

/// A controller's word that a part has come; both values return in the part's verdict.
public struct ExternalTrigger: Hashable, Sendable, Codable {
    public var plcToken: PLCToken

    /// The belt encoder's count, where the belt has one.
    @ExplicitNull public var encoder: Int64?

    public init(plcToken: PLCToken, encoder: Int64? = nil) {
        self.plcToken = plcToken
        self.encoder = encoder
    }

    enum CodingKeys: String, CodingKey {
        case plcToken = "plc_token"
        case encoder
    }
}

/// What became of a command.
public enum CommandAnswer: Hashable, Sendable {
    /// The station does it; what comes of it is published.
    case accepted

    /// Nothing was done.
    case refused(CommandRefusal)
}

/// Why a command was not carried out.
public struct CommandRefusal: Hashable, Sendable {
    /// For programs; one that this version does not know is kept.
    public struct Reason: RawRepresentable, Hashable, Sendable, Codable {
        public let rawValue: String
        public init(rawValue: String) { self.rawValue = rawValue }

        /// The peer does not have the role.
        public static let notPermitted = Reason(rawValue: "not_permitted")

        /// The state does not allow it: a trigger before running, arming in error.
        public static let wrongState = Reason(rawValue: "wrong_state")

        /// The station is not configured for it: a trigger where frames or a sensor trigger.
        public static let notConfigured = Reason(rawValue: "not_configured")

        /// A trigger with this token is being answered already.
        public static let duplicateToken = Reason(rawValue: "duplicate_token")

        /// Too many parts await their verdict.
        public static let overload = Reason(rawValue: "overload")
    }

    public var reason: Reason

    /// For people: what was found and what to do.
    public var message: String

    public init(_ reason: Reason, _ message: String) {
        self.reason = reason
        self.message = message
    }
}
