/// What is wrong in a configuration file, and where.
public struct ConfigurationError: Error, Equatable, CustomStringConvertible {
    public enum Problem: Hashable, Sendable {
        /// The file cannot be read at all.
        case unreadable(reason: String)

        /// The text is not YAML.
        case notYAML(reason: String)

        /// Nobody reads this key.
        case unknownKey(nearest: String?, allowed: [String])

        /// The key stands there twice, and only one of the two could count.
        case duplicateKey

        case missing(expected: String)
        case wrongType(found: String, expected: String)
        case outOfRange(found: String, expected: String)
    }

    public var file: String

    /// Counted from 1; nil where the problem has no place, such as an unreadable file.
    public var line: Int?

    /// The whole way to the key, such as `source.pipeline`; empty for the document itself.
    public var key: String
    public var problem: Problem

    public init(file: String, line: Int?, key: String, problem: Problem) {
        self.file = file
        self.line = line
        self.key = key
        self.problem = problem
    }

    public var description: String {
        let place = line.map { "\(file):\($0)" } ?? file
        return "\(place): \(sentence)"
    }

    private var sentence: String {
        let subject = key.isEmpty ? "the document" : "'\(key)'"
        switch problem {
        case .unreadable(let reason):
            return "cannot be read: \(reason)"
        case .notYAML(let reason):
            return "is not YAML: \(reason)"
        case .unknownKey(let nearest?, _):
            return "\(subject) is no known key; did you mean '\(nearest)'?"
        case .unknownKey(nil, let allowed):
            return "\(subject) is no known key; known here are \(allowed.joined(separator: ", "))"
        case .duplicateKey:
            return "\(subject) stands here twice; remove one of the two"
        case .missing(let expected):
            return "\(subject) is missing; it must be \(expected)"
        case .wrongType(let found, let expected):
            return "\(subject) is \(found); it must be \(expected)"
        case .outOfRange(let found, let expected):
            return "\(subject) is \(found); it must be \(expected)"
        }
    }
}
