import Foundation
import InspectionProtocol

/// One message as the journal keeps it.
public struct JournalEntry: Hashable, Sendable {
    public var session: SessionNumber
    public var kind: MessageKind
    public var sequence: SequenceNumber

    /// The part that the message is about.
    public var partID: PartID?

    /// When the message was made, for people.
    public var sentAt: UTCTimestamp
    public var disposition: Disposition?

    /// `Reason.text`.
    public var reason: String?

    /// The very bytes that were published.
    public var json: [UInt8]

    public init(_ message: Message) throws(MessageError) {
        session = message.envelope.session
        kind = message.body.kind
        sequence = message.envelope.sequence
        sentAt = message.envelope.sentAt
        json = try message.encoded()
        switch message.body {
        case .verdict(let verdict), .reject(let verdict): note(verdict)
        case .result(let result): note(result.verdict)
        case .event(let event): partID = event.partID
        case .heartbeat, .state, .health: break
        }
    }

    private mutating func note(_ verdict: Verdict) {
        partID = verdict.partID
        disposition = verdict.disposition
        reason = verdict.reason.text
    }

    /// The message that the bytes are.
    public func message() throws -> Message {
        struct Sender: Decodable { let station: StationName }
        let station = try JSONDecoder().decode(Sender.self, from: Data(json)).station
        return try Message(topic: Topic(station: station, kind: kind), json: json)
    }
}
