import InspectionProtocol

/// Which messages of a journal are asked for; a criterion that is nil or empty leaves everything in.
public struct JournalFilter: Hashable, Sendable {
    public var kinds: Set<MessageKind> = []
    public var session: SessionNumber?
    public var partID: PartID?
    public var dispositions: Set<Disposition> = []

    /// `Reason.text`.
    public var reasons: Set<String> = []

    /// Made at this time or later.
    public var since: UTCTimestamp?

    /// Made before this time.
    public var until: UTCTimestamp?

    /// The latest so many of those that fit.
    public var limit: Int?

    public init() {}

    /// Whether it asks for whole stretches of a sequence, so that a hole in it is a lost message.
    var keepsSequencesWhole: Bool { partID == nil && dispositions.isEmpty && reasons.isEmpty && limit == nil }
}
