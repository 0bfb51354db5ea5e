import Foundation

/// JSON in one line with sorted keys: equal values give equal bytes.
enum CanonicalJSON {
    static func text(of value: some Encodable) throws(JSONTextError) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            return String(decoding: try encoder.encode(value), as: UTF8.self)
        } catch {
            throw JSONTextError(error)
        }
    }

    static func value<Value: Decodable>(_: Value.Type, from text: String) throws(JSONTextError) -> Value {
        do {
            return try JSONDecoder().decode(Value.self, from: Data(text.utf8))
        } catch {
            throw JSONTextError(error)
        }
    }
}

/// What Foundation's coders say, reduced to the key and the reason.
struct JSONTextError: Error, CustomStringConvertible {
    let description: String

    init(_ error: any Error) {
        switch error {
        case DecodingError.keyNotFound(let key, let context):
            description = "'\(Self.path(context.codingPath + [key]))' is missing"
        case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context),
            DecodingError.dataCorrupted(let context):
            let key = Self.path(context.codingPath)
            description = key.isEmpty ? context.debugDescription : "'\(key)': \(context.debugDescription)"
        case EncodingError.invalidValue(let value, let context):
            description = "'\(Self.path(context.codingPath))' is \(value), which JSON cannot say"
        default:
            description = "\(error)"
        }
    }

    private static func path(_ keys: [any CodingKey]) -> String { keys.map(\.stringValue).joined(separator: ".") }
}
