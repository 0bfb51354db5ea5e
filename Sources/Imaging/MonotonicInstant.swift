/// A moment on CLOCK_MONOTONIC, the clock that GStreamer stamps frames with.
///
/// Deadlines and latencies are differences of these. Swift's `ContinuousClock` counts CLOCK_BOOTTIME on Linux and does
/// not mix with it, hence a type of our own. The wall clock plays no part in any verdict.
public struct MonotonicInstant: Hashable, Comparable, Sendable {
    /// Nanoseconds since the clock's own zero, in practice since boot without time asleep.
    public let nanoseconds: UInt64

    public init(nanoseconds: UInt64) {
        self.nanoseconds = nanoseconds
    }

    /// Whole microseconds, as the messages carry them.
    public var microseconds: UInt64 { nanoseconds / 1000 }

    public static func < (left: Self, right: Self) -> Bool { left.nanoseconds < right.nanoseconds }

    /// The moment `duration` later; the clock's zero where that would lie before it.
    public func advanced(by duration: Duration) -> MonotonicInstant {
        let moved = Int64(clamping: nanoseconds).addingReportingOverflow(duration.nanoseconds)
        return MonotonicInstant(nanoseconds: moved.overflow ? .max : UInt64(clamping: moved.partialValue))
    }

    /// How much later `other` is; negative where it is earlier.
    public func duration(to other: MonotonicInstant) -> Duration {
        .nanoseconds(Int64(clamping: other.nanoseconds) - Int64(clamping: nanoseconds))
    }
}

extension Duration {
    /// Whole nanoseconds, clamped to what 64 bits hold (292 years).
    public var nanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        return overflow ? (seconds < 0 ? .min : .max) : whole &+ attoseconds / 1_000_000_000
    }

    /// Whole microseconds, as the messages carry them.
    public var microseconds: Int64 { nanoseconds / 1000 }

    /// Seconds as a floating-point number, for people.
    public var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
