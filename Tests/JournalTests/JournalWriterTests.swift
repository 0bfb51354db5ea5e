import Archive
import Foundation
import InspectionProtocol
import InspectionRuntime
import Testing

@testable import Journal

@Suite struct JournalWriterTests {
    let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func reader() throws -> JournalReader { try JournalReader(path: JournalFiles(in: directory.path).database) }

    @Test func everyMessageIsKeptAsItWasPublished() throws {
        let journal = try JournalWriter.open(directory.path)
        var maker = MessageMaker()
        let messages = try maker.parts(1...20) { $0 % 3 == 0 ? .anomaly : .none }
        for message in messages { journal.send(message) }
        journal.flush()
        #expect(journal.health == .writing)
        #expect(journal.counts.written == 46 && journal.counts.lostTotal == 0)

        let kept = try reader().entries()
        #expect(kept.count == 20 + 6 + 20)
        for message in messages {
            let entry = try #require(
                kept.first { $0.kind == message.body.kind && $0.sequence == message.envelope.sequence })
            #expect(try entry.json == message.encoded())
            #expect(try entry.message() == message)
            #expect(entry.session == 1 && entry.sentAt == message.envelope.sentAt && entry.partID != nil)
        }
    }

    @Test func whatSaysThatTheStationLivesIsNotKept() throws {
        let journal = try JournalWriter.open(directory.path)
        var maker = MessageMaker()
        journal.send(
            try maker.message(
                .heartbeat(
                    Heartbeat(
                        count: 1, periodMilliseconds: 100, state: .running, ready: true, running: true,
                        lineStopRequest: false, lastPartID: nil, lastSequence: LastSequences(), partsInFlight: 0,
                        oldestInFlightMilliseconds: nil, lastFrameAgeMilliseconds: nil))))
        journal.flush()
        #expect(try reader().entries().isEmpty)
    }

    @Test func messagesAreOnTheDiskWithoutAnybodyAskingForIt() throws {
        let journal = try JournalWriter.open(directory.path)
        var maker = MessageMaker()
        for message in try maker.part(1) { journal.send(message) }
        let reader = try reader()
        #expect(try eventually { try reader.entries().count == 2 })
    }

    @Test func everyStartIsASessionWithItsFacts() throws {
        for number: SessionNumber in [1, 2] {
            let journal = try JournalWriter.open(directory.path)
            #expect(journal.session == number)
            #expect(try reader().sessions().last?.endedAt == nil)
            journal.close()
        }
        let sessions = try reader().sessions()
        #expect(sessions.map(\.number) == [1, 2])
        for session in sessions {
            #expect(session.station.text == "line1" && session.version == "1.2")
            #expect(session.modelSHA256 == "ab" && session.configurationSHA256 == "cd")
            #expect(session.startedAt == ManualClock.start && session.endedAt == ManualClock.start)
            #expect(session.startedMonotonicMicroseconds == 1_000_000)
            #expect(session.bootID?.count == 36)
        }
    }

    @Test func aRangeOfASequenceIsReplayedAsItWasPublished() throws {
        let journal = try JournalWriter.open(directory.path)
        var maker = MessageMaker()
        let messages = try maker.parts(1...50)
        for message in messages { journal.send(message) }
        journal.flush()
        let replayed = try reader().messages(.verdict, of: 1, 10...30, limit: 5)
        #expect(replayed.map(\.sequence) == [10, 11, 12, 13, 14])
        let originals = try messages.filter { $0.body.kind == .verdict }[9..<14].map { try $0.encoded() }
        #expect(replayed.map(\.json) == originals)
        #expect(try reader().messages(.verdict, of: 2, 1...50, limit: 5).isEmpty)
        #expect(try reader().messages(.reject, of: 1, 1...50, limit: 5).isEmpty)
        let last = try reader().lastSequences(of: 1)
        #expect(last == LastSequences(verdict: 50, reject: nil, result: 50, event: nil))
    }

    @Test func twoReadersSeeWholeCommitsWhileItIsWritten() throws {
        let journal = try JournalWriter.open(directory.path)
        let readers = [try reader(), try reader()]
        var maker = MessageMaker()
        var seen = [0, 0]
        for part: UInt64 in 1...300 {
            for message in try maker.part(part) { journal.send(message) }
            if part.isMultiple(of: 20) { journal.flush() }
            for (index, reader) in readers.enumerated() {
                let verdicts = try reader.messages(.verdict, of: 1, 1...1000, limit: 1000)
                #expect(verdicts.map(\.sequence.value) == Array(1...300).prefix(verdicts.count).map(UInt64.init))
                #expect(verdicts.count >= seen[index])
                seen[index] = verdicts.count
            }
        }
        journal.flush()
        #expect(try readers.allSatisfy { try $0.entries().count == 600 })
        #expect(journal.counts.lostTotal == 0)
    }

    @Test func aMailboxThatOverflowsIsCountedAndKeepsVerdictsApart() throws {
        // Nothing is written before the window of a second is half over.
        let journal = try JournalWriter.open(
            directory.path, settings: smallSettings { $0.syncWindow = .seconds(1) },
            mailbox: MailboxConfiguration(capacity: 4, overflow: .dropOldest))
        var maker = MessageMaker()
        var parts: [[Message]] = []
        for part: UInt64 in 1...6 { parts.append(try maker.part(part)) }
        for result in parts.map({ $0[1] }) { journal.send(result) }
        for verdict in parts.prefix(4).map({ $0[0] }) { journal.send(verdict) }
        #expect(
            journal.health
                == .degraded(.init(cause: .overload, since: ManualClock.start, lost: 2)))
        #expect(journal.recordCondition == .degraded)
        journal.flush()
        #expect(journal.counts.lost == [.result: 2] && journal.counts.written == 8)
        #expect(try reader().messages(.result, of: 1, 1...6, limit: 9).map(\.sequence) == [3, 4, 5, 6])
        #expect(try reader().messages(.verdict, of: 1, 1...6, limit: 9).map(\.sequence) == [1, 2, 3, 4])
        let missing = try reader().summary(of: JournalFilter()).missing
        #expect(missing == [.verdict: 0, .result: 0])
    }

    @Test func aHoleInTheNumbersIsAMissingMessage() throws {
        let journal = try JournalWriter.open(directory.path)
        var maker = MessageMaker()
        for part: UInt64 in 1...10 {
            for message in try maker.part(part) where ![4, 5].contains(part) || message.body.kind != .verdict {
                journal.send(message)
            }
        }
        journal.flush()
        let summary = try reader().summary(of: JournalFilter())
        #expect(summary.missing == [.verdict: 2, .result: 0])
        #expect(summary.seen == 8)
    }
}

/// Looks again and again until it is so, at most a minute.
func eventually(_ condition: () throws -> Bool) throws -> Bool {
    let limit = SuspendingClock.now + .seconds(60)
    while SuspendingClock.now < limit {
        if try condition() { return true }
    }
    return false
}
