/// What the station is doing and with what, published on change and once a second.
public struct StateReport: Hashable, Sendable {
    public var state: InspectionState

    /// Whether a controller may rely on the station; never in replay, whatever the state.
    public var ready: Bool
    public var flags: [StateFlag]

    /// When the state was entered, for people.
    public var since: UTCTimestamp

    /// Why the state was entered, in words, where there is more to say than its name.
    @ExplicitNull public var reason: String?
    public var recipe: String

    /// Digest of the loaded model, hexadecimal.
    @ExplicitNull public var modelSHA256: String?

    /// Digest of the station's configuration file, hexadecimal; nil where there is none, as in replay.
    @ExplicitNull public var configurationSHA256: String?

    /// Version of Beltwatch.
    public var version: String

    public init(
        state: InspectionState, ready: Bool, flags: [StateFlag], since: UTCTimestamp, reason: String?, recipe: String,
        modelSHA256: String?, configurationSHA256: String?, version: String
    ) {
        self.state = state
        self.ready = ready
        self.flags = flags
        self.since = since
        self.reason = reason
        self.recipe = recipe
        self.modelSHA256 = modelSHA256
        self.configurationSHA256 = configurationSHA256
        self.version = version
    }
}

extension StateReport: Codable {
    enum CodingKeys: String, CodingKey {
        case state
        case ready
        case flags
        case since
        case reason
        case recipe
        case modelSHA256 = "model_sha256"
        case configurationSHA256 = "config_sha256"
        case version
    }
}
