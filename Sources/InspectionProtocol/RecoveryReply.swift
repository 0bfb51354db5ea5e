/// What the recovery endpoint answers: one flat JSON object, the last part of its message.
///
/// An answer to REPLAY has the original messages before it, each as the two parts `[topic][JSON]` that were published.
public struct RecoveryReply: Hashable, Sendable {
    public enum Body: Hashable, Sendable {
        case hello(StationGreeting)
        case snapshot(StationSnapshot)

        /// The messages before this part are all that the answer holds; the rest of the range begins at `next`.
        case end(next: SequenceNumber)
        case command(StationCommand.Name, CommandAnswer)
        case error(RecoveryFailure)
    }

    /// That of the request; nil where it could not be read.
    public var id: RequestID?
    public var body: Body

    public init(id: RequestID?, body: Body) {
        self.id = id
        self.body = body
    }

    /// The reply as UTF-8 JSON with sorted keys.
    public func encoded() -> [UInt8] {
        // Nothing in a reply can be NaN, the one value that JSON does not have.
        guard let json = try? JSONBytes.encode(self) else { preconditionFailure("a reply has no numbers to refuse") }
        return json
    }

    /// Reads what a station answered; unknown keys are ignored.
    public init(json: [UInt8]) throws(RecoveryReplyError) {
        do {
            let schema = try JSONBytes.decode(Schema.self, from: json).schema
            guard schema == RecoveryRequest.supportedSchema else { throw RecoveryReplyError.unsupportedSchema(schema) }
            self = try JSONBytes.decode(RecoveryReply.self, from: json)
        } catch let error as RecoveryReplyError {
            throw error
        } catch let error as JSONBytes.Unreadable {
            throw .notReadable(field: error.field, reason: error.reason)
        } catch {
            preconditionFailure("decoding throws nothing else: \(error)")
        }
    }

    private struct Schema: Decodable { let schema: Int }
}

extension RecoveryReply: Codable {
    private enum Name: String, Codable {
        case hello = "HELLO"
        case snapshot = "SNAPSHOT"
        case end = "END"
        case command = "COMMAND"
        case error = "ERROR"
    }

    private enum CodingKeys: String, CodingKey {
        case schema
        case id
        case reply
        case next
        case name
        case accepted
        case reason
        case message
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        id = try container.decodeIfPresent(RequestID.self, forKey: .id)
        body =
            switch try container.decode(Name.self, forKey: .reply) {
            case .hello: .hello(try StationGreeting(from: decoder))
            case .snapshot: .snapshot(try StationSnapshot(from: decoder))
            case .end: .end(next: try container.decode(SequenceNumber.self, forKey: .next))
            case .command:
                .command(try container.decode(StationCommand.Name.self, forKey: .name), try Self.answer(container))
            case .error: .error(try RecoveryFailure(from: decoder))
            }
    }

    private static func answer(_ container: KeyedDecodingContainer<CodingKeys>) throws -> CommandAnswer {
        if try container.decode(Bool.self, forKey: .accepted) { return .accepted }
        return .refused(
            CommandRefusal(
                try container.decode(CommandRefusal.Reason.self, forKey: .reason),
                try container.decode(String.self, forKey: .message)))
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(RecoveryRequest.supportedSchema, forKey: .schema)
        try container.encode(ExplicitNull(wrappedValue: id), forKey: .id)
        switch body {
        case .hello(let greeting):
            try container.encode(Name.hello, forKey: .reply)
            try greeting.encode(to: encoder)
        case .snapshot(let snapshot):
            try container.encode(Name.snapshot, forKey: .reply)
            try snapshot.encode(to: encoder)
        case .end(let next):
            try container.encode(Name.end, forKey: .reply)
            try container.encode(next, forKey: .next)
        case .command(let name, let answer):
            var refusal: CommandRefusal?
            if case .refused(let why) = answer { refusal = why }
            try container.encode(Name.command, forKey: .reply)
            try container.encode(name, forKey: .name)
            try container.encode(answer == .accepted, forKey: .accepted)
            try container.encode(ExplicitNull(wrappedValue: refusal?.reason), forKey: .reason)
            try container.encode(ExplicitNull(wrappedValue: refusal?.message), forKey: .message)
        case .error(let failure):
            try container.encode(Name.error, forKey: .reply)
            try failure.encode(to: encoder)
        }
    }
}

/// Why something is not a reply.
public enum RecoveryReplyError: Error, Hashable, CustomStringConvertible {
    case notReadable(field: String, reason: String)
    case unsupportedSchema(Int)

    public var description: String {
        switch self {
        case .notReadable(let field, let reason):
            "the reply cannot be read\(field.isEmpty ? "" : " at \(field)"): \(reason)"
        case .unsupportedSchema(let schema):
            "the reply has schema \(schema), this version reads \(RecoveryRequest.supportedSchema); update the reader"
        }
    }
}
