import Glibc

/// A moment on CLOCK_MONOTONIC, in whole microseconds, as messages carry the station's.
public struct MonotonicMoment: InstantProtocol {
    public let microseconds: UInt64

    public init(microseconds: UInt64) {
        self.microseconds = microseconds
    }

    /// This machine's clock.
    public static var now: MonotonicMoment {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return MonotonicMoment(microseconds: UInt64(time.tv_sec) * 1_000_000 + UInt64(time.tv_nsec) / 1000)
    }

    public static func < (left: Self, right: Self) -> Bool { left.microseconds < right.microseconds }

    /// The moment `duration` later; the nearest there is where that would lie outside the clock's range.
    public func advanced(by duration: Duration) -> MonotonicMoment {
        let (sum, overflow) = Int64(clamping: microseconds).addingReportingOverflow(duration.wholeMicroseconds)
        return MonotonicMoment(microseconds: overflow ? .max : UInt64(clamping: sum))
    }

    public func duration(to other: MonotonicMoment) -> Duration {
        .microseconds(Int64(clamping: other.microseconds) - Int64(clamping: microseconds))
    }
}

extension Duration {
    /// Clamped to what 64 bits hold, 292,000 years.
    var wholeMicroseconds: Int64 {
        let (seconds, overflow) = components.seconds.multipliedReportingOverflow(by: 1_000_000)
        guard !overflow else { return components.seconds < 0 ? .min : .max }
        let (sum, tooFar) = seconds.addingReportingOverflow(components.attoseconds / 1_000_000_000_000)
        return tooFar ? (seconds < 0 ? .min : .max) : sum
    }
}
