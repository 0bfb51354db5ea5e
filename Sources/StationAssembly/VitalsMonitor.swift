import Dispatch
import EvidenceKeeping
import Glibc
import InspectionProtocol
import InspectionRuntime
import Journal
import Locking
import Messaging

/// Measures once a second what `health/` says about the process, its disk, its journal and its recovery endpoint.
///
/// On a queue of its own, because a disk that hangs must not make the decision path wait for its free space.
public final class VitalsMonitor: @unchecked Sendable {
    // Sendable because all else is behind locks, and a timer is cancelled from any thread.
    private let directory: String
    private let journal: JournalWriter
    private let evidence: EvidenceWriter?
    private let recovery = Lock<Watched?>(nil)
    private let latest = Lock(StationVitals())
    private let queue = DispatchQueue(label: "beltwatch.vitals", qos: .utility)
    private let timer: any DispatchSourceTimer

    private struct Watched {
        let server: RecoveryServer
        let failed: @Sendable (String) -> Void
        var hasToldFailure = false
    }

    /// - Parameter directory: The state directory, whose disk is looked at.
    public init(directory: String, journal: JournalWriter, evidence: EvidenceWriter?) {
        self.directory = directory
        self.journal = journal
        self.evidence = evidence
        timer = DispatchSource.makeTimerSource(queue: queue)
        timer.schedule(deadline: .now(), repeating: .seconds(1), leeway: .milliseconds(50))
        timer.setEventHandler { [weak self] in self?.measure() }
        timer.activate()
    }

    deinit { timer.cancel() }

    /// What was measured last.
    public var vitals: StationVitals { latest.withLock { $0 } }

    /// Counts what a recovery endpoint does from now on.
    ///
    /// - Parameter failed: Called once when it has stopped by itself, with why.
    public func watch(_ server: RecoveryServer, failed: @escaping @Sendable (String) -> Void) {
        recovery.withLock { $0 = Watched(server: server, failed: failed) }
    }

    /// Measures no more.
    public func close() { timer.cancel() }

    private func measure() {
        var vitals = StationVitals()
        vitals.residentBytes = ProcessMeasures.residentBytes
        vitals.openFiles = ProcessMeasures.openFiles
        vitals.freeDiskBytes = ProcessMeasures.freeBytes(onDiskOf: directory)
        let counts = journal.counts
        vitals.journal = JournalReport(
            written: counts.written, lost: counts.lost,
            slowestCommitMicroseconds: counts.slowestCommit.microseconds)
        vitals.evidence = evidence.map { EvidenceTally(stored: $0.counts.stored, dropped: $0.counts.dropped) }
        if let watched = recovery.withLock({ $0 }) {
            let counts = watched.server.counts
            vitals.bus = BusReport(
                answered: counts.answered, malformed: counts.malformed, denied: counts.denied, replays: counts.replayed,
                dropped: counts.dropped + counts.unreachable + counts.refused)
            if let failure = watched.server.failure, !watched.hasToldFailure {
                recovery.withLock { $0?.hasToldFailure = true }
                watched.failed("\(failure)")
            }
        }
        latest.withLock { [vitals] in $0 = vitals }
    }
}
