import InspectionRuntime
import Locking
import Logging

/// Writes log lines to standard error on `beltwatch.log`, so that whoever reads them holds up nobody.
///
/// The decision path logs as well: a full pipe to a reader that stopped would stop verdicts and heartbeats.
struct BackgroundLogHandler: LogHandler {
    private struct Line: Sendable {
        var handler: StreamLogHandler
        var event: LogEvent
    }

    private static let discarded = Lock(0)
    private static let lines = Stage<Line>(
        "beltwatch.log", mailbox: MailboxConfiguration(capacity: 256, overflow: .dropOldest),
        clock: SystemMonotonicClock()
    ) { line in
        line.handler.log(event: line.event)
        let count = discarded.withLock { count in
            defer { count = 0 }
            return count
        }
        guard count > 0 else { return }
        var loss = line.event
        loss.level = .warning
        loss.message = "log lines discarded, nobody read them in time"
        loss.metadata = ["count": "\(count)"]
        line.handler.log(event: loss)
    } discard: { _ in
        discarded.withLock { $0 += 1 }
    }

    private var handler: StreamLogHandler

    init(label: String) { handler = .standardError(label: label) }

    var metadata: Logger.Metadata {
        get { handler.metadata }
        set { handler.metadata = newValue }
    }

    var logLevel: Logger.Level {
        get { handler.logLevel }
        set { handler.logLevel = newValue }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { handler[metadataKey: key] }
        set { handler[metadataKey: key] = newValue }
    }

    func log(event: LogEvent) { Self.lines.submit(Line(handler: handler, event: event)) }

    /// Waits at most a second until everything is written, at the end of the process.
    ///
    /// - Returns: Whether it is. If not, a line is stuck in standard error and holds its lock, for which `exit` would wait
    ///   for ever: the process has to end by `_exit`.
    static func drain() -> Bool { lines.drain(limit: .seconds(1)) }
}
