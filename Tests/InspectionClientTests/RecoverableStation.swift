import InspectionProtocol
import Locking
import Messaging

/// A station that publishes, keeps what it published, and can be asked for it.
final class RecoverableStation: RecoverySource {
    private struct State {
        var station: TestStation
        var history: MessageHistory
    }

    let name: StationName
    let session: SessionNumber
    let publisher: Publisher
    private let state: Lock<State>

    init(
        at endpoint: Endpoint, session: SessionNumber = 1, queueing highWaterMark: Int = 200, in context: Context
    ) throws {
        var configuration = Publisher.Configuration.verdicts
        configuration.sendHighWaterMark = highWaterMark
        publisher = try Publisher(binding: endpoint, in: context, configuration: configuration)
        let station = TestStation(session: session)
        name = station.name
        self.session = session
        state = Lock(State(station: station, history: MessageHistory(session: session)))
    }

    /// Makes a message and keeps it; `isPublished` false is one that gets lost on its way.
    func say(_ body: MessageBody, attachments: [[UInt8]] = [], isPublished: Bool = true) throws {
        try state.withLock { state in
            let message = try state.station.write(body)
            state.history.append(message)
            if isPublished { try publisher.publish(message, attachments: attachments) }
        }
    }

    func beat() throws {
        try state.withLock { state in try publisher.publish(state.station.heartbeat()) }
    }

    private var lastVerdict: SequenceNumber? { state.withLock { $0.history.lastSequence(of: .verdict) } }

    func greeting() -> StationGreeting {
        StationGreeting(
            bootID: StationGreeting.bootIDOfThisMachine() ?? "", station: name, session: session,
            monotonicMicroseconds: 0, sentAt: .now())
    }

    func snapshot() throws(RecoveryFailure) -> StationSnapshot {
        Samples.snapshot(LastSequences(verdict: lastVerdict), session: session, station: name)
    }

    func messages(_ range: ReplayRange, limit: ReplayLimit) throws(RecoveryFailure) -> ReplayPage {
        try state.withLock { state throws(RecoveryFailure) in try state.history.messages(range, limit: limit) }
    }

    func perform(_ command: StationCommand, from peer: RecoveryPeer) -> CommandAnswer { .accepted }
}
