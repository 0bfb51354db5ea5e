/// What every message carries beside its own fields.
public struct Envelope: Hashable, Sendable {
    /// Version of the message format that this code writes and reads.
    public static let supportedSchema = 1

    public let schema: Int
    public let station: StationName
    public let session: SessionNumber
    public let sequence: SequenceNumber

    /// When the message was made, for people.
    public let sentAt: UTCTimestamp

    /// When the message was made, on the monotonic clock of the station's machine.
    public let sentMonotonicMicroseconds: UInt64

    public init(
        station: StationName, session: SessionNumber, sequence: SequenceNumber, sentAt: UTCTimestamp,
        sentMonotonicMicroseconds: UInt64
    ) {
        schema = Self.supportedSchema
        self.station = station
        self.session = session
        self.sequence = sequence
        self.sentAt = sentAt
        self.sentMonotonicMicroseconds = sentMonotonicMicroseconds
    }
}

extension Envelope: Codable {
    enum CodingKeys: String, CodingKey {
        case schema
        case station
        case session
        case sequence = "seq"
        case sentAt = "t_utc"
        case sentMonotonicMicroseconds = "t_mono_us"
    }
}

/// The own fields of a message, by kind.
public enum MessageBody: Hashable, Sendable {
    case verdict(Verdict)

    /// The same verdict once more, for those who want rejects only.
    case reject(Verdict)
    case result(PartResult)
    case heartbeat(Heartbeat)
    case state(StateReport)
    case event(StationEvent)
    case health(HealthReport)

    public var kind: MessageKind {
        switch self {
        case .verdict: .verdict
        case .reject: .reject
        case .result: .result
        case .heartbeat: .heartbeat
        case .state: .state
        case .event: .event
        case .health: .health
        }
    }
}

/// One message: in JSON, one flat object of the envelope's and the body's fields.
public struct Message: Hashable, Sendable {
    public let envelope: Envelope
    public let body: MessageBody

    public init(envelope: Envelope, body: MessageBody) {
        self.envelope = envelope
        self.body = body
    }

    public var topic: Topic { Topic(station: envelope.station, kind: body.kind) }
}
