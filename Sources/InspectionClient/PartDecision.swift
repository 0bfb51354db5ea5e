import InspectionProtocol

/// What the gate does with a part.
public enum PartDecision: Hashable, Sendable {
    case accept
    case reject(RejectCause)
}

/// Why a part may not pass.
public enum RejectCause: Hashable, Sendable {
    /// Nothing was heard of the part: the default.
    case noVerdict

    /// Nobody said that such a part is coming, or more parts were than the gate keeps.
    case notExpected

    /// Two parts with the same name were on their way.
    case ambiguousName

    /// The station says so.
    case disposition(Disposition, Reason)

    /// The station said accept and something else as well.
    case contradiction

    /// The frames were not happening when they were judged.
    case simulated

    /// The verdict is for another purpose than sorting parts.
    case mode(Mode)

    /// Nobody can say whether the verdict came in time.
    case noDeadline

    /// The verdict came this long after the deadline or the gate time, or may have.
    case late(by: Duration)

    /// The station has not yet told its clock.
    case unknownClock

    /// The station's clock is another machine's, and known less well than the margin demands.
    case uncertainClock(Duration)

    /// No heartbeat came for longer than the limit while the part was on its way.
    case silence

    /// The station started anew while the part was on its way.
    case newSession
}
