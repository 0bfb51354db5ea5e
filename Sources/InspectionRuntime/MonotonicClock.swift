import Dispatch
import Glibc
import Imaging
import InspectionProtocol

/// What tells the line how late it is.
///
/// Deadlines and latencies only ever use this one; a step of the wall clock changes no verdict.
public protocol MonotonicClock: Sendable {
    var now: MonotonicInstant { get }
}

/// CLOCK_MONOTONIC, the clock that GStreamer stamps frames with.
public struct SystemMonotonicClock: MonotonicClock {
    public init() {}

    public var now: MonotonicInstant {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return MonotonicInstant(nanoseconds: UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec))
    }
}

/// The time of day, for people who read the messages; nothing is decided by it.
public protocol WallClock: Sendable {
    var now: UTCTimestamp { get }
}

/// CLOCK_REALTIME.
public struct SystemWallClock: WallClock {
    public init() {}

    public var now: UTCTimestamp { .now() }
}

extension Duration {
    var dispatchInterval: DispatchTimeInterval { .nanoseconds(Int(nanoseconds)) }
}
