/// Matches an answer to its request; chosen by whoever asks.
public struct RequestID: DecimalIdentifier {
    public let value: UInt64
    public init(_ value: UInt64) { self.value = value }
}

/// What a reader asks of a station's recovery endpoint (PROTOCOL §3): one flat JSON object.
///
/// The set of verbs is closed, that of commands is not: an older station refuses a command that it does not know by its
/// name. Unknown keys are ignored, as in messages.
public struct RecoveryRequest: Hashable, Sendable {
    /// Version of requests and replies that this code writes and reads.
    public static let supportedSchema = 1

    /// Bytes that a request may have.
    public static let largestByteCount = 64 * 1024

    public enum Verb: Hashable, Sendable {
        /// Who are you, and what does your clock say?
        case hello

        /// What is the state, and how far have the sequence numbers come?
        case snapshot

        /// Send again what I missed.
        case replay(ReplayRange)

        /// Do something; needs a role.
        case command(StationCommand)

        public var name: RecoveryVerb {
            switch self {
            case .hello: .hello
            case .snapshot: .snapshot
            case .replay: .replay
            case .command: .command
            }
        }
    }

    public var id: RequestID
    public var verb: Verb

    public init(id: RequestID, verb: Verb) {
        self.id = id
        self.verb = verb
    }
}

/// The verbs by their names in JSON.
public enum RecoveryVerb: String, Codable, Hashable, Sendable, CaseIterable {
    case hello = "HELLO"
    case snapshot = "SNAPSHOT"
    case replay = "REPLAY"
    case command = "COMMAND"
}

extension RecoveryRequest {
    /// The request as UTF-8 JSON with sorted keys.
    public func encoded() -> [UInt8] {
        // Nothing in a request can be NaN, the one value that JSON does not have.
        guard let json = try? JSONBytes.encode(self) else { preconditionFailure("a request has no numbers to refuse") }
        return json
    }

    /// Reads what anybody may have sent.
    ///
    /// - Throws: `RecoveryRequestError`, for everything that is not a request of this schema.
    public init(json: [UInt8]) throws(RecoveryRequestError) {
        guard json.count <= Self.largestByteCount else { throw .tooLarge(byteCount: json.count) }
        let schema = try Self.read(Schema.self, from: json).schema
        guard schema == Self.supportedSchema else { throw .unsupportedSchema(schema) }
        let head = try Self.read(Head.self, from: json)
        guard let name = RecoveryVerb(rawValue: head.request) else { throw .unknownVerb(head.request.excerpt) }
        id = head.id
        switch name {
        case .hello: verb = .hello
        case .snapshot: verb = .snapshot
        case .replay: verb = .replay(try ReplayRange(Self.read(ReplayFields.self, from: json)))
        case .command: verb = .command(try Self.command(in: json))
        }
    }

    /// The id of what could not be read otherwise, so that whoever asked can tell which request failed.
    public static func id(in json: [UInt8]) -> RequestID? {
        guard json.count <= largestByteCount else { return nil }
        return try? read(Identification.self, from: json).id
    }

    private static func command(in json: [UInt8]) throws(RecoveryRequestError) -> StationCommand {
        let name = try read(CommandName.self, from: json).name
        guard let known = StationCommand.Name(rawValue: name) else { throw .unknownCommand(name.excerpt) }
        switch known {
        case .trigger: return .trigger(try read(ExternalTrigger.self, from: json))
        case .arm: return .arm
        case .reset: return .reset
        }
    }

    private static func read<Value: Decodable>(
        _ type: Value.Type, from json: [UInt8]
    ) throws(RecoveryRequestError) -> Value {
        do {
            return try JSONBytes.decode(type, from: json)
        } catch {
            throw .notReadable(field: error.field, reason: error.reason.excerpt)
        }
    }

    // Read one after the other, so that each refusal names the first thing that is wrong.
    private struct Schema: Decodable { let schema: Int }
    private struct Identification: Decodable { let id: RequestID }
    private struct CommandName: Decodable { let name: String }
    private struct Head: Decodable {
        let id: RequestID
        let request: String
    }
}

extension RecoveryRequest: Encodable {
    enum CodingKeys: String, CodingKey {
        case schema
        case id
        case request
        case name
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(Self.supportedSchema, forKey: .schema)
        try container.encode(id, forKey: .id)
        try container.encode(verb.name, forKey: .request)
        switch verb {
        case .hello, .snapshot: break
        case .replay(let range): try ReplayFields(range).encode(to: encoder)
        case .command(let command):
            try container.encode(command.name, forKey: .name)
            if case .trigger(let trigger) = command { try trigger.encode(to: encoder) }
        }
    }
}

/// Why something is not a request.
public enum RecoveryRequestError: Error, Hashable, CustomStringConvertible {
    case tooLarge(byteCount: Int)

    /// A message of more or fewer parts than the one that holds the JSON.
    case wrongPartCount(Int)

    /// The JSON is broken, or the field is missing or not what it should be; the field is empty for the whole request.
    case notReadable(field: String, reason: String)
    case unsupportedSchema(Int)
    case unknownVerb(String)
    case unknownCommand(String)
    case unknownKind(String)

    /// Heartbeats and states are worthless when they are old.
    case notReplayable(MessageKind)

    /// The numbers run backwards, or begin at 0.
    case emptyRange(from: SequenceNumber, to: SequenceNumber)

    /// What the ERROR answer calls it.
    public var code: RecoveryFailure.Code {
        switch self {
        case .tooLarge: .tooLarge
        case .wrongPartCount, .notReadable: .malformed
        case .unsupportedSchema: .unsupportedSchema
        case .unknownVerb: .unknownVerb
        case .unknownCommand: .unknownCommand
        case .unknownKind: .unknownKind
        case .notReplayable: .notReplayable
        case .emptyRange: .emptyRange
        }
    }

    public var description: String {
        switch self {
        case .tooLarge(let count):
            "the request has \(count) bytes; \(RecoveryRequest.largestByteCount) are allowed"
        case .wrongPartCount(let count):
            "the request has \(count) parts; send the JSON as one part, after an empty one if need be"
        case .notReadable(let field, let reason):
            "the request cannot be read\(field.isEmpty ? "" : " at \(field)"): \(reason)"
        case .unsupportedSchema(let schema):
            "the request has schema \(schema), this station reads \(RecoveryRequest.supportedSchema)"
        case .unknownVerb(let name):
            "\"\(name)\" is no verb; use \(RecoveryVerb.allCases.map(\.rawValue).joined(separator: ", "))"
        case .unknownCommand(let name):
            "\"\(name)\" is no command; use \(StationCommand.Name.allCases.map(\.rawValue).joined(separator: ", "))"
        case .unknownKind(let name):
            "\"\(name)\" is no kind of message; use "
                + MessageKind.allCases.filter(\.isReplayable).map(\.rawValue).joined(separator: ", ")
        case .notReplayable(let kind):
            "\(kind.rawValue) messages are not kept; ask for a SNAPSHOT"
        case .emptyRange(let from, let to):
            "there is nothing from \(from) to \(to); numbers begin at 1, and the last is included"
        }
    }
}

extension String {
    /// What a stranger wrote, short enough to be told back.
    var excerpt: String {
        let longest = 120
        return count <= longest ? self : prefix(longest) + "…"
    }
}
