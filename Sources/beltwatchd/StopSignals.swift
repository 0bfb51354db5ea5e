import Dispatch
import Glibc
import Locking

/// SIGTERM and SIGINT as a call: the first asks to stop, the second ends the process at once.
final class StopSignals: Sendable {
    private let sources: Lock<[any DispatchSourceSignal]>

    /// - Parameter requestStop: Called once, on a queue of its own.
    init(_ requestStop: @escaping @Sendable () -> Void) {
        let queue = DispatchQueue(label: "beltwatch.signals")
        let wasAsked = Lock(false)
        let sources = [SIGTERM, SIGINT].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
            source.setEventHandler { @Sendable in
                let isSecond = wasAsked.withLock { wasAsked in
                    defer { wasAsked = true }
                    return wasAsked
                }
                if isSecond { _exit(128 + number) }
                requestStop()
            }
            source.activate()
            return source
        }
        self.sources = Lock(sources)
    }

    func cancel() {
        sources.withLock { sources in sources.forEach { $0.cancel() } }
    }
}
