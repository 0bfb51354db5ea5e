/// Messages of one kind and session, next to each other, that somebody wants again.
public struct ReplayRange: Hashable, Sendable {
    public var session: SessionNumber
    public var kind: MessageKind

    /// From 1; the upper bound may lie beyond what was sent.
    public var sequences: ClosedRange<SequenceNumber>

    /// - Precondition: The kind is replayable and the numbers begin at 1 or later.
    public init(session: SessionNumber, kind: MessageKind, sequences: ClosedRange<SequenceNumber>) {
        precondition(kind.isReplayable && sequences.lowerBound >= 1, "nobody keeps \(kind.rawValue) \(sequences)")
        self.session = session
        self.kind = kind
        self.sequences = sequences
    }

    init(_ fields: ReplayFields) throws(RecoveryRequestError) {
        guard let kind = MessageKind(rawValue: fields.kind) else { throw .unknownKind(fields.kind.excerpt) }
        guard kind.isReplayable else { throw .notReplayable(kind) }
        guard fields.from >= 1, fields.from <= fields.to else { throw .emptyRange(from: fields.from, to: fields.to) }
        self.init(session: fields.session, kind: kind, sequences: fields.from...fields.to)
    }
}

/// A range as it stands in a request, not yet checked.
struct ReplayFields: Codable {
    let session: SessionNumber
    let kind: String
    let from: SequenceNumber
    let to: SequenceNumber

    init(_ range: ReplayRange) {
        session = range.session
        kind = range.kind.rawValue
        from = range.sequences.lowerBound
        to = range.sequences.upperBound
    }
}

extension MessageKind {
    /// Whether a message of this kind is worth having later.
    public var isReplayable: Bool {
        switch self {
        case .verdict, .reject, .result, .event: true
        case .heartbeat, .state, .health: false
        }
    }
}

/// How much one answer to REPLAY may hold; it ends with the number to go on at.
public struct ReplayLimit: Hashable, Sendable {
    public var messageCount: Int

    /// Bytes of JSON; the first message comes even if it alone has more.
    public var byteCount: Int

    /// - Precondition: Both are at least 1.
    public init(messageCount: Int, byteCount: Int) {
        precondition(messageCount > 0 && byteCount > 0, "an answer that may hold nothing never gets on")
        self.messageCount = messageCount
        self.byteCount = byteCount
    }

    /// 256 messages, 256 KiB: some milliseconds of work, so that nobody else waits long for their own answer.
    public static let standard = ReplayLimit(messageCount: 256, byteCount: 256 * 1024)
}

/// As much of a range as one answer holds.
public struct ReplayPage: Hashable, Sendable {
    /// In the order of their numbers, byte for byte as they were published.
    public var messages: [EncodedMessage]

    /// The first number that the page says nothing about.
    ///
    /// What lies before it and is not among the messages is gone for good.
    public var next: SequenceNumber

    public init(messages: [EncodedMessage], next: SequenceNumber) {
        self.messages = messages
        self.next = next
    }
}
