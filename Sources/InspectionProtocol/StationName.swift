/// The name of one inspection station, as it stands in topics: 1 to 64 letters, digits, `-` and `_` of ASCII.
public struct StationName: Hashable, Sendable, CustomStringConvertible {
    public static let maximumLength = 64

    public let text: String

    public init(_ text: String) throws(StationNameError) {
        guard (1...Self.maximumLength).contains(text.utf8.count) else { throw .wrongLength(text) }
        if let other = text.first(where: { !Self.allows($0) }) { throw .wrongCharacter(other, in: text) }
        self.text = text
    }

    public var description: String { text }

    private static func allows(_ character: Character) -> Bool {
        character.isASCII && (character.isLetter || character.isNumber || character == "-" || character == "_")
    }
}

extension StationName: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        do {
            try self.init(text)
        } catch {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: error.description)
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }
}

/// Why a text cannot name a station.
public enum StationNameError: Error, Hashable, CustomStringConvertible {
    case wrongLength(String)
    case wrongCharacter(Character, in: String)

    public var description: String {
        switch self {
        case .wrongLength(let text):
            "station name \"\(text)\" is \(text.utf8.count) bytes long; use 1 to \(StationName.maximumLength)"
        case .wrongCharacter(let character, let text):
            "station name \"\(text)\" contains \"\(character)\"; use letters, digits, - and _ only"
        }
    }
}
