import Foundation
import Imaging
import InspectionProtocol
import InspectionRuntime
import Journal
import Locking
import Logging
import Messaging
import StationAssembly

/// Who listens to the station.
enum Audience: String, Codable, Hashable, Sendable, CaseIterable {
    /// One healthy subscriber.
    case quiet

    /// The same, one that is stopped for most of the run, and one that floods.
    case hostile
}

/// What one run left behind.
struct LoadRecord: Sendable {
    let plan: LoadPlan
    let audience: Audience

    /// When the first part was captured.
    let start: MonotonicInstant
    /// How long after its capture the generator handed each part over: what the machine itself took.
    let lateness: [Duration]
    let healthy: ReaderReport
    var stopped: ReaderReport?
    var flood: FloodReport?
    let recovery: RecoveryServer.Counts
    let journal: JournalCounts
    let kept: KeptMessages

    /// Bytes of physical memory before the first part and after the last.
    let memory: (begin: Int, end: Int)
}

/// One run: a station of its own, its subscribers, and as many parts as the plan has.
struct LoadRun {
    /// When the stopped subscriber is stopped and goes on, as shares of the run.
    private static let pause = (from: 0.1, to: 0.9)

    /// How long a subscriber may take at the end to recover what it missed.
    private static let recoveryLimit = Duration.seconds(300)

    let plan: LoadPlan
    let audience: Audience
    let transport: LineSettings.Transport

    /// Exists; the run makes a directory of its own in it and removes that.
    let parent: String

    /// - Parameter progress: Called several times a second with the number of parts so far.
    func carryOut(progress: (Int) -> Void) throws -> LoadRecord {
        let directory = "\(parent)/beltwatch-load-\(UUID().uuidString.prefix(8))"
        // Sockets of the file system must be nobody else's.
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o750])
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let configuration = try LineSettings.configuration(in: directory, over: transport)
        var logger = Logger(label: "load")
        logger.logLevel = .error
        let line = try StationLine(
            configuration, configurationSHA256: nil,
            model: InspectionPipeline.Model(
                scorer: MarkedPartScorer(duration: plan.scoringTime), fusion: MarkedPartScorer.fusion),
            logger: logger)
        do {
            let record = try measure(line, progress)
            line.shutDown()
            return try record(try KeptMessages(in: line.journal.files.database))
        } catch {
            line.shutDown()
            throw error
        }
    }

    /// - Returns: What makes the record, once the journal is closed.
    private func measure(
        _ line: StationLine, _ progress: (Int) -> Void
    ) throws -> (KeptMessages) throws -> LoadRecord {
        guard let recovery = line.recovery else { preconditionFailure("the settings name a recovery endpoint") }
        let endpoints = [
            "--verdicts", "\(line.verdicts.endpoint)", "--results", "\(line.results.endpoint)", "--recovery",
            "\(recovery.endpoint)",
        ]
        let healthy = try Companion("reader", endpoints)
        let stopped = audience == .hostile ? try Companion("reader", endpoints + ["--with-results"]) : nil
        let flooder = audience == .hostile ? try Companion("flooder", endpoints) : nil
        for companion in [healthy, stopped, flooder] { try companion?.waitUntilReady() }

        let begin = ResidentMemory.bytes
        let source = ScheduledSource(plan, start: SystemMonotonicClock().now.advanced(by: .milliseconds(200)))
        try drive(line, from: source, stopping: stopped, progress)
        let end = ResidentMemory.bytes
        let heard = try healthy.report(ReaderReport.self, limit: Self.recoveryLimit)
        let recovered = try stopped?.report(ReaderReport.self, limit: Self.recoveryLimit)
        flooder?.end()
        let flood = try flooder?.report(FloodReport.self, limit: .seconds(60))
        if let failure = recovery.failure { throw LoadError.lineFailed(reason: "\(failure)") }
        return { kept in
            LoadRecord(
                plan: plan, audience: audience, start: source.start, lateness: source.lateness,
                healthy: heard, stopped: recovered, flood: flood, recovery: recovery.counts,
                journal: line.journal.counts, kept: kept, memory: (begin, end))
        }
    }

    /// Runs the line to its end while one subscriber is stopped and goes on.
    private func drive(
        _ line: StationLine, from source: ScheduledSource, stopping subscriber: Companion?, _ progress: (Int) -> Void
    ) throws {
        let outcome = Monitor<Result<RunSummary, RunFailure>?>(nil)
        Thread.detachNewThread {
            let result: Result<RunSummary, RunFailure>
            do throws(RunFailure) {
                result = .success(try line.pipeline.run(source))
            } catch {
                result = .failure(error)
            }
            outcome.withLock { $0 = result }
        }
        // One that was stopped and is not resumed could not even be told to end.
        defer { subscriber?.resume() }
        var isStopped = false
        while true {
            if let result = outcome.wait(atMost: .milliseconds(200), for: { $0 }) {
                progress(plan.parts)
                if case .failure(let failure) = result { throw LoadError.lineFailed(reason: "\(failure)") }
                return
            }
            let share = Double(source.delivered) / Double(plan.parts)
            let shouldStop = share >= Self.pause.from && share < Self.pause.to
            if shouldStop != isStopped {
                isStopped = shouldStop
                if shouldStop { subscriber?.stop() } else { subscriber?.resume() }
            }
            progress(source.delivered)
        }
    }
}

/// The journal of a run, as a reader of the database finds it.
struct KeptMessages: Sendable {
    struct Entry: Hashable, Sendable {
        var sequence: UInt64
        var partID: UInt64
    }

    var verdicts: [Entry] = []
    var rejects: [Entry] = []
    var results: [(sequence: UInt64, result: PartResult)] = []
}

extension KeptMessages {
    init(in database: String) throws {
        self.init()
        var filter = JournalFilter()
        filter.kinds = [.verdict, .reject, .result]
        try JournalReader(path: database).forEach(matching: filter) { entry in
            let kept = Entry(sequence: entry.sequence.value, partID: entry.partID?.value ?? 0)
            switch entry.kind {
            case .verdict: verdicts.append(kept)
            case .reject: rejects.append(kept)
            default:
                if case .result(let result) = try entry.message().body { results.append((kept.sequence, result)) }
            }
        }
    }
}

enum ResidentMemory {
    /// Physical memory of this process.
    static var bytes: Int {
        let fields = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8))?.split(separator: " ") ?? []
        return fields.count > 1 ? (Int(fields[1]) ?? 0) * Int(sysconf(Int32(_SC_PAGESIZE))) : 0
    }
}
