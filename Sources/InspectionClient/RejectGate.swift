import InspectionProtocol

/// How a gate knows a part.
public enum PartName: Hashable, Sendable {
    /// The controller's own token, which came back in the verdict.
    case token(PLCToken)
    case part(PartID)
}

/// Decides what becomes of each part on its way from the camera to the gate: the duties of PROTOCOL §6.
///
/// Every part is a reject unless the station's verdict says accept, in time, about frames that are happening now. Pure
/// bookkeeping: what a `StationFeed` tells goes in through `note`, the time is passed in, and `decide` says at the gate
/// what to do. A loop that was asleep decides right even before it has read what waits for it.
public struct RejectGate: Sendable {
    public struct Configuration: Hashable, Sendable {
        /// How long heartbeats may stay away before every part on its way rejects; default 350 ms.
        public var silenceLimit = StationFeed.protocolSilenceLimit

        /// How long heartbeats may stay away before the line should stop; default 2 s.
        public var lineStopLimit = Duration.seconds(2)

        /// How uncertain the clock of another machine may be; default 5 ms.
        ///
        /// More accepts over a slower network, and lets a verdict be believed later than it is.
        public var clockMargin = Duration.milliseconds(5)

        /// How many parts may be on their way; default 10,000. More than that reject.
        public var capacity = 10_000

        public init() {}
    }

    private struct Pending {
        let gateAt: MonotonicMoment
        var decision: PartDecision?
    }

    public let station: StationName
    private let configuration: Configuration
    private var silence: SilenceDetector
    private var longSilence: SilenceDetector
    private var isSilent = true
    private var isSilentForLong = false
    private var clock: StationClock?
    private var session: SessionNumber?
    private var hasSnapshot = false
    private var lastHeartbeat: Heartbeat?
    private var pending: [PartName: Pending] = [:]

    /// - Parameter start: From here on heartbeats are expected.
    public init(
        of station: StationName, configuration: Configuration = Configuration(), start: MonotonicMoment = .now
    ) {
        self.station = station
        self.configuration = configuration
        silence = SilenceDetector(limit: configuration.silenceLimit, start: start)
        longSilence = SilenceDetector(limit: configuration.lineStopLimit, start: start)
    }

    /// A part is on its way; without an accept it rejects.
    ///
    /// - Parameter gateAt: When it will be at the gate: a verdict that comes later opens it no more.
    public mutating func expect(_ part: PartName, gateAt: MonotonicMoment, at now: MonotonicMoment) {
        advance(to: now)
        if pending[part] != nil {
            pending[part]?.decision = .reject(.ambiguousName)
        } else if pending.count < configuration.capacity {
            // While nobody is heard the part rejects, whatever comes later.
            pending[part] = Pending(gateAt: gateAt, decision: isSilent ? .reject(.silence) : nil)
        }
    }

    /// Takes note of what the feed tells.
    ///
    /// - Returns: A recovered verdict that came too late for its part, or for one that nobody expected: to be recorded,
    ///   never to be acted on.
    @discardableResult
    public mutating func note(_ event: FeedEvent, at now: MonotonicMoment) -> Verdict? {
        advance(to: now)
        switch event {
        case .message(let message):
            note(message, at: now)
        case .recovered(let message):
            guard message.envelope.station == station, case .verdict(let verdict) = message.body else { return nil }
            let isInTime = names(of: verdict).contains { name in pending[name].map { now <= $0.gateAt } ?? false }
            guard isInTime, message.envelope.session == session else { return verdict }
            note(verdict, isVerdictMessage: true, at: now)
        case .greeted(let greeting, let clock):
            guard greeting.station == station else { return nil }
            begin(greeting.session)
            self.clock = clock
        case .snapshot(let snapshot):
            guard snapshot.station == station else { return nil }
            begin(snapshot.session)
            hasSnapshot = true
        case .silent:
            // The feed has seen it in the station's own times, where our clock has not.
            condemn(.silence)
        case .missed, .lost, .heardAgain, .unreadable, .recoveryUnavailable:
            break
        }
        return nil
    }

    /// What to do with a part that is at the gate now; it is then forgotten.
    public mutating func decide(_ part: PartName, at now: MonotonicMoment) -> PartDecision {
        advance(to: now)
        guard let found = pending.removeValue(forKey: part) else { return .reject(.notExpected) }
        return found.decision ?? .reject(.noVerdict)
    }

    /// Whether a controller may send parts.
    public mutating func isReady(at now: MonotonicMoment) -> Bool {
        advance(to: now)
        guard let clock, let lastHeartbeat else { return false }
        let knowsTheTime = clock.uncertainty(at: now) <= configuration.clockMargin
        return !isSilent && hasSnapshot && lastHeartbeat.ready && knowsTheTime
    }

    /// Whether the line should stop: the station asks for it, or has been silent for too long.
    public mutating func requestsLineStop(at now: MonotonicMoment) -> Bool {
        advance(to: now)
        return isSilentForLong || lastHeartbeat?.lineStopRequest == true
    }

    /// How many parts are on their way.
    public var pendingCount: Int { pending.count }

    private mutating func advance(to now: MonotonicMoment) {
        if silence.noticesSilence(at: now) {
            isSilent = true
            condemn(.silence)
        }
        if longSilence.noticesSilence(at: now) { isSilentForLong = true }
    }

    private mutating func condemn(_ cause: RejectCause) {
        for (name, part) in pending {
            if case .reject = part.decision { continue }
            pending[name]?.decision = .reject(cause)
        }
    }

    private mutating func begin(_ session: SessionNumber) {
        guard self.session != session else { return }
        self.session = session
        hasSnapshot = false
        lastHeartbeat = nil
        condemn(.newSession)
    }

    private mutating func note(_ message: Message, at now: MonotonicMoment) {
        guard message.envelope.station == station else { return }
        // Sessions only grow; what an older one left in a queue says nothing any more.
        if session.map({ message.envelope.session > $0 }) ?? true { begin(message.envelope.session) }
        guard message.envelope.session == session else { return }
        switch message.body {
        case .verdict(let verdict): note(verdict, isVerdictMessage: true, at: now)
        case .reject(let verdict): note(verdict, isVerdictMessage: false, at: now)
        case .heartbeat(let heartbeat):
            lastHeartbeat = heartbeat
            // One that waited in a queue is as old as it is, not as new as its reading.
            let sent = MonotonicMoment(microseconds: message.envelope.sentMonotonicMicroseconds)
            let beat = min(now, clock?.earliestLocal(of: sent, at: now) ?? now)
            _ = silence.heard(at: beat)
            _ = longSilence.heard(at: beat)
            isSilent = false
            isSilentForLong = false
            advance(to: now)
        case .state, .result, .event, .health: break
        }
    }

    private mutating func note(_ verdict: Verdict, isVerdictMessage: Bool, at now: MonotonicMoment) {
        for name in names(of: verdict) {
            guard let part = pending[name] else { continue }
            let judged = judge(verdict, isVerdictMessage: isVerdictMessage, gateAt: part.gateAt, at: now)
            switch (part.decision, judged) {
            case (nil, _): pending[name]?.decision = judged
            case (.accept, .reject(.disposition)): pending[name]?.decision = .reject(.contradiction)
            case (.accept, _), (.reject, _): break
            }
        }
    }

    private func names(of verdict: Verdict) -> [PartName] {
        [.part(verdict.partID)] + (verdict.plcToken.map { [.token($0)] } ?? [])
    }

    /// Duty 2, for a verdict of the current session.
    private func judge(
        _ verdict: Verdict, isVerdictMessage: Bool, gateAt: MonotonicMoment, at now: MonotonicMoment
    ) -> PartDecision {
        guard verdict.disposition == .accept, isVerdictMessage else {
            return .reject(.disposition(isVerdictMessage ? verdict.disposition : .reject, verdict.reason))
        }
        guard !verdict.simulated else { return .reject(.simulated) }
        guard verdict.mode == .production else { return .reject(.mode(verdict.mode)) }
        guard !isSilent else { return .reject(.silence) }
        guard let deadline = verdict.deadlineMonotonicMicroseconds else { return .reject(.noDeadline) }
        guard let clock else { return .reject(.unknownClock) }
        let uncertainty = clock.uncertainty(at: now)
        guard uncertainty <= configuration.clockMargin else { return .reject(.uncertainClock(uncertainty)) }
        let limit = MonotonicMoment(microseconds: min(deadline, verdict.gateDueMonotonicMicroseconds ?? .max))
        let lateness = max(limit.duration(to: clock.latest(at: now)), gateAt.duration(to: now))
        return lateness > .zero ? .reject(.late(by: lateness)) : .accept
    }
}
