import Glibc

/// A value that only one thread at a time can see.
///
/// A pthread mutex rather than `Synchronization.Mutex`: the thread sanitizer knows the former and reports false races
/// with the latter (Swift 6.3 on Linux), and both cost the same here.
public final class Lock<Value>: @unchecked Sendable {
    // Sendable because `value` is only ever touched between lock and unlock.
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private var value: Value

    public init(_ value: sending Value) {
        mutex = .allocate(capacity: 1)
        pthread_mutex_init(mutex, nil)
        self.value = value
    }

    deinit {
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
    }

    /// Lends the value to `body` and blocks every other caller meanwhile.
    ///
    /// Decide under the lock, act after it: `body` returns what to do.
    public func withLock<Result, Failure: Error>(
        _ body: (inout Value) throws(Failure) -> sending Result
    ) throws(Failure) -> sending Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return try body(&value)
    }
}
