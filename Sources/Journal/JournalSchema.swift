import GRDB

/// The tables of a journal. A change is a new migration, never another text of an old one.
enum JournalSchema {
    /// "BWJL": what tells a journal from any other database.
    private static let applicationID = 0x4257_4A4C

    /// Columns repeat what queries look for; the truth is the JSON. SQLite's integers have 63 bits, which no counter of a
    /// station reaches.
    static let migrator: DatabaseMigrator = {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1") { database in
            try database.execute(
                sql: """
                    PRAGMA application_id = \(applicationID);
                    CREATE TABLE session (
                        number INTEGER PRIMARY KEY, station TEXT NOT NULL, started_us INTEGER NOT NULL,
                        started_mono_us INTEGER NOT NULL, boot_id TEXT, ended_us INTEGER, version TEXT NOT NULL,
                        model_sha256 TEXT, config_sha256 TEXT
                    ) STRICT;
                    CREATE TABLE message (
                        id INTEGER PRIMARY KEY, session INTEGER NOT NULL, kind TEXT NOT NULL, seq INTEGER NOT NULL,
                        part_id INTEGER, sent_us INTEGER NOT NULL, disposition TEXT, reason TEXT, json TEXT NOT NULL
                    ) STRICT;
                    CREATE UNIQUE INDEX message_by_sequence ON message (session, kind, seq);
                    CREATE INDEX message_by_part ON message (part_id);
                    CREATE INDEX message_by_time ON message (sent_us);
                    CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
                    """)
        }
        return migrator
    }()

    /// Throws before anything is changed in a file that is not ours to change.
    static func check(_ database: Database, path: String) throws {
        // The migrator's own table comes first, and a power cut may leave it alone.
        let isEmpty =
            try Int.fetchOne(
                database, sql: "SELECT count(*) FROM sqlite_schema WHERE tbl_name <> 'grdb_migrations'") == 0
        if isEmpty { return }
        guard try Int.fetchOne(database, sql: "PRAGMA application_id") == applicationID else {
            throw JournalError.foreign(path: path)
        }
        if try migrator.hasBeenSuperseded(database) { throw JournalError.newerVersion(path: path) }
    }
}
