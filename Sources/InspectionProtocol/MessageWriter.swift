/// Numbers messages and turns them into bytes, ready to be published.
///
/// Each kind counts from 1 within the session. A number is used up only by a message that could be encoded, so there are
/// no holes at the source: whoever misses a number has lost a message. One writer serves one socket on one queue; two
/// sockets of a station have a writer each and share no kind.
public struct MessageWriter: Sendable {
    public let station: StationName
    public let session: SessionNumber
    private var lastSequences: [MessageKind: SequenceNumber] = [:]

    public init(station: StationName, session: SessionNumber) {
        self.station = station
        self.session = session
    }

    /// Stamps the envelope and encodes.
    ///
    /// - Parameters:
    ///   - sentAt: Wall clock, for people.
    ///   - monotonicMicroseconds: CLOCK_MONOTONIC.
    /// - Throws: `MessageError.notFinite`; the sequence number is then still free.
    public mutating func write(
        _ body: MessageBody, sentAt: UTCTimestamp, monotonicMicroseconds: UInt64
    ) throws(MessageError) -> EncodedMessage {
        let sequence = SequenceNumber((lastSequences[body.kind]?.value ?? 0) + 1)
        let message = Message(
            envelope: Envelope(
                station: station, session: session, sequence: sequence, sentAt: sentAt,
                sentMonotonicMicroseconds: monotonicMicroseconds),
            body: body)
        let encoded = EncodedMessage(topic: message.topic, sequence: sequence, json: try message.encoded())
        lastSequences[body.kind] = sequence
        return encoded
    }

    /// The number of the last message of a kind, nil before the first.
    public func lastSequence(of kind: MessageKind) -> SequenceNumber? { lastSequences[kind] }
}

/// A message in the shape in which it travels.
public struct EncodedMessage: Hashable, Sendable {
    public let topic: Topic
    public let sequence: SequenceNumber

    /// UTF-8 JSON, keys sorted.
    public let json: [UInt8]

    public init(topic: Topic, sequence: SequenceNumber, json: [UInt8]) {
        self.topic = topic
        self.sequence = sequence
        self.json = json
    }
}
