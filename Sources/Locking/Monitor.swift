import Glibc

/// A value that only one thread at a time can see, and whose changes other threads can wait for.
///
/// A pthread mutex and condition for the reason given at `Lock`; the condition counts on CLOCK_MONOTONIC, so a step of
/// the wall clock neither shortens nor lengthens a wait.
public final class Monitor<Value>: @unchecked Sendable {
    // Sendable because `value` is only ever touched between lock and unlock.
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let changed: UnsafeMutablePointer<pthread_cond_t>
    private var value: Value

    public init(_ value: sending Value) {
        mutex = .allocate(capacity: 1)
        pthread_mutex_init(mutex, nil)
        changed = .allocate(capacity: 1)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(changed, &attributes)
        pthread_condattr_destroy(&attributes)
        self.value = value
    }

    deinit {
        pthread_cond_destroy(changed)
        changed.deallocate()
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
    }

    /// Lends the value to `body`, blocks every other caller meanwhile, and wakes those who wait for a change.
    public func withLock<Result, Failure: Error>(
        _ body: (inout Value) throws(Failure) -> sending Result
    ) throws(Failure) -> sending Result {
        pthread_mutex_lock(mutex)
        defer {
            pthread_cond_broadcast(changed)
            pthread_mutex_unlock(mutex)
        }
        return try body(&value)
    }

    /// Waits until `body` finds what it looks for, at most `timeout`.
    ///
    /// `body` runs at once and again after every change, under the lock. When it finds something it may change the value
    /// too, and that wakes the others who wait.
    ///
    /// - Returns: What `body` found, or nil when the time was up.
    public func wait<Result>(atMost timeout: Duration, for body: (inout Value) -> sending Result?) -> sending Result? {
        var end = timespec()
        clock_gettime(CLOCK_MONOTONIC, &end)
        let (seconds, attoseconds) = max(timeout, .zero).components
        // A year is as good as for ever and keeps the sum in range.
        end.tv_sec += Int(min(seconds, 365 * 86_400))
        end.tv_nsec += Int(attoseconds / 1_000_000_000)
        if end.tv_nsec >= 1_000_000_000 {
            end.tv_sec += 1
            end.tv_nsec -= 1_000_000_000
        }

        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        var timeIsUp = false
        while true {
            if let found = body(&value) {
                pthread_cond_broadcast(changed)
                return found
            }
            guard !timeIsUp else { return nil }
            // The last look is after the end, so that a change just in time counts.
            timeIsUp = pthread_cond_timedwait(changed, mutex, &end) == ETIMEDOUT
        }
    }
}
