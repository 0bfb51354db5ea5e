import Glibc
import Imaging
import InspectionRuntime
import Locking

/// An open-loop generator: pictures that are captured by a schedule and not when somebody has time for them.
///
/// A closed loop, which takes the next picture when the last is dealt with, pauses together with what it measures and so
/// counts one slow part where many would have come (coordinated omission). Here the parts of a stall have been captured
/// all the same, and their latency begins at that moment.
final class ScheduledSource: FrameSource {
    private struct State {
        var next = 0
        var isStopped = false
        var lateness: [Duration] = []
    }

    let isLive = true
    let start: MonotonicInstant
    private let plan: LoadPlan
    private let good = MarkedPicture.pixels(isBad: false)
    private let bad = MarkedPicture.pixels(isBad: true)
    private let clock = SystemMonotonicClock()
    private let state: Lock<State>

    /// - Parameter start: When the first part is captured.
    init(_ plan: LoadPlan, start: MonotonicInstant) {
        self.plan = plan
        self.start = start
        var state = State()
        state.lateness.reserveCapacity(plan.parts)
        self.state = Lock(state)
    }

    /// How many parts were handed over.
    var delivered: Int { state.withLock { $0.lateness.count } }

    /// How long after its capture each part was handed over.
    var lateness: [Duration] { state.withLock { $0.lateness } }

    func next(timeout: Duration) -> FramePull {
        let (number, isStopped) = state.withLock { ($0.next, $0.isStopped) }
        guard number < plan.parts, !isStopped else { return .ended }
        let due = plan.due(number, from: start)
        let limit = clock.now.advanced(by: timeout)
        guard due <= limit else {
            sleep(until: limit)
            return .timedOut
        }
        sleep(until: due)
        let late = due.duration(to: clock.now)
        state.withLock { state in
            state.next += 1
            state.lateness.append(late)
        }
        return .frame(
            Frame(
                number: UInt64(number), width: MarkedPicture.width, height: MarkedPicture.height, capturedAt: due,
                pixels: LoadPlan.isBad(number) ? bad : good))
    }

    func stop() { state.withLock { $0.isStopped = true } }

    /// Returns at once where the moment has passed.
    private func sleep(until moment: MonotonicInstant) {
        var time = timespec(
            tv_sec: Int(moment.nanoseconds / 1_000_000_000), tv_nsec: Int(moment.nanoseconds % 1_000_000_000))
        while clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, nil) == EINTR {}
    }
}
