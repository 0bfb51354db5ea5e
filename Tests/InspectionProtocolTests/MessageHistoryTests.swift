import InspectionProtocol
import Testing

@Suite struct MessageHistoryTests {
    private func message(_ sequence: UInt64, _ kind: MessageKind = .verdict, bytes: Int = 10) throws -> EncodedMessage {
        EncodedMessage(
            topic: Topic(station: try StationName("a"), kind: kind), sequence: SequenceNumber(sequence),
            json: Array("\(sequence)".utf8) + [UInt8](repeating: 0, count: max(0, bytes - "\(sequence)".utf8.count)))
    }

    private func history(messages: Int = 100, bytes: Int = 1_000_000, _ sequences: [UInt64]) throws -> MessageHistory {
        var limits = MessageHistory.Limits()
        limits.messagesPerKind = messages
        limits.bytesPerKind = bytes
        var history = MessageHistory(session: 3, limits: limits)
        for sequence in sequences { history.append(try message(sequence)) }
        return history
    }

    private func range(_ sequences: ClosedRange<SequenceNumber>, session: SessionNumber = 3) -> ReplayRange {
        ReplayRange(session: session, kind: .verdict, sequences: sequences)
    }

    private let limit = ReplayLimit(messageCount: 4, byteCount: 45)

    @Test func messagesComeBackAsTheyWere() throws {
        let history = try history(Array(1...9))
        let page = try history.messages(range(3...5), limit: limit)
        #expect(try page == ReplayPage(messages: [message(3), message(4), message(5)], next: 6))
        #expect(history.range(of: .verdict) == 1...9)
    }

    @Test func anAnswerIsBoundedByMessagesAndBytesAndSaysWhereToGoOn() throws {
        let history = try history(Array(1...9))
        #expect(try history.messages(range(1...9), limit: limit).next == 5, "four messages")
        let few = ReplayLimit(messageCount: 100, byteCount: 29)
        #expect(try history.messages(range(1...9), limit: few).next == 3, "twenty bytes; thirty are too many")
        let none = ReplayLimit(messageCount: 100, byteCount: 1)
        #expect(try history.messages(range(1...9), limit: none).messages.count == 1, "one comes in any case")
    }

    @Test func pagesOneAfterTheOtherCoverEveryRange() throws {
        let sent = (1...200).filter { $0 % 7 != 0 }.map(UInt64.init)
        let history = try history(messages: 150, sent)
        for (from, to) in [(1, 200), (60, 61), (199, 500), (70, 70), (57, 120)] as [(UInt64, UInt64)] {
            var found: [UInt64] = []
            var next = SequenceNumber(from)
            while next.value <= to {
                let page = try history.messages(range(next...SequenceNumber(to)), limit: limit)
                found += page.messages.map(\.sequence.value)
                if page.next == next { break }
                #expect(page.next > next)
                next = page.next
            }
            #expect(found == sent.suffix(150).filter { (from...to).contains($0) }, "\(from)...\(to)")
            #expect(next.value == min(to + 1, 201))
        }
    }

    @Test func theOldestGoFirstByCountAndByBytes() throws {
        #expect(try history(messages: 3, Array(1...9)).range(of: .verdict) == 7...9)
        #expect(try history(bytes: 35, Array(1...9)).range(of: .verdict) == 7...9)
        #expect(try history(messages: 5, Array(1...10_000)).range(of: .verdict) == 9996...10_000)
    }

    @Test func aRangeOfWhichNothingIsLeftIsGone() throws {
        let history = try history(messages: 3, Array(1...9))
        #expect(throws: RecoveryFailure.gone(range(1...6), oldest: 7)) {
            try history.messages(range(1...6), limit: limit)
        }
        #expect(try history.messages(range(1...7), limit: limit).messages.map(\.sequence) == [7])
    }

    @Test func aMessageLargerThanTheWholeHistoryIsGoneAtOnce() throws {
        var history = try history(bytes: 5, [1])
        #expect(history.range(of: .verdict) == nil)
        #expect(history.lastSequence(of: .verdict) == 1)
        #expect(throws: RecoveryFailure.gone(range(1...1), oldest: nil)) {
            try history.messages(range(1...1), limit: limit)
        }
        history.append(try message(2, bytes: 5))
        #expect(history.range(of: .verdict) == 2...2)
    }

    @Test func whatWasNotSentYetIsNotGone() throws {
        #expect(try history([]).messages(range(1...4), limit: limit) == ReplayPage(messages: [], next: 1))
        let history = try history([1, 2])
        #expect(try history.messages(range(3...4), limit: limit) == ReplayPage(messages: [], next: 3))
        #expect(try history.messages(range(2...SequenceNumber(.max)), limit: limit).next == 3)
    }

    @Test func anotherSessionIsUnknown() throws {
        let history = try history([1])
        #expect(throws: RecoveryFailure.unknownSession(2, current: 3)) {
            try history.messages(range(1...1, session: 2), limit: limit)
        }
    }

    @Test func kindsAreKeptApartAndHeartbeatsNotAtAll() throws {
        var history = try history([1, 2])
        history.append(try message(1, .reject))
        history.append(try message(900, .heartbeat))
        #expect(history.range(of: .reject) == 1...1)
        #expect(history.range(of: .verdict) == 1...2)
        #expect(history.range(of: .heartbeat) == nil)
    }
}
