import Dispatch
import Glibc
import Locking

/// Ctrl-C, SIGTERM and a terminal that closes, for the whole life of the program: what is at work ends in order.
final class StopRequest: Sendable {
    /// Signals belong to a process.
    static let ofThisProcess = StopRequest()

    private struct State {
        var isRequested = false
        var handlers: [Int: @Sendable () -> Void] = [:]
        var next = 0
    }

    private let state = Lock(State())
    private let sources: Lock<[any DispatchSourceSignal]> = Lock([])

    private init() {
        // With nohup a terminal may close.
        let hangUp = Self.isIgnored(SIGHUP) ? [] : [SIGHUP]
        for number in [SIGINT, SIGTERM] + hangUp {
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { @Sendable [self] in request() }
            source.resume()
            sources.withLock { $0.append(source) }
        }
    }

    private static func isIgnored(_ number: Int32) -> Bool {
        var action = sigaction()
        sigaction(number, nil, &action)
        let handler = unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self)
        return handler == unsafeBitCast(SIG_IGN, to: Int.self)
    }

    private func request() {
        let handlers = state.withLock { state in
            state.isRequested = true
            return Array(state.handlers.values)
        }
        for handler in handlers { handler() }
    }

    /// Calls `handler` when the program is asked to end during `work`, or was before; perhaps more than once.
    func handled<Result, Failure: Error>(
        by handler: @escaping @Sendable () -> Void, during work: () throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let (number, isRequested) = state.withLock { state in
            state.next += 1
            state.handlers[state.next] = handler
            return (state.next, state.isRequested)
        }
        defer { state.withLock { $0.handlers[number] = nil } }
        if isRequested { handler() }
        return try work()
    }
}
