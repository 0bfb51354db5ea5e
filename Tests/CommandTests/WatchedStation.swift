import Foundation
import InspectionProtocol
import Locking
import Messaging
import Testing

/// A station for a watcher: it publishes, keeps what it published, and answers who asks for it.
final class WatchedStation: Sendable {
    private let core: Core
    private let server: RecoveryServer
    private let isGone = Lock(false)

    var verdicts: String { core.publisher.endpoint.description }
    var recovery: String { server.endpoint.description }

    /// What it was told to do.
    var commands: [StationCommand] { core.commands }

    /// - Parameters:
    ///   - keeping: How many messages of each kind can be replayed.
    ///   - takesCommands: Whether anybody may give them.
    init(keeping count: Int = 20_000, takesCommands: Bool = false) throws {
        let context = Context()
        var limits = MessageHistory.Limits()
        limits.messagesPerKind = count
        let core = try Core(limits: limits, in: context)
        self.core = core
        server = try RecoveryServer(
            binding: Endpoint("tcp://127.0.0.1:*"), in: context, source: core, permits: { _, _ in takesCommands })
    }

    deinit { isGone.withLock { $0 = true } }

    /// Sends a heartbeat every 50 ms until the last reference is gone.
    func startBeating() {
        let (core, isGone) = (core, isGone)
        Thread.detachNewThread {
            let clock = Monitor(())
            while !isGone.withLock({ $0 }) {
                try? core.beat()
                _ = clock.wait(atMost: .milliseconds(50)) { _ -> Bool? in nil }
            }
        }
    }

    /// Says this many verdicts; `isPublished` false are those that get lost on their way.
    func judge(_ count: Int, attachment: [UInt8] = [], isPublished: Bool = true) throws {
        try core.judge(count, attachment, isPublished: isPublished)
    }
}

/// What the publisher and the recovery server share.
private final class Core: RecoverySource {
    private struct State {
        var writer: MessageWriter
        var history: MessageHistory
        var commands: [StationCommand] = []
    }

    let publisher: Publisher
    private let name: StationName
    private let state: Lock<State>

    init(limits: MessageHistory.Limits, in context: Context) throws {
        publisher = try Publisher(binding: Endpoint("tcp://127.0.0.1:*"), in: context)
        name = try StationName("line1")
        state = Lock(
            State(
                writer: MessageWriter(station: name, session: 9), history: MessageHistory(session: 9, limits: limits)))
    }

    func judge(_ count: Int, _ attachment: [UInt8], isPublished: Bool) throws {
        // No heartbeat in between, which would show a part of the hole.
        try state.withLock { state in
            for _ in 0..<count {
                let number = (state.writer.lastSequence(of: .verdict)?.value ?? 0) + 1
                let message = try state.writer.write(
                    .verdict(Self.verdict(number)), sentAt: .now(), monotonicMicroseconds: 0)
                state.history.append(message)
                if isPublished { try publisher.publish(message, attachments: attachment.isEmpty ? [] : [attachment]) }
            }
        }
    }

    private static func verdict(_ number: UInt64) -> Verdict {
        Verdict(
            partID: PartID(number), triggerID: TriggerID(number), triggerSource: .interval, capturedAt: nil,
            capturedMonotonicMicroseconds: nil, timestampQuality: nil, disposition: .accept, reason: .none,
            inspected: true, score: 0.5, threshold: 2.5, deadlineMonotonicMicroseconds: nil, latencyMicroseconds: nil,
            deadlineMarginMicroseconds: nil, framesUsed: 1, recipe: "trays", recipeRevision: 1, modelSHA256: nil,
            mode: .production, simulated: false, consecutiveRejects: 0)
    }

    func beat() throws {
        try state.withLock { state in
            let heartbeat = Heartbeat(
                count: 1, periodMilliseconds: 100, state: .running, ready: true, running: true, lineStopRequest: false,
                lastPartID: nil, lastSequence: LastSequences(verdict: state.writer.lastSequence(of: .verdict)),
                partsInFlight: 0, oldestInFlightMilliseconds: nil, lastFrameAgeMilliseconds: nil)
            try publisher.publish(
                state.writer.write(.heartbeat(heartbeat), sentAt: .now(), monotonicMicroseconds: 0))
        }
    }

    func greeting() -> StationGreeting {
        StationGreeting(
            bootID: StationGreeting.bootIDOfThisMachine() ?? "", station: name, session: 9, monotonicMicroseconds: 0,
            sentAt: .now())
    }

    func snapshot() throws(RecoveryFailure) -> StationSnapshot {
        StationSnapshot(
            station: name, session: 9,
            state: StateReport(
                state: .running, ready: true, flags: [], since: .now(), reason: nil, recipe: "trays",
                modelSHA256: nil, configurationSHA256: nil, version: "1"),
            lastPartID: nil,
            lastSequence: LastSequences(verdict: state.withLock { $0.writer.lastSequence(of: .verdict) }),
            replayable: [:])
    }

    func messages(_ range: ReplayRange, limit: ReplayLimit) throws(RecoveryFailure) -> ReplayPage {
        try state.withLock { state throws(RecoveryFailure) in try state.history.messages(range, limit: limit) }
    }

    func perform(_ command: StationCommand, from peer: RecoveryPeer) -> CommandAnswer {
        state.withLock { $0.commands.append(command) }
        return .accepted
    }

    var commands: [StationCommand] { state.withLock { $0.commands } }
}
