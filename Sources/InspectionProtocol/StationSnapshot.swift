/// The answer to SNAPSHOT: where the station stands, for a reader that begins or has to begin anew.
public struct StationSnapshot: Hashable, Sendable {
    public var station: StationName
    public var session: SessionNumber
    public var state: StateReport
    @ExplicitNull public var lastPartID: PartID?

    /// The last number sent of each kind.
    public var lastSequence: LastSequences

    /// What REPLAY can still answer, of the current session; a kind of which nothing is kept is absent.
    public var replayable: [MessageKind: ClosedRange<SequenceNumber>]

    public init(
        station: StationName, session: SessionNumber, state: StateReport, lastPartID: PartID?,
        lastSequence: LastSequences, replayable: [MessageKind: ClosedRange<SequenceNumber>]
    ) {
        self.station = station
        self.session = session
        self.state = state
        self.lastPartID = lastPartID
        self.lastSequence = lastSequence
        self.replayable = replayable
    }
}

extension StationSnapshot: Codable {
    private enum CodingKeys: String, CodingKey {
        case station
        case session
        case state
        case lastPartID = "last_part_id"
        case lastSequence = "last_seq"
        case replayable
    }

    private struct Range: Codable {
        let from: SequenceNumber
        let to: SequenceNumber
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        station = try container.decode(StationName.self, forKey: .station)
        session = try container.decode(SessionNumber.self, forKey: .session)
        state = try container.decode(StateReport.self, forKey: .state)
        _lastPartID = try container.decode(ExplicitNull<PartID>.self, forKey: .lastPartID)
        lastSequence = try container.decode(LastSequences.self, forKey: .lastSequence)
        replayable = [:]
        for (name, range) in try container.decode([String: Range].self, forKey: .replayable) {
            // Kinds of a later version are none of ours.
            guard let kind = MessageKind(rawValue: name) else { continue }
            guard range.from <= range.to else {
                throw DecodingError.dataCorruptedError(
                    forKey: .replayable, in: container,
                    debugDescription: "\(name) runs from \(range.from) to \(range.to)")
            }
            replayable[kind] = range.from...range.to
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(station, forKey: .station)
        try container.encode(session, forKey: .session)
        try container.encode(state, forKey: .state)
        try container.encode(_lastPartID, forKey: .lastPartID)
        try container.encode(lastSequence, forKey: .lastSequence)
        let named = replayable.map { ($0.key.rawValue, Range(from: $0.value.lowerBound, to: $0.value.upperBound)) }
        try container.encode(Dictionary(uniqueKeysWithValues: named), forKey: .replayable)
    }
}
