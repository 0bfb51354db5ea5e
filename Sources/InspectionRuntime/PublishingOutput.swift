import InspectionProtocol
import Locking
import Logging

/// Sends a station's messages to its two sockets.
///
/// Verdicts, rejects, heartbeats and states go out at once, on `beltwatch.decide`. Results are larger and nobody waits for
/// them at a gate: they, events and health are encoded and sent on a queue of their own. One that its mailbox gives up is a
/// hole in the numbers that every reader sees.
public final class PublishingOutput: InspectionOutput {
    public typealias Send = @Sendable (EncodedMessage) throws -> Void

    private let sendVerdicts: Send
    private let published: @Sendable (EncodedMessage) -> Void
    private let results: Stage<Message>
    private let faults: Lock<[String: Int]>
    private let logger: Logger

    /// - Parameters:
    ///   - verdicts: Sends on PUB A without waiting.
    ///   - results: Sends on PUB B without waiting.
    ///   - published: Sees every message as it goes out, whether ZeroMQ took it or not; of each kind in the order of their
    ///     numbers, and without waiting.
    public init(
        verdicts: @escaping Send, results: @escaping Send, mailbox: MailboxConfiguration,
        clock: any MonotonicClock = SystemMonotonicClock(), logger: Logger,
        published: @escaping @Sendable (EncodedMessage) -> Void = { _ in }
    ) {
        let faults = Lock<[String: Int]>([:])
        sendVerdicts = verdicts
        self.published = published
        self.faults = faults
        self.logger = logger
        self.results = Stage("beltwatch.publish", mailbox: mailbox, clock: clock) { message in
            Self.publish(message, through: results, published, faults)
        } discard: { message in
            faults.withLock { $0["\(message.body.kind.rawValue) discarded, the mailbox is full", default: 0] += 1 }
        }
    }

    public func send(_ message: Message) {
        switch message.body {
        case .verdict, .reject, .heartbeat: Self.publish(message, through: sendVerdicts, published, faults)
        case .result, .event, .health: results.submit(message)
        case .state:
            Self.publish(message, through: sendVerdicts, published, faults)
            // Comes once a second, which is often enough to hear of repeated faults.
            logFaults()
        }
    }

    public var progress: [StageProgress] { [results.progress] }

    public func flush() {
        results.drain(limit: .seconds(2))
        logFaults()
    }

    private static func publish(
        _ message: Message, through send: Send, _ published: (EncodedMessage) -> Void, _ faults: Lock<[String: Int]>
    ) {
        do {
            let encoded = EncodedMessage(
                topic: message.topic, sequence: message.envelope.sequence, json: try message.encoded())
            published(encoded)
            try send(encoded)
        } catch {
            faults.withLock { $0["\(message.body.kind.rawValue) not sent: \(error)", default: 0] += 1 }
        }
    }

    private func logFaults() {
        let faults = faults.withLock { faults in
            defer { faults.removeAll() }
            return faults
        }
        for (text, count) in faults.sorted(by: { $0.key < $1.key }) {
            logger.error("\(text)", metadata: ["count": "\(count)"])
        }
    }
}
