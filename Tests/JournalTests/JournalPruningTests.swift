import Archive
import Foundation
import InspectionProtocol
import Testing

@testable import Journal

@Suite struct JournalPruningTests {
    let directory: TemporaryDirectory
    let clock = ManualClock()

    init() throws { directory = try TemporaryDirectory() }

    private var database: String { JournalFiles(in: directory.path).database }

    private func store(keep: Duration = .seconds(86_400), size: Int = 1 << 30) throws -> JournalStore {
        try JournalStore(
            in: StationDirectory(taking: directory.path), facts: .test,
            settings: smallSettings {
                $0.keep = keep
                $0.size = size
            }, clock: clock, wallClock: clock.wall, logger: silent)
    }

    @Test func whatIsOlderThanItIsKeptGoesStepByStepAndOldestFirst() throws {
        let store = try store(keep: .seconds(86_400))
        var maker = MessageMaker()
        for hour: UInt64 in 0..<48 {
            let messages = try maker.parts(hour * 20 + 1...hour * 20 + 20, at: clock.wall.now)
            #expect(store.write(answers: messages, evidence: []).isEmpty)
            clock.advance(by: .seconds(3600))
        }
        let reader = try JournalReader(path: database)
        var steps = 0
        var before = 48 * 40
        while store.prune() {
            steps += 1
            let left = try reader.entries()
            #expect(before - left.count == JournalStore.pruningStep)
            #expect(left.last?.sequence == 960, "the newest stay")
            before = left.count
        }
        #expect(steps == 24 * 40 / JournalStore.pruningStep)
        let left = try reader.entries()
        #expect(left.count == 24 * 40)
        let cutoff = UTCTimestamp(microsecondsSince1970: clock.wall.now.microsecondsSince1970 - 86_400_000_000)
        #expect(left.allSatisfy { $0.sentAt >= cutoff })
        #expect(try reader.sessions().count == 1)
    }

    @Test func sessionsGoWithTheLastOfTheirMessages() throws {
        for session: UInt64 in 1...3 {
            let store = try store()
            var maker = MessageMaker(session: SessionNumber(session))
            #expect(store.write(answers: try maker.part(session, at: clock.wall.now), evidence: []).isEmpty)
            store.close()
            clock.advance(by: .seconds(20 * 3600))
        }
        let last = try store()
        while last.prune() {}
        let reader = try JournalReader(path: database)
        #expect(try reader.sessions().map(\.number) == [3, 4])
        #expect(try reader.entries().allSatisfy { $0.session == 3 })
    }

    @Test func theDatabaseStaysBelowItsSizeAndTheFileShrinks() throws {
        let limit = 1 << 20
        let large = try store()
        var maker = MessageMaker()
        for part: UInt64 in 1...100 {
            let messages = try maker.parts(part * 20 - 19...part * 20)
            #expect(large.write(answers: messages, evidence: []).isEmpty)
        }
        large.close()
        let before = try fileSize()
        #expect(before > 4 * limit)

        let small = try store(size: limit)
        while small.prune() {}
        // Emptied pages are given back in small steps, one with each look at it.
        for _ in 0..<1000 { _ = small.prune() }
        do {
            let left = try JournalReader(path: database).entries()
            #expect(left.last?.sequence == 2000)
            #expect(left.count > 200)
        }
        // The last connection moves the log into the file.
        small.close()
        let after = try fileSize()
        #expect(after <= limit + 256 * 4096 + 64 * 4096, "\(before) became \(after)")
    }

    private func fileSize() throws -> Int {
        try FileManager.default.attributesOfItem(atPath: database)[.size] as? Int ?? 0
    }
}
