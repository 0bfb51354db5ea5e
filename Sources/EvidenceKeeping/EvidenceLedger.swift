import Imaging
import InspectionProtocol

/// The health of the evidence and its counts, as they follow from what was stored and what was lost.
struct EvidenceLedger {
    /// How long a loss that has passed counts: long enough for a person to see the flag.
    static let memory = Duration.seconds(10)

    private(set) var health = EvidenceHealth.keeping
    private(set) var counts = EvidenceCounts()

    /// Lost since the last call of `takeUnreported`.
    private var unreported = 0
    private var lastLoss: MonotonicInstant?

    /// Whether the next part can be kept, as far as is known.
    var takesParts: Bool {
        if case .degraded(let degradation) = health, case .disk = degradation.cause { false } else { true }
    }

    mutating func noteStored() { counts.stored += 1 }

    /// Counts a part whose pictures are lost.
    ///
    /// - Parameter cause: Nil where it is known already: the disk takes nothing.
    mutating func lose(_ cause: EvidenceHealth.Cause?, at now: MonotonicInstant, wall: UTCTimestamp) {
        counts.dropped += 1
        unreported += 1
        lastLoss = now
        if let cause { degrade(by: cause, wall) }
        if case .degraded(var degradation) = health {
            degradation.dropped += 1
            health = .degraded(degradation)
        }
    }

    /// Draws the consequences of what the store says about the disk, and of time.
    mutating func settle(_ fault: EvidenceFault?, at now: MonotonicInstant, wall: UTCTimestamp) {
        if let fault {
            degrade(by: .disk(fault), wall)
        } else if case .degraded(let degradation) = health {
            let isOver =
                if case .disk = degradation.cause { true } else {
                    lastLoss.map { $0.duration(to: now) >= Self.memory } ?? true
                }
            if isOver { health = .keeping }
        }
    }

    private mutating func degrade(by cause: EvidenceHealth.Cause, _ wall: UTCTimestamp) {
        guard case .degraded(var degradation) = health else {
            health = .degraded(.init(cause: cause, since: wall, dropped: 0))
            return
        }
        // What the disk says is the whole story until the disk says otherwise.
        if case .disk = degradation.cause { guard case .disk = cause else { return } }
        degradation.cause = cause
        health = .degraded(degradation)
    }

    /// How many were lost since the last call, for one log line about many.
    mutating func takeUnreported() -> Int {
        defer { unreported = 0 }
        return unreported
    }
}
