import Glibc

/// The answer to HELLO: who the station is, and what its clock says.
///
/// Deadlines are on the station's CLOCK_MONOTONIC. On the same boot it is the reader's own; another machine estimates
/// how far the two are apart from the time between asking and hearing (PROTOCOL §2).
public struct StationGreeting: Hashable, Sendable {
    /// Tells one boot of one machine from every other.
    public var bootID: String
    public var station: StationName
    public var session: SessionNumber

    /// Version of Beltwatch.
    public var version: String

    /// When the answer was made, on the monotonic clock of the station's machine.
    public var monotonicMicroseconds: UInt64

    /// When the answer was made, for people.
    public var sentAt: UTCTimestamp

    /// What the station can be asked and told, by name; a reader skips names that it does not know.
    public var verbs: [String]
    public var commands: [String]

    public init(
        bootID: String, station: StationName, session: SessionNumber, version: String = SoftwareVersion.current,
        monotonicMicroseconds: UInt64, sentAt: UTCTimestamp,
        verbs: [String] = RecoveryVerb.allCases.map(\.rawValue),
        commands: [String] = StationCommand.Name.allCases.map(\.rawValue)
    ) {
        self.bootID = bootID
        self.station = station
        self.session = session
        self.version = version
        self.monotonicMicroseconds = monotonicMicroseconds
        self.sentAt = sentAt
        self.verbs = verbs
        self.commands = commands
    }

    /// The kernel's name for the present boot; nil where it does not say.
    public static func bootIDOfThisMachine() -> String? {
        let file = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 64)
        let count = read(file, &bytes, bytes.count)
        guard count > 0 else { return nil }
        let text = String(decoding: bytes.prefix(count).prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
        return text.isEmpty ? nil : text
    }
}

extension StationGreeting: Codable {
    enum CodingKeys: String, CodingKey {
        case bootID = "boot_id"
        case station
        case session
        case version
        case monotonicMicroseconds = "t_mono_us"
        case sentAt = "t_utc"
        case verbs
        case commands
    }
}
