import Archive
import GRDB
import Glibc
import InspectionProtocol

/// The database of a journal, opened for writing.
///
/// One connection in WAL mode, so that readers in other processes neither wait nor are waited for. Every commit is synced
/// (`synchronous = FULL`): what was appended survives a power cut.
final class JournalDatabase: Sendable {
    /// Pages of 4 KiB in the write-ahead log before they are moved into the database; bounds the log, unless a reader
    /// holds on to one view of the database for long.
    private static let checkpointPages = 1000

    /// The same while space is short: a log of a few commits, written over again and again.
    private static let frugalCheckpointPages = 50

    /// Free pages that stay in the file for the messages to come, and how many beyond are given back at a time.
    private static let sparePages = 256
    private static let vacuumStep = 64

    private let queue: DatabaseQueue

    /// Opens the database, making it where it is missing.
    init(path: String) throws(JournalError) {
        var configuration = Configuration()
        configuration.label = "beltwatch.journal.database"
        // Nobody else writes, but for a person with a shell.
        configuration.busyMode = .timeout(2)
        configuration.prepareDatabase { database in
            try JournalSchema.check(database, path: path)
            // Takes effect on a new file only.
            try database.execute(sql: "PRAGMA auto_vacuum = INCREMENTAL")
            try database.execute(sql: "PRAGMA journal_mode = WAL")
            try database.execute(sql: "PRAGMA synchronous = FULL")
            try database.execute(sql: "PRAGMA wal_autocheckpoint = \(Self.checkpointPages)")
            try database.execute(sql: "PRAGMA journal_size_limit = \(Self.checkpointPages * 4096)")
            // Sorting must not need a file on a disk that may be full.
            try database.execute(sql: "PRAGMA temp_store = MEMORY")
        }
        errno = 0
        do {
            queue = try DatabaseQueue(path: path, configuration: configuration)
            try JournalSchema.migrator.migrate(queue)
        } catch let error as JournalError {
            throw error
        } catch {
            throw JournalError(path, DatabaseFault(error, systemError: errno))
        }
    }

    /// Moves the log into the database and closes both; without an effect on what is kept.
    func close() { try? queue.close() }

    /// Keeps the log short, or as long as suits speed.
    func setFrugal(_ isFrugal: Bool) {
        // Without room for it the log stays as it is, and the next commit says so.
        try? queue.classifying { database in
            let pages = isFrugal ? Self.frugalCheckpointPages : Self.checkpointPages
            try database.execute(sql: "PRAGMA wal_autocheckpoint = \(pages)")
            if isFrugal { try database.checkpoint(.passive) }
        }
    }

    /// What the journal knows about the counters: its copy, and what its messages and sessions themselves show.
    func counters() throws(DatabaseFault) -> StationCounters {
        try queue.classifying { database in
            let session = try Int64.fetchOne(
                database,
                sql: """
                    SELECT max(coalesce((SELECT value FROM counter WHERE name = 'session'), 0),
                        coalesce((SELECT max(number) FROM session), 0),
                        coalesce((SELECT max(session) FROM message), 0))
                    """)
            let partIDs = try Int64.fetchOne(
                database,
                sql: """
                    SELECT max(coalesce((SELECT value FROM counter WHERE name = 'part_ids_reserved_below'), 1),
                        coalesce((SELECT max(part_id) + 1 FROM message), 1))
                    """)
            return StationCounters(session: UInt64(session ?? 0), partIDsReservedBelow: UInt64(partIDs ?? 1))
        }
    }

    /// The session that began last.
    func lastSession() throws(DatabaseFault) -> JournalSession? {
        try queue.classifying { database in
            try Row.fetchOne(database, sql: "SELECT * FROM session ORDER BY number DESC LIMIT 1").map {
                try JournalSession($0)
            }
        }
    }

    /// Reads the newest page of every table and index, so that the damage of a torn write shows at the start.
    func probe() throws(DatabaseFault) {
        try queue.classifying { database in
            _ = try Row.fetchOne(database, sql: "SELECT * FROM message ORDER BY id DESC")
            _ = try Row.fetchOne(database, sql: "SELECT * FROM session ORDER BY number DESC")
            for index in ["session", "part_id", "sent_us"] {
                _ = try Int64.fetchOne(database, sql: "SELECT id FROM message ORDER BY \(index) DESC LIMIT 1")
            }
        }
    }

    /// What one commit adds.
    struct Addition: Sendable {
        var session: JournalSession?
        var counters: StationCounters?
        var entries: [JournalEntry] = []

        var isEmpty: Bool { session == nil && counters == nil && entries.isEmpty }
    }

    /// Adds all of it or nothing; on the disk when this returns.
    func append(_ addition: Addition) throws(DatabaseFault) {
        try queue.classifying { database in
            try database.inTransaction(.immediate) {
                if let session = addition.session { try Self.insert(session, database) }
                if let counters = addition.counters { try Self.note(counters, database) }
                for entry in addition.entries { try Self.insert(entry, database) }
                return .commit
            }
        }
    }

    /// Notes that a session stopped as it should.
    func end(_ session: SessionNumber, at time: UTCTimestamp) throws(DatabaseFault) {
        try queue.classifying { database in
            try database.execute(
                sql: "UPDATE session SET ended_us = ? WHERE number = ?",
                arguments: [time.microsecondsSince1970, Int64(session.value)])
        }
    }

    /// Deletes at most `count` of the oldest messages: those from before `cutoff`, and any while the database holds more
    /// than `size` bytes. Counters stay for ever, sessions as long as one of their messages.
    ///
    /// - Returns: Whether there was as much to delete as `count` allows, so that there may be more.
    func prune(before cutoff: UTCTimestamp, size: Int, atMost count: Int) throws(DatabaseFault) -> Bool {
        try queue.classifying { database in
            let isTooLarge = try Self.bytesInUse(database) > size
            let oldest = try Int64.fetchOne(database, sql: "SELECT sent_us FROM message ORDER BY id LIMIT 1")
            var deleted = 0
            if let oldest, isTooLarge || oldest < cutoff.microsecondsSince1970 {
                deleted = try Self.deleteOldest(count, before: isTooLarge ? nil : cutoff, database)
            }
            if try Self.pragma("freelist_count", database) > Self.sparePages {
                try database.execute(sql: "PRAGMA incremental_vacuum(\(Self.vacuumStep))")
            }
            return deleted == count
        }
    }

    private static func deleteOldest(_ count: Int, before cutoff: UTCTimestamp?, _ database: Database) throws -> Int {
        var deleted = 0
        try database.inTransaction(.immediate) {
            try database.execute(
                sql: """
                    DELETE FROM message WHERE id IN (SELECT id FROM message ORDER BY id LIMIT ?) AND sent_us < ?
                    """, arguments: [count, cutoff?.microsecondsSince1970 ?? Int64.max])
            deleted = database.changesCount
            try database.execute(
                sql: """
                    DELETE FROM session WHERE number < coalesce(
                        (SELECT min(session) FROM message), (SELECT max(number) FROM session))
                    """)
            return .commit
        }
        return deleted
    }

    /// Bytes of the pages that hold something.
    private static func bytesInUse(_ database: Database) throws -> Int {
        try (pragma("page_count", database) - pragma("freelist_count", database)) * pragma("page_size", database)
    }

    private static func pragma(_ name: String, _ database: Database) throws -> Int {
        try Int.fetchOne(database, sql: "PRAGMA \(name)") ?? 0
    }

    private static func insert(_ session: JournalSession, _ database: Database) throws {
        try database.execute(
            sql: """
                INSERT INTO session (number, station, started_us, started_mono_us, boot_id, version, model_sha256,
                    config_sha256) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
                """,
            arguments: [
                Int64(session.number.value), session.station.text, session.startedAt.microsecondsSince1970,
                Int64(session.startedMonotonicMicroseconds), session.bootID, session.version, session.modelSHA256,
                session.configurationSHA256,
            ])
    }

    private static func note(_ counters: StationCounters, _ database: Database) throws {
        let values = [("session", counters.session), ("part_ids_reserved_below", counters.partIDsReservedBelow)]
        for (name, value) in values {
            try database.execute(
                sql: "INSERT INTO counter (name, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
                arguments: [name, Int64(value)])
        }
    }

    private static func insert(_ entry: JournalEntry, _ database: Database) throws {
        let statement = try database.cachedStatement(
            sql: """
                INSERT INTO message (session, kind, seq, part_id, sent_us, disposition, reason, json)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?)
                """)
        try statement.execute(arguments: [
            Int64(entry.session.value), entry.kind.rawValue, Int64(entry.sequence.value),
            entry.partID.map { Int64($0.value) }, entry.sentAt.microsecondsSince1970, entry.disposition?.rawValue,
            entry.reason, String(decoding: entry.json, as: UTF8.self),
        ])
    }
}
