import Archive
import Foundation
import GRDB
import InspectionProtocol
import Testing

@testable import Journal

/// Sessions and part ids never come twice, whatever happens to the files.
@Suite struct JournalCountersTests {
    let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    @Test func idsGoOnWhereTheLastStartReservedTo() throws {
        let first = try JournalWriter.open(directory.path)
        #expect(try first.reservePartIDs(100) == 1..<101)
        #expect(try first.reservePartIDs(10) == 101..<111)
        first.close()
        let second = try JournalWriter.open(directory.path)
        #expect(second.session == 2)
        #expect(try second.reservePartIDs(1) == 111..<112)
    }

    @Test func theCountersOfEarlierVersionsAreTakenOver() throws {
        try Data("{\"part_ids_reserved_below\":4097,\"schema\":1,\"session\":7}\n".utf8)
            .write(to: URL(filePath: directory.file("counters.json")))
        let journal = try JournalWriter.open(directory.path)
        #expect(journal.session == 8)
        #expect(try journal.reservePartIDs(1) == 4097..<4098)
        #expect(try !directory.names().contains("counters.json"))
    }

    @Test func aLostWriteAheadLogCostsMessagesAndNoID() throws {
        let copy = try TemporaryDirectory()
        let journal = try JournalWriter.open(directory.path)
        var maker = MessageMaker()
        for message in try maker.part(1) { journal.send(message) }
        #expect(try journal.reservePartIDs(100) == 1..<101)
        journal.flush()
        // As a crash would leave it, less the log.
        for name in ["journal.sqlite", "counters"] {
            try FileManager.default.copyItem(atPath: directory.file(name), toPath: copy.file(name))
        }
        let after = try JournalWriter.open(copy.path)
        #expect(after.session == 2)
        #expect(try after.reservePartIDs(1) == 101..<102)
    }

    @Test func withoutItsCountersTheJournalKnowsWhereToGoOn() throws {
        let first = try JournalWriter.open(directory.path)
        _ = try first.reservePartIDs(100)
        first.close()
        try FileManager.default.removeItem(atPath: directory.file("counters"))
        let second = try JournalWriter.open(directory.path)
        #expect(second.session == 2)
        // Its copy may lag behind what was lost, so there is a margin.
        #expect(try second.reservePartIDs(1).lowerBound == 101 + 65536)
    }

    @Test func withoutItsJournalTheCountersKnowWhereToGoOn() throws {
        let first = try JournalWriter.open(directory.path)
        _ = try first.reservePartIDs(100)
        first.close()
        try FileManager.default.removeItem(atPath: directory.file("journal.sqlite"))
        let second = try JournalWriter.open(directory.path)
        #expect(second.session == 2)
        #expect(try second.reservePartIDs(1) == 101..<102)
    }

    @Test func withoutBothItDoesNotStart() throws {
        let first = try JournalWriter.open(directory.path)
        first.close()
        try Data("garbage".utf8).write(to: URL(filePath: directory.file("journal.sqlite")))
        try FileManager.default.removeItem(atPath: directory.file("counters"))
        let error = #expect(throws: JournalError.self) { try JournalWriter.open(directory.path) }
        guard case .counters(.unreadable) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test func pruningLeavesTheCountersAlone() throws {
        let clock = ManualClock()
        let settings = smallSettings { $0.keep = .seconds(3600) }
        let first = try JournalWriter.open(directory.path, settings: settings, clock: clock)
        _ = try first.reservePartIDs(100)
        var maker = MessageMaker()
        for message in try maker.part(1) { first.send(message) }
        first.close()
        clock.advance(by: .seconds(7200))
        let store = try JournalStore(
            in: StationDirectory(taking: directory.path), facts: .test, settings: settings, clock: clock,
            wallClock: clock.wall, logger: silent)
        while store.prune() {}
        store.close()
        try FileManager.default.removeItem(atPath: directory.file("counters"))
        let second = try JournalWriter.open(directory.path, settings: settings, clock: clock)
        #expect(second.session == 3)
        #expect(try second.reservePartIDs(1).lowerBound == 101 + 65536)
    }
}
