import Foundation

extension Message {
    /// The message as UTF-8 JSON with sorted keys, so that equal messages are equal bytes.
    ///
    /// - Throws: `MessageError.notFinite` where a number is NaN or infinite; there is no JSON for it.
    public func encoded() throws(MessageError) -> [UInt8] {
        try JSONBytes.encode(self)
    }

    /// Reads a message that came under a topic.
    ///
    /// Unknown keys are ignored.
    ///
    /// - Throws: `MessageError.notReadable`, `.unsupportedSchema` or, where the message names another station than
    ///   its topic, `.wrongStation`.
    public init(topic: Topic, json: [UInt8]) throws(MessageError) {
        let schema = try JSONBytes.decode(Schema.self, from: json, as: topic).schema
        guard schema == Envelope.supportedSchema else { throw .unsupportedSchema(schema, topic) }
        envelope = try JSONBytes.decode(Envelope.self, from: json, as: topic)
        guard envelope.station == topic.station else { throw .wrongStation(envelope.station, topic) }
        body =
            switch topic.kind {
            case .verdict: .verdict(try JSONBytes.decode(Verdict.self, from: json, as: topic))
            case .reject: .reject(try JSONBytes.decode(Verdict.self, from: json, as: topic))
            case .result: .result(try JSONBytes.decode(PartResult.self, from: json, as: topic))
            case .heartbeat: .heartbeat(try JSONBytes.decode(Heartbeat.self, from: json, as: topic))
            case .state: .state(try JSONBytes.decode(StateReport.self, from: json, as: topic))
            case .event: .event(try JSONBytes.decode(StationEvent.self, from: json, as: topic))
            case .health: .health(try JSONBytes.decode(HealthReport.self, from: json, as: topic))
            }
    }

    // Read before the rest, which another schema may have changed.
    private struct Schema: Decodable {
        let schema: Int
    }
}

extension Message: Encodable {
    public func encode(to encoder: any Encoder) throws {
        try envelope.encode(to: encoder)
        switch body {
        case .verdict(let verdict), .reject(let verdict): try verdict.encode(to: encoder)
        case .result(let result): try result.encode(to: encoder)
        case .heartbeat(let heartbeat): try heartbeat.encode(to: encoder)
        case .state(let state): try state.encode(to: encoder)
        case .event(let event): try event.encode(to: encoder)
        case .health(let health): try health.encode(to: encoder)
        }
    }
}

/// Why a message cannot be written or read.
public enum MessageError: Error, Hashable, CustomStringConvertible {
    /// The field, as in `picturable.z`, holds NaN or infinity.
    case notFinite(field: String)

    /// The JSON is broken, or the field is missing or not what it should be; the field is empty for the whole message.
    case notReadable(Topic, field: String, reason: String)

    /// The message is of a format that this version cannot read.
    case unsupportedSchema(Int, Topic)

    /// The station inside the message is not that of its topic.
    case wrongStation(StationName, Topic)

    public var description: String {
        switch self {
        case .notFinite(let field):
            "\(field) is not a finite number and cannot be sent; reject the part with \(Reason.modelOrRecipeInvalid.text)"
        case .notReadable(let topic, let field, let reason):
            "message on \(topic) cannot be read\(field.isEmpty ? "" : " at \(field)"): \(reason)"
        case .unsupportedSchema(let schema, let topic):
            "message on \(topic) has schema \(schema), this version reads \(Envelope.supportedSchema); update the reader"
        case .wrongStation(let station, let topic):
            "message on \(topic) says it comes from station \(station); two stations may share an endpoint's topic"
        }
    }
}

/// JSON as bytes, with our errors.
enum JSONBytes {
    static func encode(_ value: some Encodable) throws(MessageError) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            return Array(try encoder.encode(value))
        } catch EncodingError.invalidValue(_, let context) {
            // The only value of our messages that JSON cannot hold.
            throw .notFinite(field: path(context.codingPath))
        } catch {
            preconditionFailure("encoding a message failed: \(error)")
        }
    }

    /// Where JSON is not what it should be; the field is empty for the whole.
    struct Unreadable: Error {
        let field: String
        let reason: String
    }

    static func decode<Value: Decodable>(
        _ type: Value.Type, from json: [UInt8], as topic: Topic
    ) throws(MessageError) -> Value {
        do {
            return try decode(type, from: json)
        } catch {
            throw .notReadable(topic, field: error.field, reason: error.reason)
        }
    }

    static func decode<Value: Decodable>(_ type: Value.Type, from json: [UInt8]) throws(Unreadable) -> Value {
        do {
            return try JSONDecoder().decode(type, from: Data(json))
        } catch let error as DecodingError {
            let (context, missing): (DecodingError.Context, (any CodingKey)?) =
                switch error {
                case .keyNotFound(let key, let context): (context, key)
                case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
                    (context, nil)
                @unknown default: (DecodingError.Context(codingPath: [], debugDescription: "\(error)"), nil)
                }
            throw Unreadable(
                field: path(context.codingPath + (missing.map { [$0] } ?? [])),
                reason: missing == nil ? context.debugDescription : "the field is missing")
        } catch {
            throw Unreadable(field: "", reason: "\(error)")
        }
    }

    private static func path(_ keys: [any CodingKey]) -> String {
        keys.map(\.stringValue).joined(separator: ".")
    }
}
