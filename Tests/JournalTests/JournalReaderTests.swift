import Foundation
import GRDB
import InspectionProtocol
import Testing

@testable import Journal

@Suite struct JournalReaderTests {
    let directory: TemporaryDirectory
    let database: String

    /// Ten parts an hour apart; 3, 6 and 9 are anomalies, 5 was late.
    init() throws {
        directory = try TemporaryDirectory()
        database = JournalFiles(in: directory.path).database
        let journal = try JournalWriter.open(directory.path)
        var maker = MessageMaker()
        for part: UInt64 in 1...10 {
            let reason: Reason = part.isMultiple(of: 3) ? .anomaly : part == 5 ? .late : .none
            for message in try maker.part(part, reason: reason, at: Self.hour(part)) { journal.send(message) }
        }
        journal.close()
    }

    private static func hour(_ number: UInt64) -> UTCTimestamp {
        UTCTimestamp(microsecondsSince1970: ManualClock.start.microsecondsSince1970 + Int64(number) * 3_600_000_000)
    }

    private func parts(_ change: (inout JournalFilter) -> Void) throws -> [UInt64] {
        var filter = JournalFilter()
        filter.kinds = [.verdict]
        change(&filter)
        return try JournalReader(path: database).entries(filter).compactMap { $0.partID?.value }
    }

    @Test func everyCriterionLeavesOutWhatDoesNotFit() throws {
        #expect(try parts { _ in } == Array(1...10))
        #expect(try parts { $0.kinds = [.reject] } == [3, 5, 6, 9])
        #expect(try parts { $0.dispositions = [.reject] } == [3, 5, 6, 9])
        #expect(try parts { $0.dispositions = [.accept, .reject] } == Array(1...10))
        #expect(try parts { $0.reasons = ["late"] } == [5])
        #expect(try parts { $0.partID = 4 } == [4])
        #expect(try parts { $0.session = 2 } == [])
        #expect(
            try parts {
                $0.since = Self.hour(3)
                $0.until = Self.hour(7)
            } == [3, 4, 5, 6])
        #expect(try parts { $0.limit = 3 } == [8, 9, 10])
        #expect(
            try parts {
                $0.reasons = ["anomaly"]
                $0.limit = 2
            } == [6, 9])
        #expect(try parts { $0.limit = 100 } == Array(1...10))
    }

    @Test func aSummaryCountsDispositionsAndReasons() throws {
        let summary = try JournalReader(path: database).summary(of: JournalFilter())
        #expect(
            summary.lines == [
                .init(disposition: .accept, reason: "none", count: 6),
                .init(disposition: .reject, reason: "anomaly", count: 3),
                .init(disposition: .reject, reason: "late", count: 1),
            ])
        #expect(summary.seen == 10 && summary.count(of: .reject) == 4 && summary.count(of: .review) == 0)
        #expect(summary.sessions == 1...1)
        #expect(summary.period == Self.hour(1)...Self.hour(10))
        #expect(summary.missing == [.verdict: 0, .reject: 0, .result: 0])
    }

    @Test func aSummaryOfAPartOfItDoesNotGuessWhatIsMissing() throws {
        var filter = JournalFilter()
        filter.reasons = ["late"]
        let summary = try JournalReader(path: database).summary(of: filter)
        #expect(summary.seen == 1 && summary.missing == nil)
    }

    @Test func pagesMakeOneWhole() throws {
        let large = try TemporaryDirectory()
        let journal = try JournalWriter.open(large.path)
        var maker = MessageMaker()
        for part: UInt64 in 1...1001 {
            for message in try maker.part(part) { journal.send(message) }
            if part.isMultiple(of: 500) { journal.flush() }
        }
        journal.flush()
        let reader = try JournalReader(path: JournalFiles(in: large.path).database)
        #expect(try reader.entries().count == 2002)
        var filter = JournalFilter()
        filter.kinds = [.verdict]
        #expect(try reader.entries(filter).map(\.sequence.value) == Array(1...1001))
    }

    @Test func aCopyIsReadWhereverItLies() throws {
        let elsewhere = directory.file("a #50% copy?")
        try FileManager.default.createDirectory(atPath: elsewhere, withIntermediateDirectories: true)
        try FileManager.default.copyItem(atPath: database, toPath: "\(elsewhere)/journal.sqlite")
        let reader = try JournalReader(path: "\(elsewhere)/journal.sqlite")
        #expect(try reader.entries().count == 24)
        let left = try FileManager.default.contentsOfDirectory(atPath: elsewhere)
        #expect(left == ["journal.sqlite"], "nothing is left beside it")
    }

    @Test func anAbsentFileSaysSo() {
        #expect(throws: JournalError.missing(path: "/nowhere/journal.sqlite")) {
            try JournalReader(path: "/nowhere/journal.sqlite")
        }
    }

    @Test func anotherDatabaseIsLeftAlone() throws {
        let other = try TemporaryDirectory()
        let path = JournalFiles(in: other.path).database
        do {
            let queue = try DatabaseQueue(path: path)
            try queue.write { try $0.execute(sql: "CREATE TABLE recipe (name TEXT)") }
        }
        let before = try Data(contentsOf: URL(filePath: path))
        #expect(throws: JournalError.foreign(path: path)) { try JournalReader(path: path) }
        #expect(throws: JournalError.foreign(path: path)) { try JournalWriter.open(other.path) }
        #expect(try Data(contentsOf: URL(filePath: path)) == before)
    }

    @Test func theJournalOfALaterVersionIsLeftAlone() throws {
        do {
            let queue = try DatabaseQueue(path: database)
            try queue.write { try $0.execute(sql: "INSERT INTO grdb_migrations VALUES ('99')") }
        }
        #expect(throws: JournalError.newerVersion(path: database)) { try JournalReader(path: database) }
        #expect(throws: JournalError.newerVersion(path: database)) { try JournalWriter.open(directory.path) }
    }

    @Test func garbageIsDamage() throws {
        try Data(repeating: 7, count: 8192).write(to: URL(filePath: database))
        let error = #expect(throws: JournalError.self) { try JournalReader(path: database) }
        guard case .damaged = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }
}
