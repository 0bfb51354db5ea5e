/// What became of every frame: `received = notTriggered + scored + discarded + corrupt + stale + unhealthy + failed`
/// once the line has drained.
public struct FrameCounts: Hashable, Sendable {
    /// Frames that the source delivered.
    public var received = 0

    /// Frames missing in the source's numbering: lost before they reached us, so not among the received.
    public var lost = 0

    /// Frames between two parts, and those that could show any of several parts.
    public var notTriggered = 0

    /// Frames that were scored, in time or late.
    public var scored = 0

    /// Frames that a full mailbox gave up, at whichever stage.
    public var discarded = 0

    /// Frames whose pixels the source marked as damaged.
    public var corrupt = 0

    /// Frames that came too long after they were captured.
    public var stale = 0

    /// Frames too dark, too bright or too flat to judge.
    public var unhealthy = 0

    /// Frames that preprocessing, a network or the fusion could not make a score of.
    public var failed = 0

    public init() {}
}
