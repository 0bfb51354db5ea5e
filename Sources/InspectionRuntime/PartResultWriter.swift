import InspectionProtocol
import Locking

/// Hands every part's result to a closure that may take its time: a verdict file, a terminal.
///
/// Nothing is lost: where the closure is slower than the line, the line waits. Right for a replay, wrong beside a camera.
public final class PartResultWriter: InspectionOutput {
    private let results: Stage<PartResult>
    private let failure: Lock<(any Error)?>

    /// - Parameter write: Called on `beltwatch.write`, part after part. After an error it is not called again.
    public init(_ write: @escaping @Sendable (PartResult) throws -> Void) {
        let failure = Lock<(any Error)?>(nil)
        self.failure = failure
        results = Stage(
            "beltwatch.write", mailbox: MailboxConfiguration(capacity: 64, overflow: .wait),
            clock: SystemMonotonicClock()
        ) { result in
            guard failure.withLock({ $0 == nil }) else { return }
            do { try write(result) } catch { failure.withLock { $0 = error } }
        } discard: { _ in
        }
    }

    public func send(_ message: Message) {
        if case .result(let result) = message.body { results.submit(result) }
    }

    public func flush() {
        // Without a limit, like the line itself: whoever reads a terminal page by page takes minutes.
        while !results.drain(limit: .seconds(60)) {}
    }

    /// Call after the run.
    ///
    /// - Throws: The first error of the closure.
    public func checkWritten() throws {
        if let error = failure.withLock({ $0 }) { throw error }
    }
}
