import Yams

/// One mapping of a configuration file, read strictly.
///
/// Its keys are an enumeration, so a key that nobody reads is found before any value is looked at, and a key that is read
/// cannot be missing from the list of known ones.
struct ConfigurationSection<Key: RawRepresentable<String> & CaseIterable & Hashable> {
    let file: String

    /// The keys on the way here, outermost first.
    let path: [String]
    let line: Int?
    private var nodes: [Key: Node] = [:]

    /// - Throws: `ConfigurationError` where the node is no mapping, or has a key that is unknown.
    init(_ node: Node, file: String, path: [String]) throws(ConfigurationError) {
        self.file = file
        self.path = path
        line = node.mark?.line
        guard case .mapping(let mapping) = node else {
            throw ConfigurationError(
                file: file, line: line, key: path.joined(separator: "."),
                problem: .wrongType(found: node.kindInWords, expected: "a mapping with the keys \(Self.allowedInWords)")
            )
        }
        for (keyNode, value) in mapping {
            let name = keyNode.scalar?.string ?? keyNode.kindInWords
            guard let key = Key(rawValue: name) else {
                let allowed = Key.allCases.map(\.rawValue)
                throw ConfigurationError(
                    file: file, line: keyNode.mark?.line, key: (path + [name]).joined(separator: "."),
                    problem: .unknownKey(nearest: nearest(to: name, among: allowed), allowed: allowed))
            }
            nodes[key] = value
        }
    }

    private static var allowedInWords: String { Key.allCases.map(\.rawValue).joined(separator: ", ") }

    func contains(_ key: Key) -> Bool { nodes[key] != nil }

    /// The error that names this key, its line and its file.
    func error(_ key: Key, _ problem: ConfigurationError.Problem) -> ConfigurationError {
        ConfigurationError(
            file: file, line: nodes[key]?.mark?.line ?? line, key: (path + [key.rawValue]).joined(separator: "."),
            problem: problem)
    }

    /// What `parse` makes of a key's value, or nil where the key is absent.
    ///
    /// - Parameters:
    ///   - expected: What would be right, as the end of the sentence "it must be …".
    ///   - parse: Gives nil for a value of another type.
    func value<Value>(
        _ key: Key, _ expected: String, where isAllowed: (Value) -> Bool = { _ in true },
        parse: (Node.Scalar, Tag.Name) -> Value?
    ) throws(ConfigurationError) -> Value? {
        guard let node = nodes[key] else { return nil }
        guard let scalar = node.scalar, let value = parse(scalar, node.tag.resolvedName) else {
            throw error(key, .wrongType(found: node.kindInWords, expected: expected))
        }
        guard isAllowed(value) else { throw error(key, .outOfRange(found: "'\(scalar.string)'", expected: expected)) }
        return value
    }

    func required<Value>(_ key: Key, _ expected: String, _ value: Value?) throws(ConfigurationError) -> Value {
        guard let value else { throw error(key, .missing(expected: expected)) }
        return value
    }

    func text(
        _ key: Key, _ expected: String, where isAllowed: (String) -> Bool = { !$0.isEmpty }
    ) throws(ConfigurationError) -> String? {
        try value(key, expected, where: isAllowed) { scalar, tag in tag == .str ? scalar.string : nil }
    }

    func truth(_ key: Key, _ expected: String) throws(ConfigurationError) -> Bool? {
        try value(key, expected) { scalar, tag in tag == .bool ? ["true": true, "false": false][scalar.string] : nil }
    }

    func integer(_ key: Key, in range: ClosedRange<Int>, _ unit: String) throws(ConfigurationError) -> Int? {
        let expected = "a whole number of \(unit) from \(range.lowerBound) to \(range.upperBound)"
        return try value(key, expected, where: range.contains) { scalar, tag in
            tag == .int ? Int(scalar.string) : nil
        }
    }

    func number(_ key: Key, in range: ClosedRange<Double>) throws(ConfigurationError) -> Double? {
        try value(key, "a number from \(range.lowerBound) to \(range.upperBound)", where: range.contains) {
            scalar, tag in
            tag == .int || tag == .float ? Double(scalar.string) : nil
        }
    }

    /// A number with its unit: `250ms`, `2s`.
    func duration(_ key: Key, in range: ClosedRange<Duration>) throws(ConfigurationError) -> Duration? {
        let expected =
            "a duration with its unit (us, ms, s, min, h, d) from \(range.lowerBound.inWords) to "
            + "\(range.upperBound.inWords), such as 250ms"
        return try value(key, expected, where: range.contains) { scalar, _ in Duration(writtenAs: scalar.string) }
    }

    /// A number of bytes with its unit: `64MiB`.
    func byteCount(_ key: Key, in range: ClosedRange<Int>) throws(ConfigurationError) -> Int? {
        let expected =
            "a number of bytes with its unit (KiB, MiB, GiB, TiB) from \(ByteCount(range.lowerBound)) to "
            + "\(ByteCount(range.upperBound)), such as 64MiB"
        return try value(key, expected, where: { range.contains($0.bytes) }) { scalar, _ in
            ByteCount(writtenAs: scalar.string)
        }?.bytes
    }

    func choice<Choice: RawRepresentable<String> & CaseIterable>(
        _ key: Key, _: Choice.Type
    ) throws(ConfigurationError) -> Choice? {
        let expected = "one of " + Choice.allCases.map(\.rawValue).joined(separator: ", ")
        guard let text = try text(key, expected) else { return nil }
        guard let choice = Choice(rawValue: text) else {
            throw error(key, .outOfRange(found: "'\(text)'", expected: expected))
        }
        return choice
    }

    /// The mapping below a key, or nil where the key is absent.
    func section<Inner: RawRepresentable<String> & CaseIterable & Hashable>(
        _ key: Key, _: Inner.Type
    ) throws(ConfigurationError) -> ConfigurationSection<Inner>? {
        guard let node = nodes[key] else { return nil }
        return try ConfigurationSection<Inner>(node, file: file, path: path + [key.rawValue])
    }
}

extension Node {
    /// What somebody wrote, in the words of YAML.
    fileprivate var kindInWords: String {
        switch self {
        case .mapping: "a mapping"
        case .sequence: "a list"
        case .alias: "an alias"
        case .scalar(let scalar):
            switch tag.resolvedName {
            case .str: "the text '\(scalar.string)'"
            case .int, .float: "the number \(scalar.string)"
            case .bool: "the truth value \(scalar.string)"
            case .null: "empty"
            default: "'\(scalar.string)'"
            }
        }
    }
}

extension Tag {
    /// What the value is, where YAML's rules decide by its look.
    fileprivate var resolvedName: Tag.Name { Tag.Name(rawValue: description) }
}

extension Duration {
    private static let units: [(suffix: String, nanoseconds: Double)] = [
        ("us", 1e3), ("ms", 1e6), ("min", 60e9), ("s", 1e9), ("h", 3600e9), ("d", 86_400e9),
    ]

    /// Reads `250ms`, `1.5 s`, `2min`; nil for anything else, a bare number included.
    init?(writtenAs text: String) {
        guard let unit = Self.units.first(where: { text.hasSuffix($0.suffix) }) else { return nil }
        let digits = text.dropLast(unit.suffix.count).trimmingSuffix(while: { $0 == " " })
        guard let number = Double(digits), number.isFinite, abs(number * unit.nanoseconds) < 9e18 else { return nil }
        self = .nanoseconds(Int64((number * unit.nanoseconds).rounded()))
    }

    /// As a configuration file would have it: `250ms`, `1.5s`, `2h`, `30d`.
    var inWords: String {
        let total = Double(nanoseconds)
        let unit = [("d", 86_400e9), ("h", 3600e9), ("min", 60e9), ("s", 1e9), ("ms", 1e6), ("us", 1e3)].first {
            abs(total) >= $0.1
        }
        guard let unit else { return "\(nanoseconds)ns" }
        let number = (total / unit.1 * 1000).rounded() / 1000
        return (number == number.rounded() ? String(Int(number)) : String(number)) + unit.0
    }
}

/// A number of bytes as a configuration file has it: `16MiB`, `1.5 GiB`.
struct ByteCount: CustomStringConvertible {
    private static let units: [(suffix: String, bytes: Double)] = [
        ("TiB", 0x1p40), ("GiB", 0x1p30), ("MiB", 0x1p20), ("KiB", 0x1p10),
    ]

    let bytes: Int

    init(_ bytes: Int) { self.bytes = bytes }

    /// Nil for anything without one of the units.
    init?(writtenAs text: String) {
        guard let unit = Self.units.first(where: { text.hasSuffix($0.suffix) }) else { return nil }
        let digits = text.dropLast(unit.suffix.count).trimmingSuffix(while: { $0 == " " })
        guard let number = Double(digits), number.isFinite, abs(number * unit.bytes) < 0x1p60 else { return nil }
        bytes = Int((number * unit.bytes).rounded())
    }

    var description: String {
        let total = Double(bytes)
        guard let unit = Self.units.first(where: { abs(total) >= $0.bytes }) else { return "\(bytes)B" }
        let number = (total / unit.bytes * 1000).rounded() / 1000
        return (number == number.rounded() ? String(Int(number)) : String(number)) + unit.suffix
    }
}

extension StringProtocol {
    fileprivate func trimmingSuffix(while isTrimmed: (Character) -> Bool) -> SubSequence {
        var end = endIndex
        while end > startIndex, isTrimmed(self[index(before: end)]) { end = index(before: end) }
        return self[..<end]
    }
}

/// The candidate that a typing error most likely meant: the nearest by insertions, deletions and substitutions, if two or
/// at most a third of the letters changed.
private func nearest(to name: String, among candidates: [String]) -> String? {
    let ranked = candidates.map { ($0, editDistance(Array(name), Array($0))) }.min { $0.1 < $1.1 }
    guard let (candidate, distance) = ranked, distance <= max(2, candidate.count / 3), distance < name.count else {
        return nil
    }
    return candidate
}

/// Levenshtein's distance, row by row.
private func editDistance(_ left: [Character], _ right: [Character]) -> Int {
    var above = Array(0...right.count)
    for (i, character) in left.enumerated() {
        var row = [i + 1]
        for (j, other) in right.enumerated() {
            row.append(min(above[j] + (character == other ? 0 : 1), above[j + 1] + 1, row[j] + 1))
        }
        above = row
    }
    return above[right.count]
}
