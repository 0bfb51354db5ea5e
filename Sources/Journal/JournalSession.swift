import InspectionProtocol

/// One run of the daemon.
public struct JournalSession: Hashable, Sendable {
    public var number: SessionNumber
    public var station: StationName

    /// When it began, for people.
    public var startedAt: UTCTimestamp

    /// When it began, on the monotonic clock of that boot.
    public var startedMonotonicMicroseconds: UInt64

    /// `/proc/sys/kernel/random/boot_id`: times on the monotonic clock compare within one boot only.
    public var bootID: String?

    /// When it stopped as it should; nil while it runs, and for one that was killed.
    public var endedAt: UTCTimestamp?

    /// Version of Beltwatch.
    public var version: String

    /// Digests of the model and of the station's file, hexadecimal.
    public var modelSHA256: String?
    public var configurationSHA256: String?
}

/// What a session has to say about itself when it begins.
public struct JournalSessionFacts: Hashable, Sendable {
    public var station: StationName
    public var version: String
    public var modelSHA256: String?
    public var configurationSHA256: String?

    public init(station: StationName, version: String, modelSHA256: String?, configurationSHA256: String?) {
        self.station = station
        self.version = version
        self.modelSHA256 = modelSHA256
        self.configurationSHA256 = configurationSHA256
    }
}
