/// The ERROR answer of the recovery endpoint: nothing was done, and why.
public struct RecoveryFailure: Error, Hashable, Sendable, Codable {
    /// For programs; one that this version does not know is kept.
    public struct Code: RawRepresentable, Hashable, Sendable, Codable {
        public let rawValue: String
        public init(rawValue: String) { self.rawValue = rawValue }

        public static let malformed = Code(rawValue: "malformed")
        public static let tooLarge = Code(rawValue: "too_large")
        public static let unsupportedSchema = Code(rawValue: "unsupported_schema")
        public static let unknownVerb = Code(rawValue: "unknown_verb")
        public static let unknownCommand = Code(rawValue: "unknown_command")
        public static let unknownKind = Code(rawValue: "unknown_kind")
        public static let notReplayable = Code(rawValue: "not_replayable")
        public static let emptyRange = Code(rawValue: "empty_range")

        /// The station does not remember that session.
        public static let unknownSession = Code(rawValue: "unknown_session")

        /// All of the range is too old; `oldest` says what is left.
        public static let gone = Code(rawValue: "gone")

        /// Answers to this peer were dropped because it did not read them; take a SNAPSHOT and go on from there.
        public static let startAnew = Code(rawValue: "start_anew")

        /// The station cannot say now; ask again later.
        public static let unavailable = Code(rawValue: "unavailable")
    }

    public var code: Code

    /// For people: what was found and what to do.
    public var message: String

    /// With `gone`, the oldest number that can be replayed; nil where there is none.
    @ExplicitNull public var oldest: SequenceNumber?

    public init(_ code: Code, _ message: String, oldest: SequenceNumber? = nil) {
        self.code = code
        self.message = message
        self.oldest = oldest
    }

    public init(_ error: RecoveryRequestError) {
        self.init(error.code, error.description)
    }

    public static func gone(_ range: ReplayRange, oldest: SequenceNumber?) -> RecoveryFailure {
        let rest = oldest.map { "ask from \($0) on" } ?? "none are kept at present"
        let (first, last) = (range.sequences.lowerBound, range.sequences.upperBound)
        // Whoever asks for all that came after something does not know how many there were.
        let which = last.value == .max ? "from \(first) on" : "\(first) to \(last)"
        return RecoveryFailure(
            .gone,
            "\(range.kind.rawValue) messages \(which) of session \(range.session) are not kept; \(rest)",
            oldest: oldest)
    }

    public static func unknownSession(_ session: SessionNumber, current: SessionNumber) -> RecoveryFailure {
        RecoveryFailure(
            .unknownSession, "nothing is kept of session \(session); the current one is \(current)")
    }
}

extension RecoveryFailure: CustomStringConvertible {
    public var description: String { "\(code.rawValue): \(message)" }
}
