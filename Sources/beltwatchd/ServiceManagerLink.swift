import Imaging
import InspectionProtocol
import InspectionRuntime
import Locking
import Logging

/// Tells the service manager what the line is doing.
///
/// READY comes with the first frame, or with the explicit state that there is no source: a missing camera must not make
/// the unit fail, because a controller needs to hear of the error.
final class ServiceManagerLink: InspectionOutput {
    private struct Told {
        var isReady = false
        var status = ""
        var lastFeeding: MonotonicInstant?
        var failures = 0
    }

    private let notifier: ServiceNotifier
    private let clock = SystemMonotonicClock()
    private let logger: Logger
    private let told = Lock(Told())

    /// - Returns: nil where no service manager listens.
    init?(logger: Logger) {
        guard let notifier = ServiceNotifier() else { return nil }
        self.notifier = notifier
        self.logger = logger
    }

    func send(_ message: Message) {
        guard case .state(let report) = message.body else { return }
        let status = report.state.rawValue + (report.reason.map { ": \($0)" } ?? "")
        let (isNews, becomesReady) = told.withLock { told in
            let isNews = told.status != status
            told.status = status
            let isSettled = report.state.isReady || report.state == .error || report.state == .halted
            let becomesReady = isSettled && !told.isReady
            told.isReady = told.isReady || isSettled
            return (isNews, becomesReady)
        }
        if becomesReady { tell(.ready) }
        if isNews { tell(.status(status)) }
    }

    func flush() {}

    /// Called on `beltwatch.decide`, and only while it and all stages move.
    func feedWatchdog() {
        guard let interval = notifier.watchdogInterval else { return }
        let now = clock.now
        let isDue = told.withLock { told in
            // Four times within the interval, so that one delay is no restart.
            if let last = told.lastFeeding, last.duration(to: now) < interval / 4 { return false }
            told.lastFeeding = now
            return true
        }
        if isDue { tell(.watchdog) }
    }

    func tell(_ message: ServiceNotifier.Message) {
        do {
            try notifier.send(message)
        } catch {
            let failures = told.withLock { told in
                told.failures += 1
                return told.failures
            }
            // Once is enough to know; the rest would be one line a second.
            if failures == 1 { logger.warning("service manager not reached", metadata: ["reason": "\(error)"]) }
        }
    }
}
