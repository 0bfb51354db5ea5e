import Archive
import Foundation
import InspectionProtocol
import InspectionRuntime
import Logging

/// What becomes of messages on their way to the disk: written, or given up by the rules of a full or failing disk.
///
/// Knows no queue and no timer: `JournalWriter` calls it on `beltwatch.journal`.
final class JournalStore {
    enum Condition: Hashable {
        case complete

        /// The reserve is given up, and answers alone are written.
        case full

        /// Nothing is written any more.
        case failed(reason: String)
    }

    /// Messages that are deleted in one go, so that a commit never waits for long.
    static let pruningStep = 256

    private(set) var condition = Condition.complete

    /// What happened to the files and was not told yet.
    private var events: [StationEvent]

    /// The session before this one, as far as its journal is there.
    let previousSession: JournalSession?
    private let files: JournalFiles
    private let settings: StationConfiguration.Journal
    private let wallClock: any WallClock
    private let logger: Logger
    private let reserve: SpaceReserve

    /// Nil while the disk is too full to open it.
    private var database: JournalDatabase?

    /// What the database does not know yet; goes with the next messages.
    private var unwritten = JournalDatabase.Addition()
    private let session: JournalSession

    /// A second damage within one run is the disk's, and no new file helps.
    private var hasQuarantined = false

    /// The counters of the station, which count this start.
    let state: StationState

    init(
        in directory: consuming StationDirectory, facts: JournalSessionFacts, settings: StationConfiguration.Journal,
        clock: any MonotonicClock, wallClock: any WallClock, logger: Logger
    ) throws(JournalError) {
        files = JournalFiles(in: directory.path)
        self.settings = settings
        self.wallClock = wallClock
        self.logger = logger
        reserve = SpaceReserve(path: files.reserve, size: settings.reserve)
        let (database, witness, quarantine) = try Self.open(files, reserve, wallClock, logger)
        self.database = database
        events = [quarantine].compactMap(\.self)
        previousSession = try? database?.lastSession()
        do throws(StationStateError) {
            state = try StationState(in: directory, journal: witness)
        } catch {
            throw .counters(error)
        }
        let bootID = try? String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8)
        session = JournalSession(
            number: SessionNumber(state.session), station: facts.station, startedAt: wallClock.now,
            startedMonotonicMicroseconds: clock.now.microseconds,
            bootID: bootID?.trimmingCharacters(in: .whitespacesAndNewlines), endedAt: nil, version: facts.version,
            modelSHA256: facts.modelSHA256, configurationSHA256: facts.configurationSHA256)
        unwritten.session = session
        unwritten.counters = state.counters
        if database == nil || !reserve.acquire() { enterFull() }
        _ = write(answers: [], evidence: [])
        if case .failed(let reason) = condition { throw .fault(path: files.database, .inoperable(reason)) }
    }

    private static func open(
        _ files: JournalFiles, _ reserve: SpaceReserve, _ wallClock: any WallClock, _ logger: Logger
    ) throws(JournalError) -> (JournalDatabase?, StationState.Witness, StationEvent?) {
        let hadDatabase = files.hasDatabase
        do throws(JournalError) {
            let (database, counters) = try open(files)
            return (database, hadDatabase ? .journal(counters) : .none, nil)
        } catch {
            switch error {
            case .damaged(_, let reason):
                let event = try quarantine(files, because: reason, wallClock, logger)
                return (try open(files).0, .lostJournal, event)
            case .fault:
                // On a full disk even opening needs room, for the index of the log.
                reserve.release()
                do throws(JournalError) {
                    let (database, counters) = try open(files)
                    return (database, hadDatabase ? .journal(counters) : .none, nil)
                } catch {
                    guard reserve.isDiskFull else { throw error }
                    return (nil, .lostJournal, nil)
                }
            case .counters, .missing, .foreign, .newerVersion:
                throw error
            }
        }
    }

    private static func open(_ files: JournalFiles) throws(JournalError) -> (JournalDatabase, StationCounters) {
        let database = try JournalDatabase(path: files.database)
        do throws(DatabaseFault) {
            try database.probe()
            return (database, try database.counters())
        } catch {
            database.close()
            throw JournalError(files.database, error)
        }
    }

    private static func quarantine(
        _ files: JournalFiles, because reason: String, _ wallClock: any WallClock, _ logger: Logger
    ) throws(JournalError) -> StationEvent {
        do {
            let aside = try files.quarantine(at: wallClock.now)
            logger.error(
                "damaged journal moved aside, a new one begins", metadata: ["path": "\(aside)", "reason": "\(reason)"])
            return StationEvent(
                .journalQuarantined, .warning, "damaged journal moved aside, a new one begins: \(reason)",
                details: ["path": aside])
        } catch {
            throw .fault(path: files.database, .inoperable("\(reason), and it cannot be moved aside: \(error)"))
        }
    }

    /// Writes messages, as far as there is room.
    ///
    /// - Returns: How many of each kind were given up.
    func write(answers: [Message], evidence: [Message]) -> [MessageKind: Int] {
        let all = answers + evidence
        if case .failed = condition { return Self.count(all) }
        let (entries, unsendable) = Self.entries(of: all)
        var lost = unsendable
        var wanted = entries
        if condition == .full { lost.merge(Self.dropEvidence(from: &wanted), uniquingKeysWith: +) }
        if let fault = append(wanted) {
            lost.merge(writeDespite(fault, &wanted), uniquingKeysWith: +)
        }
        return lost
    }

    /// - Returns: Why nothing was written; nil where all was.
    private func append(_ entries: [JournalEntry]) -> DatabaseFault? {
        var addition = unwritten
        addition.entries = entries
        guard !addition.isEmpty else { return nil }
        guard let database else { return .full }
        do throws(DatabaseFault) {
            try database.append(addition)
            unwritten = JournalDatabase.Addition()
            return nil
        } catch {
            return error
        }
    }

    private func writeDespite(_ fault: DatabaseFault, _ entries: inout [JournalEntry]) -> [MessageKind: Int] {
        switch fault {
        case .full where condition == .complete:
            reserve.release()
            enterFull()
            var lost = Self.dropEvidence(from: &entries)
            if let again = append(entries) { lost.merge(writeDespite(again, &entries), uniquingKeysWith: +) }
            return lost
        case .full, .locked:
            return Self.count(entries)
        case .corrupt(let reason) where !hasQuarantined:
            hasQuarantined = true
            do throws(JournalError) {
                database?.close()
                events.append(try Self.quarantine(files, because: reason, wallClock, logger))
                database = try JournalDatabase(path: files.database)
            } catch {
                fail("\(error)")
                return Self.count(entries)
            }
            unwritten.session = session
            unwritten.counters = state.counters
            guard let again = append(entries) else { return [:] }
            return writeDespite(again, &entries)
        case .corrupt(let reason), .inoperable(let reason):
            fail(reason)
            return Self.count(entries)
        }
    }

    private func enterFull() {
        condition = .full
        database?.setFrugal(true)
        logger.error("disk full, journal keeps verdicts only", metadata: ["directory": "\(files.directory)"])
    }

    private func fail(_ reason: String) {
        condition = .failed(reason: "the journal cannot be written: \(reason)")
        logger.critical("journal failed", metadata: ["reason": "\(reason)", "path": "\(files.database)"])
    }

    /// What happened to the files since the last call.
    func takeEvents() -> [StationEvent] {
        defer { events.removeAll() }
        return events
    }

    /// The database shall know of a reservation, too.
    func note(_ counters: StationCounters) { unwritten.counters = counters }

    /// Looks after the disk, once a second: what waits for room, the reserve, and one step of pruning.
    ///
    /// - Returns: Whether there is more to prune.
    func tend() -> Bool {
        if case .failed = condition { return false }
        if database == nil { reopen() }
        if condition == .full, database != nil, reserve.acquire() {
            condition = .complete
            database?.setFrugal(false)
            logger.info("disk has room again, journal keeps everything")
        }
        _ = write(answers: [], evidence: [])
        return prune()
    }

    private func reopen() {
        do throws(JournalError) {
            database = try Self.open(files).0
            database?.setFrugal(true)
        } catch {
            switch error {
            case .damaged(_, let reason):
                var nothing: [JournalEntry] = []
                _ = writeDespite(.corrupt(reason), &nothing)
            case _ where reserve.isDiskFull: break
            default: fail("\(error)")
            }
        }
    }

    /// Deletes a few of the oldest messages beyond what the settings keep.
    ///
    /// - Returns: Whether there may be more.
    func prune() -> Bool {
        guard let database else { return false }
        if case .failed = condition { return false }
        let keep = settings.keep.components.seconds * 1_000_000
        let cutoff = UTCTimestamp(microsecondsSince1970: wallClock.now.microsecondsSince1970 - keep)
        do throws(DatabaseFault) {
            return try database.prune(before: cutoff, size: settings.size, atMost: Self.pruningStep)
        } catch {
            var nothing: [JournalEntry] = []
            // A full disk comes up again with the next message; anything else does not pass.
            if error != .full { _ = writeDespite(error, &nothing) }
            return false
        }
    }

    /// Notes the orderly end, closes the database, and gives the directory back.
    func close() {
        defer { state.close() }
        guard let database else { return }
        if case .failed = condition { return }
        _ = write(answers: [], evidence: [])
        do throws(DatabaseFault) {
            try database.end(session.number, at: wallClock.now)
        } catch {
            logger.warning("end of session not noted", metadata: ["reason": "\(error)"])
        }
        database.close()
    }

    // MARK: Messages as entries

    /// What cannot be JSON was not published either.
    private static func entries(of messages: [Message]) -> ([JournalEntry], unsendable: [MessageKind: Int]) {
        var entries: [JournalEntry] = []
        var unsendable: [MessageKind: Int] = [:]
        for message in messages {
            if let entry = try? JournalEntry(message) {
                entries.append(entry)
            } else {
                unsendable[message.body.kind, default: 0] += 1
            }
        }
        return (entries, unsendable)
    }

    private static func dropEvidence(from entries: inout [JournalEntry]) -> [MessageKind: Int] {
        let evidence = entries.filter(\.kind.isEvidence)
        entries.removeAll(where: \.kind.isEvidence)
        return count(evidence)
    }

    private static func count(_ entries: [JournalEntry]) -> [MessageKind: Int] {
        Dictionary(entries.map { ($0.kind, 1) }, uniquingKeysWith: +)
    }

    private static func count(_ messages: [Message]) -> [MessageKind: Int] {
        Dictionary(messages.map { ($0.body.kind, 1) }, uniquingKeysWith: +)
    }
}
