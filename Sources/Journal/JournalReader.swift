import Foundation
import GRDB
import InspectionProtocol

/// Reads a journal, also while a daemon writes it, and copies of one.
///
/// Never holds on to one view of the database for longer than a page of entries, so that a slow reader does not make the
/// writer's log grow.
public final class JournalReader: Sendable {
    /// Entries that are read at once.
    private static let pageSize = 500

    private let path: String
    private let queue: DatabaseQueue

    /// - Parameter path: Of the database file.
    public init(path: String) throws(JournalError) {
        self.path = path
        guard FileManager.default.fileExists(atPath: path) else { throw .missing(path: path) }
        var configuration = Configuration()
        configuration.readonly = true
        configuration.label = "beltwatch.journal.reader"
        configuration.busyMode = .timeout(5)
        configuration.prepareDatabase { database in try JournalSchema.check(database, path: path) }
        do {
            queue = try DatabaseQueue(path: Self.address(of: path), configuration: configuration)
        } catch let error as JournalError {
            throw error
        } catch {
            throw JournalError(path, DatabaseFault(error, systemError: 0))
        }
    }

    /// A database that has no log beside it is not being written. SQLite then needs no shared memory, which it could not
    /// make in a directory that may only be read.
    private static func address(of path: String) -> String {
        if FileManager.default.fileExists(atPath: path + "-wal") { return path }
        let allowed = CharacterSet.urlPathAllowed.subtracting(CharacterSet(charactersIn: "?#%"))
        let absolute = URL(filePath: path).path
        return "file://\(absolute.addingPercentEncoding(withAllowedCharacters: allowed) ?? absolute)?immutable=1"
    }

    /// Every session that the journal knows of, oldest first.
    public func sessions() throws(JournalError) -> [JournalSession] {
        try read { database in
            try Row.fetchAll(database, sql: "SELECT * FROM session ORDER BY number").map { try JournalSession($0) }
        }
    }

    /// The last sequence number of each kind that is on the disk; a daemon may have published some more since.
    public func lastSequences(of session: SessionNumber) throws(JournalError) -> LastSequences {
        try read { database in
            func last(_ kind: MessageKind) throws -> SequenceNumber? {
                try Int64.fetchOne(
                    database, sql: "SELECT max(seq) FROM message WHERE session = ? AND kind = ?",
                    arguments: [Int64(clamping: session.value), kind.rawValue]
                ).map { SequenceNumber(UInt64(clamping: $0)) }
            }
            return LastSequences(
                verdict: try last(.verdict), reject: try last(.reject), result: try last(.result),
                event: try last(.event))
        }
    }

    /// Messages as they were published, in the order of their sequence numbers; lost ones are left out.
    ///
    /// - Parameter limit: At most so many, from the first on.
    public func messages(
        _ kind: MessageKind, of session: SessionNumber, _ sequences: ClosedRange<SequenceNumber>, limit: Int
    ) throws(JournalError) -> [JournalEntry] {
        try read { database in
            try Row.fetchAll(
                database,
                sql: """
                    SELECT * FROM message WHERE session = ? AND kind = ? AND seq BETWEEN ? AND ? ORDER BY seq LIMIT ?
                    """,
                arguments: [
                    Int64(clamping: session.value), kind.rawValue, Int64(clamping: sequences.lowerBound.value),
                    Int64(clamping: sequences.upperBound.value), limit,
                ]
            ).map { try JournalEntry($0) }
        }
    }

    /// Calls `body` with every entry that fits, in the order in which they were written.
    ///
    /// Entries that are written meanwhile may come at the end.
    public func forEach(matching filter: JournalFilter, _ body: (JournalEntry) throws -> Void) throws {
        var known = filter
        // A later version may have written kinds that this one cannot read.
        if known.kinds.isEmpty { known.kinds = Set(MessageKind.allCases.filter(\.isJournalled)) }
        var (condition, arguments) = known.condition
        if let limit = filter.limit {
            let first = try read { database in
                try Int64.fetchOne(
                    database,
                    sql: """
                        SELECT min(id) FROM (SELECT id FROM message WHERE \(condition) ORDER BY id DESC LIMIT ?)
                        """, arguments: arguments + [limit])
            }
            guard let first else { return }
            condition += " AND id >= ?"
            arguments += [first]
        }
        var last = Int64.min
        while true {
            let page = try read { database in
                try Row.fetchAll(
                    database, sql: "SELECT * FROM message WHERE \(condition) AND id > ? ORDER BY id LIMIT ?",
                    arguments: arguments + [last, Self.pageSize])
            }
            for row in page {
                last = row["id"]
                try body(decoding { try JournalEntry(row) })
            }
            if page.count < Self.pageSize { return }
        }
    }

    /// Counts verdicts by what became of the part and why.
    ///
    /// - Parameter filter: Its kinds and its limit do not count.
    public func summary(of filter: JournalFilter) throws(JournalError) -> JournalSummary {
        var verdicts = filter
        verdicts.kinds = [.verdict]
        var everyKind = filter
        everyKind.kinds = []
        let (verdict, any) = (verdicts.condition, everyKind.condition)
        let keepsSequencesWhole = filter.keepsSequencesWhole
        return try read { database in
            var summary = JournalSummary()
            let extent = try Row.fetchOne(
                database,
                sql: """
                    SELECT min(session), max(session), min(sent_us), max(sent_us) FROM message WHERE \(verdict.sql)
                    """, arguments: verdict.arguments)
            if let extent, let first: Int64 = extent[0], let last: Int64 = extent[1] {
                summary.sessions = SessionNumber(UInt64(clamping: first))...SessionNumber(UInt64(clamping: last))
                summary.period =
                    UTCTimestamp(microsecondsSince1970: extent[2])...UTCTimestamp(microsecondsSince1970: extent[3])
            }
            summary.lines = try Row.fetchAll(
                database,
                sql: """
                    SELECT disposition, reason, count(*) AS number FROM message WHERE \(verdict.sql)
                    GROUP BY disposition, reason ORDER BY disposition, number DESC, reason
                    """, arguments: verdict.arguments
            ).map { row in
                JournalSummary.Line(
                    disposition: (row["disposition"] as String?).flatMap(Disposition.init(rawValue:)) ?? .reject,
                    reason: row["reason"] ?? "", count: row["number"])
            }
            if keepsSequencesWhole {
                let holes = try Row.fetchAll(
                    database,
                    sql: """
                        SELECT kind, sum(missing) AS missing FROM (
                            SELECT kind, max(seq) - min(seq) + 1 - count(*) AS missing FROM message WHERE \(any.sql)
                            GROUP BY session, kind
                        ) GROUP BY kind
                        """, arguments: any.arguments)
                var missing: [MessageKind: Int] = [:]
                for row in holes {
                    if let kind = MessageKind(rawValue: row["kind"]) { missing[kind] = row["missing"] }
                }
                summary.missing = missing
            }
            return summary
        }
    }

    private func read<Value>(_ body: (Database) throws -> Value) throws(JournalError) -> Value {
        try decoding { try queue.read(body) }
    }

    private func decoding<Value>(_ body: () throws -> Value) throws(JournalError) -> Value {
        do {
            return try body()
        } catch let error as JournalError {
            throw error
        } catch let error as UnreadableRow {
            throw .damaged(path: path, reason: "\(error)")
        } catch {
            throw JournalError(path, DatabaseFault(error, systemError: 0))
        }
    }
}

/// A row that this program cannot have written.
private struct UnreadableRow: Error, CustomStringConvertible {
    let description: String
}

extension JournalSession {
    init(_ row: Row) throws {
        let name: String = row["station"]
        guard let station = try? StationName(name) else { throw UnreadableRow(description: "'\(name)' is no station") }
        self.init(
            number: SessionNumber(UInt64(clamping: row["number"] as Int64)), station: station,
            startedAt: UTCTimestamp(microsecondsSince1970: row["started_us"]),
            startedMonotonicMicroseconds: UInt64(clamping: row["started_mono_us"] as Int64), bootID: row["boot_id"],
            endedAt: (row["ended_us"] as Int64?).map { UTCTimestamp(microsecondsSince1970: $0) },
            version: row["version"], modelSHA256: row["model_sha256"], configurationSHA256: row["config_sha256"])
    }
}

extension JournalEntry {
    fileprivate init(_ row: Row) throws {
        let name: String = row["kind"]
        guard let kind = MessageKind(rawValue: name) else {
            throw UnreadableRow(description: "'\(name)' is no kind of message")
        }
        let text: String = row["json"]
        self.init(
            session: SessionNumber(UInt64(clamping: row["session"] as Int64)), kind: kind,
            sequence: SequenceNumber(UInt64(clamping: row["seq"] as Int64)),
            partID: (row["part_id"] as Int64?).map { PartID(UInt64(clamping: $0)) },
            sentAt: UTCTimestamp(microsecondsSince1970: row["sent_us"]),
            disposition: (row["disposition"] as String?).flatMap(Disposition.init(rawValue:)), reason: row["reason"],
            json: Array(text.utf8))
    }

    private init(
        session: SessionNumber, kind: MessageKind, sequence: SequenceNumber, partID: PartID?, sentAt: UTCTimestamp,
        disposition: Disposition?, reason: String?, json: [UInt8]
    ) {
        self.session = session
        self.kind = kind
        self.sequence = sequence
        self.partID = partID
        self.sentAt = sentAt
        self.disposition = disposition
        self.reason = reason
        self.json = json
    }
}
