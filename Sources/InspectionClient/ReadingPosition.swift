import InspectionProtocol

/// How far a reader has come with a station, to go on from there after it was ended itself.
public struct ReadingPosition: Hashable, Sendable {
    public let station: StationName
    public let session: SessionNumber

    /// The number up to which all messages of a kind have been told.
    public let last: [MessageKind: SequenceNumber]

    public init(station: StationName, session: SessionNumber, last: [MessageKind: SequenceNumber]) {
        self.station = station
        self.session = session
        self.last = last
    }
}

extension ReadingPosition: Codable {
    private enum CodingKeys: String, CodingKey {
        case station
        case session
        case last = "last_seq"
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        station = try container.decode(StationName.self, forKey: .station)
        session = try container.decode(SessionNumber.self, forKey: .session)
        let named = try container.decode([String: SequenceNumber].self, forKey: .last)
        last = Dictionary(
            uniqueKeysWithValues: named.compactMap { name, last in MessageKind(rawValue: name).map { ($0, last) } })
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(station, forKey: .station)
        try container.encode(session, forKey: .session)
        try container.encode(
            Dictionary(uniqueKeysWithValues: last.map { ($0.key.rawValue, $0.value) }), forKey: .last)
    }
}
