import InspectionProtocol
import InspectionRuntime
import Locking

/// The last messages of a session and where the station stands, for readers that missed something.
public final class StationMemory: InspectionOutput {
    private struct State {
        var history: MessageHistory
        var lastSequence = LastSequences()
        var lastPartID: PartID?
        var report: StateReport?
    }

    private let state: Lock<State>

    public init(session: SessionNumber) { state = Lock(State(history: MessageHistory(session: session))) }

    public func send(_ message: Message) {
        let sequence = message.envelope.sequence
        state.withLock { state in
            state.lastSequence.note(message.body.kind, sequence)
            switch message.body {
            case .verdict(let verdict): state.lastPartID = verdict.partID
            case .state(let report): state.report = report
            case .reject, .result, .event, .heartbeat, .health: break
            }
        }
    }

    public func flush() {}

    /// Keeps a message as it goes out; of each kind in the order of their numbers.
    public func keep(_ message: EncodedMessage) { state.withLock { $0.history.append(message) } }

    /// The oldest number that is kept of a kind.
    func oldest(of kind: MessageKind) -> SequenceNumber? {
        state.withLock { $0.history.range(of: kind)?.lowerBound }
    }

    func messages(_ range: ReplayRange, limit: ReplayLimit) throws(RecoveryFailure) -> ReplayPage {
        // Under the lock, for a page at most: a copy that is alive would make the next message copy the whole history, on
        // the decision path.
        try state.withLock { state throws(RecoveryFailure) in try state.history.messages(range, limit: limit) }
    }

    /// Where the station stands; nil before it has said so itself.
    func standing() -> (report: StateReport, lastSequence: LastSequences, lastPartID: PartID?)? {
        state.withLock { state in state.report.map { ($0, state.lastSequence, state.lastPartID) } }
    }
}
