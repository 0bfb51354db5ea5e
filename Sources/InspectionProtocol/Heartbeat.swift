/// Sent by the decision path every period, so that silence is noticed: a receiver that hears none for 350 ms rejects.
public struct Heartbeat: Hashable, Sendable {
    /// Beats since the start of the session, from 1.
    public var count: UInt64
    public var periodMilliseconds: Int
    public var state: InspectionState

    /// Whether a controller may rely on the station; never in replay, whatever the state.
    public var ready: Bool

    /// Whether parts are judged.
    public var running: Bool
    public var lineStopRequest: Bool
    @ExplicitNull public var lastPartID: PartID?
    public var lastSequence: LastSequences
    public var partsInFlight: Int
    @ExplicitNull public var oldestInFlightMilliseconds: Int64?
    @ExplicitNull public var lastFrameAgeMilliseconds: Int64?

    public init(
        count: UInt64, periodMilliseconds: Int, state: InspectionState, ready: Bool, running: Bool,
        lineStopRequest: Bool, lastPartID: PartID?, lastSequence: LastSequences, partsInFlight: Int,
        oldestInFlightMilliseconds: Int64?, lastFrameAgeMilliseconds: Int64?
    ) {
        self.count = count
        self.periodMilliseconds = periodMilliseconds
        self.state = state
        self.ready = ready
        self.running = running
        self.lineStopRequest = lineStopRequest
        self.lastPartID = lastPartID
        self.lastSequence = lastSequence
        self.partsInFlight = partsInFlight
        self.oldestInFlightMilliseconds = oldestInFlightMilliseconds
        self.lastFrameAgeMilliseconds = lastFrameAgeMilliseconds
    }
}

extension Heartbeat: Codable {
    enum CodingKeys: String, CodingKey {
        case count
        case periodMilliseconds = "period_ms"
        case state
        case ready
        case running
        case lineStopRequest = "line_stop_request"
        case lastPartID = "last_part_id"
        case lastSequence = "last_seq"
        case partsInFlight = "in_flight"
        case oldestInFlightMilliseconds = "oldest_in_flight_ms"
        case lastFrameAgeMilliseconds = "last_frame_age_ms"
    }
}

/// The last sequence number sent of each kind, so that a receiver notices what it missed; nil before the first.
public struct LastSequences: Codable, Hashable, Sendable {
    @ExplicitNull public var verdict: SequenceNumber?
    @ExplicitNull public var reject: SequenceNumber?
    @ExplicitNull public var result: SequenceNumber?
    @ExplicitNull public var event: SequenceNumber?

    public init(
        verdict: SequenceNumber? = nil, reject: SequenceNumber? = nil, result: SequenceNumber? = nil,
        event: SequenceNumber? = nil
    ) {
        self.verdict = verdict
        self.reject = reject
        self.result = result
        self.event = event
    }

    /// The last number of a kind; nil as well for kinds that nobody would ask for again.
    public subscript(kind: MessageKind) -> SequenceNumber? {
        switch kind {
        case .verdict: verdict
        case .reject: reject
        case .result: result
        case .event: event
        case .heartbeat, .state, .health: nil
        }
    }

    /// Takes note of a message that was sent; of a kind that is not replayable, nothing.
    public mutating func note(_ kind: MessageKind, _ sequence: SequenceNumber) {
        switch kind {
        case .verdict: verdict = sequence
        case .reject: reject = sequence
        case .result: result = sequence
        case .event: event = sequence
        case .heartbeat, .state, .health: break
        }
    }
}
