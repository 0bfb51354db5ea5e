import Glibc

/// How much processor time may go into something: a share of all time in the long run, and some of it at once.
///
/// Pure bookkeeping; the time is passed in.
struct WorkAllowance {
    typealias Instant = SuspendingClock.Instant

    /// 0…1.
    let share: Double

    /// The most that is saved up.
    let burst: Duration

    /// Below zero after work that took more than was left.
    private var stock: Duration
    private var countedUntil: Instant

    init(share: Double, burst: Duration, at now: Instant) {
        self.share = share
        self.burst = burst
        stock = burst
        countedUntil = now
    }

    /// Takes what was worked out of the stock.
    mutating func spend(_ work: Duration, at now: Instant) {
        refill(at: now)
        stock -= work
    }

    /// How long to rest before there is more to do; zero where nothing is owed.
    mutating func pause(at now: Instant) -> Duration {
        refill(at: now)
        return stock < .zero ? stock * (-1 / share) : .zero
    }

    private mutating func refill(at now: Instant) {
        stock = min(burst, stock + countedUntil.duration(to: now) * share)
        countedUntil = max(countedUntil, now)
    }
}

/// What the calling thread has computed since it began; waiting for a disk or a lock is no work.
func processorTimeOfThisThread() -> Duration {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
}
