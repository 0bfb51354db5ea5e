/// What a message is about; each kind has its own sequence numbers.
public enum MessageKind: String, Hashable, Sendable, CaseIterable {
    /// Every part.
    case verdict

    /// Every part that was not accepted, once more.
    case reject

    /// Every part, with scores, regions, timings and evidence.
    case result

    /// Every 100 ms, from the decision path.
    case heartbeat

    /// On change and once a second.
    case state

    /// Alarms, commands, changes of state, model and configuration.
    case event

    /// Once a second.
    case health
}

/// Where a message is published: `inspect/<station>/<kind>/`.
///
/// ZeroMQ filters are prefixes. The trailing slash keeps `line1` from matching `line10`.
public struct Topic: Hashable, Sendable, CustomStringConvertible {
    public var station: StationName
    public var kind: MessageKind

    public init(station: StationName, kind: MessageKind) {
        self.station = station
        self.kind = kind
    }

    /// Reads back what `description` writes; nil for anything else.
    public init?(_ text: String) {
        let levels = text.split(separator: "/", omittingEmptySubsequences: false)
        guard levels.count == 4, levels[0] == "inspect", levels[3].isEmpty,
            let kind = MessageKind(rawValue: String(levels[2])),
            let station = try? StationName(String(levels[1]))
        else { return nil }
        self.init(station: station, kind: kind)
    }

    public var description: String { Self.prefix(of: station) + "\(kind.rawValue)/" }

    /// What all topics of a station begin with, for a reader of everything.
    public static func prefix(of station: StationName) -> String { "inspect/\(station)/" }
}
