import InspectionProtocol
import Locking
import Logging
import Testing

@testable import InspectionRuntime

@Suite struct PublishingOutputTests {
    private struct SocketGone: Error {}

    private func run(
        verdicts: @escaping PublishingOutput.Send, results: @escaping PublishingOutput.Send,
        mailbox: MailboxConfiguration,
        logger: Logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    ) throws {
        let output = PublishingOutput(verdicts: verdicts, results: results, mailbox: mailbox, logger: logger)
        let line = try TestLine(
            StandInScorer(), pace: .live(budget: .seconds(30), capacity: 64), outputs: [output])
        line.start(GeneratorSource(greyFrames(0..<10)))
        _ = try line.result().get()
        line.pipeline.shutDown()
    }

    @Test func resultsGoToTheSecondSocketAndAllElseToTheFirst() throws {
        let first = Lock<[EncodedMessage]>([])
        let second = Lock<[EncodedMessage]>([])
        try run(
            verdicts: { message in first.withLock { $0.append(message) } },
            results: { message in second.withLock { $0.append(message) } },
            mailbox: MailboxConfiguration(capacity: 64, overflow: .dropOldest))
        #expect(first.withLock { $0.allSatisfy { $0.topic.kind != .result } })
        #expect(first.withLock { $0.count { $0.topic.kind == .verdict } } == 10)
        #expect(second.withLock { $0.map(\.sequence.value) } == Array(1...10))
        #expect(second.withLock { $0.allSatisfy { $0.topic.description == "inspect/line1/result/" } })
        for message in first.withLock({ $0 }) + second.withLock({ $0 }) {
            _ = try Message(topic: message.topic, json: message.json)
        }
    }

    @Test func aSocketThatHangsCostsResultsAndNoVerdict() throws {
        let isHeld = Monitor(true)
        let verdicts = Lock(0)
        let results = Lock<[UInt64]>([])
        let output = PublishingOutput(
            verdicts: { message in if message.topic.kind == .verdict { verdicts.withLock { $0 += 1 } } },
            results: { message in
                _ = isHeld.wait(atMost: .seconds(20)) { $0 ? nil : true }
                results.withLock { $0.append(message.sequence.value) }
            }, mailbox: MailboxConfiguration(capacity: 2, overflow: .dropOldest),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let line = try TestLine(StandInScorer(), pace: .live(budget: .seconds(30), capacity: 64), outputs: [output])
        line.start(GeneratorSource(greyFrames(0..<10)))
        let summary = try line.result().get()
        #expect(summary.parts.accepted == 10)
        #expect(verdicts.withLock { $0 } == 10)
        isHeld.withLock { $0 = false }
        line.pipeline.shutDown()
        // At most the one in the socket, and the last two; a reader sees the hole in the numbers.
        let sent = results.withLock { $0 }
        #expect(sent.suffix(2) == [9, 10] && sent.count <= 3, "\(sent)")
    }

    @Test func aSocketThatFailsStopsNothing() throws {
        try run(
            verdicts: { _ in throw SocketGone() }, results: { _ in throw SocketGone() },
            mailbox: MailboxConfiguration(capacity: 4, overflow: .dropOldest))
    }
}
