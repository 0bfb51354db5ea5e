import InspectionProtocol
import Locking
import Messaging

/// A station that keeps what it publishes, and carries out commands by writing them down.
final class StationStandIn: RecoverySource {
    private struct State {
        var station: TestStation
        var history: MessageHistory
        var commands: [StationCommand] = []
        var peers: [RecoveryPeer] = []
    }

    let name: StationName
    let session: SessionNumber
    private let state: Lock<State>

    init(session: SessionNumber = 1, limits: MessageHistory.Limits = .init()) {
        let station = TestStation(session: session)
        name = station.name
        self.session = session
        state = Lock(State(station: station, history: MessageHistory(session: session, limits: limits)))
    }

    var commands: [StationCommand] { state.withLock { $0.commands } }
    var peers: [RecoveryPeer] { state.withLock { $0.peers } }

    /// Writes a message, keeps it, and publishes it where there is a publisher.
    @discardableResult
    func say(_ body: MessageBody, on publisher: Publisher? = nil, attachments: [[UInt8]] = []) throws -> EncodedMessage
    {
        try state.withLock { state in
            let message = try state.station.write(body)
            // Kept first, so that nobody can ask for it too early.
            state.history.append(message)
            try publisher?.publish(message, attachments: attachments)
            return message
        }
    }

    /// A heartbeat that says how far the verdicts have come.
    @discardableResult
    func beat(on publisher: Publisher) throws -> EncodedMessage {
        guard case .heartbeat(var heartbeat) = TestStation.everyBody[3] else { preconditionFailure("no heartbeat") }
        heartbeat.lastSequence = lastSequences
        return try say(.heartbeat(heartbeat), on: publisher)
    }

    private var lastSequences: LastSequences {
        state.withLock {
            LastSequences(
                verdict: $0.history.lastSequence(of: .verdict), reject: $0.history.lastSequence(of: .reject),
                result: $0.history.lastSequence(of: .result))
        }
    }

    func greeting() -> StationGreeting {
        StationGreeting(
            bootID: StationGreeting.bootIDOfThisMachine() ?? "", station: name, session: session,
            monotonicMicroseconds: 42, sentAt: .now())
    }

    func snapshot() throws(RecoveryFailure) -> StationSnapshot {
        guard case .state(let report) = TestStation.everyBody[4] else { preconditionFailure("no state") }
        let last = lastSequences
        return state.withLock { state in
            let ranges = MessageKind.allCases.compactMap { kind in state.history.range(of: kind).map { (kind, $0) } }
            return StationSnapshot(
                station: name, session: session, state: report, lastPartID: 3, lastSequence: last,
                replayable: Dictionary(uniqueKeysWithValues: ranges))
        }
    }

    func messages(_ range: ReplayRange, limit: ReplayLimit) throws(RecoveryFailure) -> ReplayPage {
        try state.withLock { state throws(RecoveryFailure) in try state.history.messages(range, limit: limit) }
    }

    func perform(_ command: StationCommand, from peer: RecoveryPeer) -> CommandAnswer {
        state.withLock { state in
            state.commands.append(command)
            state.peers.append(peer)
        }
        return command == .arm ? .refused(CommandRefusal(.wrongState, "already running")) : .accepted
    }
}
