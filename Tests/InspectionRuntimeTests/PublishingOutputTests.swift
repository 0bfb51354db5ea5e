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

    @Test func resultsAndEventsGoToTheSecondSocketAndAllElseToTheFirst() throws {
        let first = Lock<[EncodedMessage]>([])
        let second = Lock<[EncodedMessage]>([])
        try run(
            verdicts: { message in first.withLock { $0.append(message) } },
            results: { message in second.withLock { $0.append(message) } },
            mailbox: MailboxConfiguration(capacity: 64, overflow: .dropOldest))
        let urgent: Set<MessageKind> = [.verdict, .reject, .heartbeat, .state]
        #expect(first.withLock { $0.allSatisfy { urgent.contains($0.topic.kind) } })
        #expect(first.withLock { $0.count { $0.topic.kind == .verdict } } == 10)
        let results = second.withLock { $0.filter { $0.topic.description == "inspect/line1/result/" } }
        #expect(results.map(\.sequence.value) == Array(1...10))
        let others = second.withLock { $0.filter { $0.topic.kind != .result } }
        // Initialised, ready, running, halted.
        #expect(others.count { $0.topic.description == "inspect/line1/event/" } == 4)
        #expect(others.allSatisfy { $0.topic.kind == .event || $0.topic.kind == .health })
        for message in first.withLock({ $0 }) + second.withLock({ $0 }) {
            _ = try Message(topic: message.topic, json: message.json)
        }
    }

    @Test func aSocketThatHangsCostsResultsAndNoVerdict() throws {
        let isHeld = Monitor(true)
        let verdicts = Lock(0)
        let sent = Lock<[String]>([])
        let output = PublishingOutput(
            verdicts: { message in if message.topic.kind == .verdict { verdicts.withLock { $0 += 1 } } },
            results: { message in
                _ = isHeld.wait(atMost: .seconds(20)) { $0 ? nil : true }
                sent.withLock { $0.append("\(message.topic.kind) \(message.sequence)") }
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
        let arrived = sent.withLock { $0 }
        #expect(arrived.suffix(2) == ["result 10", "event 4"] && arrived.count <= 3, "\(arrived)")
    }

    @Test func aSocketThatFailsStopsNothing() throws {
        try run(
            verdicts: { _ in throw SocketGone() }, results: { _ in throw SocketGone() },
            mailbox: MailboxConfiguration(capacity: 4, overflow: .dropOldest))
    }
}
