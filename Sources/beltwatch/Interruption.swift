import Dispatch
import Glibc
import Locking

/// Ctrl-C and SIGTERM as a question a loop can ask: "was I told to stop?".
///
/// The first signal asks politely; the second ends the process at once, for a person in a hurry.
final class Interruption: Sendable {
    private let wasRequested = Lock(false)
    private let sources: Lock<[any DispatchSourceSignal]>

    /// - Parameter onRequest: Called once, on the signal, for work that does not ask.
    init(_ onRequest: @escaping @Sendable () -> Void = {}) {
        let queue = DispatchQueue(label: "beltwatch.signals")
        let wasRequested = wasRequested
        var sources: [any DispatchSourceSignal] = []
        for number in [SIGINT, SIGTERM] {
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
            source.setEventHandler { @Sendable in
                let isSecond = wasRequested.withLock { requested in
                    defer { requested = true }
                    return requested
                }
                if isSecond { _exit(128 + number) }
                onRequest()
            }
            source.resume()
            sources.append(source)
        }
        self.sources = Lock(sources)
    }

    /// Whether the process was asked to stop.
    var isRequested: Bool { wasRequested.withLock { $0 } }
}
