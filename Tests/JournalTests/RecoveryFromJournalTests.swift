import GRDB
import InspectionProtocol
import Journal
import Messaging
import StationAssembly
import Testing

/// What memory lacks and the journal has, as the recovery endpoint puts it together.
@Suite struct RecoveryFromJournalTests {
    private let directory: TemporaryDirectory
    private let journal: JournalWriter
    private let memory = StationMemory(session: 1)
    private let recovery: StationRecovery

    init() throws {
        directory = try TemporaryDirectory()
        journal = try JournalWriter.open(directory.path)
        recovery = StationRecovery(
            station: try StationName("line1"), session: 1, memory: memory, journalPath: journal.files.database,
            takes: [], commands: { _, _ in .accepted })
    }

    /// Results of these parts; those that are not published were given up by a full mailbox on their way to the socket.
    private func say(_ parts: ClosedRange<UInt64>, published: (UInt64) -> Bool) throws {
        var maker = MessageMaker()
        // A snapshot wants a state first.
        let report = StateReport(
            state: .running, ready: true, flags: [], since: ManualClock.start, reason: nil, recipe: "trays",
            modelSHA256: nil, configurationSHA256: nil, version: "1")
        memory.send(try maker.message(.state(report)))
        for part in parts {
            for message in try maker.part(part) where message.body.kind == .result {
                journal.send(message)
                memory.send(message)
                guard published(part) else { continue }
                memory.keep(
                    EncodedMessage(
                        topic: message.topic, sequence: message.envelope.sequence, json: try message.encoded()))
            }
        }
        journal.flush()
    }

    private func replay(_ sequences: ClosedRange<SequenceNumber>) throws -> [UInt64] {
        var found: [UInt64] = []
        var next = sequences.lowerBound
        while next <= sequences.upperBound {
            let range = ReplayRange(session: 1, kind: .result, sequences: next...sequences.upperBound)
            let page = try recovery.messages(range, limit: ReplayLimit(messageCount: 16, byteCount: 1 << 20))
            found += page.messages.map(\.sequence.value)
            guard page.next > next else { break }
            next = page.next
        }
        return found
    }

    @Test func whatAFullMailboxGaveUpComesFromTheJournal() throws {
        try say(1...100) { !(20...40).contains($0) && $0 % 7 != 0 }
        #expect(try replay(1...100) == Array(1...100))
        #expect(try replay(21...21) == [21])
        // The last one was given up too, and nothing after it shows that.
        #expect(try replay(98...98) == [98])
    }

    @Test func theFirstAndTheLastCountAsWell() throws {
        try say(1...30) { (10...20).contains($0) }
        #expect(try replay(1...30) == Array(1...30))
    }

    /// What neither has yet is still on its way; what neither has any more is gone.
    @Test func whatIsNowhereIsNotWaitedForForEver() throws {
        try say(1...10) { $0 != 4 }
        try DatabaseQueue(path: journal.files.database).write { database in
            try database.execute(sql: "DELETE FROM message WHERE seq = 4")
        }
        #expect(try replay(1...10) == [1, 2, 3])
        var maker = MessageMaker()
        for part in UInt64(1)...400 {
            for message in try maker.part(part) where message.body.kind == .result && part > 10 {
                memory.send(message)
                memory.keep(
                    EncodedMessage(
                        topic: message.topic, sequence: message.envelope.sequence, json: try message.encoded()))
            }
        }
        #expect(try replay(1...400) == [1, 2, 3] + Array(5...400))
    }
}
