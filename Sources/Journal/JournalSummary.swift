import InspectionProtocol

/// How many parts ended how, by the verdicts of a journal.
public struct JournalSummary: Hashable, Sendable {
    public struct Line: Hashable, Sendable {
        public var disposition: Disposition

        /// `Reason.text`.
        public var reason: String
        public var count: Int
    }

    /// The sessions, and the first and last verdict; nil where there is none.
    public var sessions: ClosedRange<SessionNumber>?
    public var period: ClosedRange<UTCTimestamp>?

    /// By disposition, the most frequent reason first.
    public var lines: [Line] = []

    /// Holes in the sequence numbers by kind: messages that were published and are not in the journal.
    ///
    /// Nil where the filter itself leaves holes. What is missing behind the last message of a session cannot be seen here.
    public var missing: [MessageKind: Int]?

    /// Parts that ended so.
    public func count(of disposition: Disposition) -> Int {
        lines.filter { $0.disposition == disposition }.map(\.count).reduce(0, +)
    }

    /// Parts that were seen: `accept + review + reject`.
    public var seen: Int { lines.map(\.count).reduce(0, +) }
}
