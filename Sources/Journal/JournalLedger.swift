import Imaging
import InspectionProtocol

/// The health of the journal and its counts, as they follow from what was written and what was given up.
struct JournalLedger {
    /// How long after the last loss an overload counts as over: long enough for a person to see the flag.
    static let overloadMemory = Duration.seconds(10)

    private(set) var health = JournalHealth.writing
    private(set) var counts = JournalCounts()

    /// Given up since the last call of `takeUnreported`.
    private var unreported: [MessageKind: Int] = [:]
    private var lastOverload: MonotonicInstant?

    /// Counts what the mailbox gave up, or a lock kept out, or, where the journal has failed, everything.
    mutating func lose(_ lost: [MessageKind: Int], at now: MonotonicInstant, wall: UTCTimestamp) {
        let number = lost.values.reduce(0, +)
        guard number > 0 else { return }
        counts.lost.merge(lost, uniquingKeysWith: +)
        unreported.merge(lost, uniquingKeysWith: +)
        switch health {
        case .writing:
            lastOverload = now
            health = .degraded(.init(cause: .overload, since: wall, lost: number))
        case .degraded(var degradation):
            if degradation.cause == .overload { lastOverload = now }
            degradation.lost += number
            health = .degraded(degradation)
        case .failed:
            break
        }
    }

    mutating func noteCommit(of number: Int, taking duration: Duration) {
        counts.written += number
        counts.commits += 1
        counts.slowestCommit = max(counts.slowestCommit, duration)
    }

    /// Draws the consequences of what the store says, and of time.
    mutating func settle(_ condition: JournalStore.Condition, at now: MonotonicInstant, wall: UTCTimestamp) {
        switch (condition, health) {
        case (_, .failed):
            break
        case (.failed(let reason), _):
            health = .failed(reason: reason, since: wall)
        case (.full, .writing):
            health = .degraded(.init(cause: .diskFull, since: wall, lost: 0))
        case (.full, .degraded(var degradation)):
            degradation.cause = .diskFull
            health = .degraded(degradation)
        case (.complete, .degraded(let degradation)):
            let isOver =
                switch degradation.cause {
                case .diskFull: true
                case .overload: lastOverload.map { $0.duration(to: now) >= Self.overloadMemory } ?? true
                }
            if isOver { health = .writing }
        case (.complete, .writing):
            break
        }
    }

    /// What was given up since the last call, for one log line about many.
    mutating func takeUnreported() -> [MessageKind: Int] {
        defer { unreported.removeAll() }
        return unreported
    }
}
