/// Notices that heartbeats stay away, and that they come back.
///
/// Silence must never look like a good part: while a station is silent, every pending part counts as rejected.
struct SilenceDetector {
    let limit: Duration
    private var lastHeard: MonotonicMoment
    private var isSilent = false

    /// - Parameter start: From here on a heartbeat is expected.
    init(limit: Duration, start: MonotonicMoment) {
        self.limit = limit
        lastHeard = start
    }

    /// Takes note of a heartbeat and returns how long the silence before it was, where it had been noticed.
    mutating func heard(at now: MonotonicMoment) -> Duration? {
        defer {
            lastHeard = now
            isSilent = false
        }
        return isSilent ? lastHeard.duration(to: now) : nil
    }

    /// Whether the limit has just been exceeded: true once in each silence.
    mutating func noticesSilence(at now: MonotonicMoment) -> Bool {
        guard lastHeard.duration(to: now) > limit else { return false }
        return begin()
    }

    /// Whether a silence begins with a message sent at `sent` on the station's clock, the last heartbeat before it at
    /// `lastBeat`, both in microseconds: true once in each silence.
    mutating func noticesSilence(from lastBeat: UInt64, to sent: UInt64) -> Bool {
        guard sent > lastBeat, .microseconds(sent - lastBeat) > limit else { return false }
        return begin()
    }

    private mutating func begin() -> Bool {
        defer { isSilent = true }
        return !isSilent
    }

    /// How long one may wait before looking again, nil while silent anyway.
    func timeToLimit(at now: MonotonicMoment) -> Duration? {
        isSilent ? nil : max(.zero, limit - lastHeard.duration(to: now))
    }
}
