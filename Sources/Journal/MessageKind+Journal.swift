import InspectionProtocol

extension MessageKind {
    /// Whether the journal keeps messages of this kind: what was said about parts and what happened, not that the station
    /// is alive.
    public var isJournalled: Bool {
        switch self {
        case .verdict, .reject, .result, .event: true
        case .heartbeat, .state, .health: false
        }
    }

    /// Whether it is the first to be given up: it explains an answer, and is not the answer.
    var isEvidence: Bool {
        switch self {
        case .result: true
        case .verdict, .reject, .event, .heartbeat, .state, .health: false
        }
    }
}
