/// What becomes of a part.
public enum Disposition: String, Hashable, Sendable, CaseIterable {
    case accept
    case review
    case reject
}

extension Disposition: Codable {
    /// Anything unknown is a reject.
    public init(from decoder: any Decoder) throws {
        let text = try? decoder.singleValueContainer().decode(String.self)
        self = text.flatMap(Disposition.init(rawValue:)) ?? .reject
    }
}

/// How many parts ended in which disposition: `seen = accepted + review + rejected`, always.
public struct PartCounts: Hashable, Sendable, Codable {
    public private(set) var accepted = 0
    public private(set) var review = 0
    public private(set) var rejected = 0

    public init() {}

    public var seen: Int { accepted + review + rejected }

    public mutating func count(_ disposition: Disposition) {
        switch disposition {
        case .accept: accepted += 1
        case .review: review += 1
        case .reject: rejected += 1
        }
    }
}
