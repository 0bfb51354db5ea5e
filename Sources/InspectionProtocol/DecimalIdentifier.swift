/// A 64-bit number that travels as a decimal string, because JSON readers round integers beyond 2⁵³.
public protocol DecimalIdentifier: Codable, Hashable, Comparable, Sendable, CustomStringConvertible,
    ExpressibleByIntegerLiteral
{
    var value: UInt64 { get }
    init(_ value: UInt64)
}

extension DecimalIdentifier {
    public init(integerLiteral value: UInt64) { self.init(value) }

    public var description: String { String(value) }

    public static func < (left: Self, right: Self) -> Bool { left.value < right.value }

    /// Takes digits only: no sign, no blank, no JSON number.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }), let value = UInt64(text)
        else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "\"\(text)\" is not an unsigned 64-bit decimal number")
        }
        self.init(value)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

/// Names a part for ever: given at the trigger, never used again, also not after a restart.
public struct PartID: DecimalIdentifier {
    public let value: UInt64
    public init(_ value: UInt64) { self.value = value }
}

/// The trigger source's own count.
public struct TriggerID: DecimalIdentifier {
    public let value: UInt64
    public init(_ value: UInt64) { self.value = value }
}

/// The number by which a controller knows the part.
public struct PLCToken: DecimalIdentifier {
    public let value: UInt64
    public init(_ value: UInt64) { self.value = value }
}

/// Position of a frame in the capture sequence, from 0.
public struct FrameID: DecimalIdentifier {
    public let value: UInt64
    public init(_ value: UInt64) { self.value = value }
}

/// One run of the daemon: one more at each start, persisted.
public struct SessionNumber: DecimalIdentifier {
    public let value: UInt64
    public init(_ value: UInt64) { self.value = value }
}

/// Position of a message among those of its session and kind, from 1 and without holes.
public struct SequenceNumber: DecimalIdentifier {
    public let value: UInt64
    public init(_ value: UInt64) { self.value = value }
}
