import InspectionProtocol

/// What is known about a station, and the state that follows from it: always the highest one that the facts allow.
struct StationCondition: Hashable, Sendable {
    /// Why no more parts will come.
    enum Ending: Hashable, Sendable {
        /// Somebody asked for it.
        case stopped

        /// A recording is over.
        case sourceEnded

        /// The source failed and will not be opened again.
        case failed(String)
    }

    /// The model is loaded and the outputs are open.
    var isStarted = false

    /// The source delivers frames.
    var hasFrames = false

    /// Parts are to be judged: by configuration from the start, or since a command.
    var isArmed = true

    /// No part came for a while, though all is well.
    var isStarved = false

    /// Why the source is gone; passes when frames come again.
    var sourceFailure: String?

    /// Which stage does not move; passes when it moves again.
    var stall: String?

    /// Why nothing can be recorded.
    var recordFailure: String?

    /// Why the line should stop; passes when somebody resets it.
    var lineStop: String?
    var ending: Ending?

    var state: InspectionState {
        switch ending {
        case .stopped, .sourceEnded: return .halted
        case .failed: return .error
        case nil: break
        }
        if recordFailure != nil || sourceFailure != nil || stall != nil { return .error }
        guard isStarted else { return .preoperational }
        guard hasFrames else { return .initialized }
        if lineStop != nil { return .held }
        guard isArmed else { return .ready }
        return isStarved ? .starved : .running
    }

    /// What the source is doing.
    var camera: CameraReport.State {
        if ending != nil { return .closed }
        if sourceFailure != nil { return .lost }
        return hasFrames ? .streaming : .opening
    }

    /// Why it is this state, where there is more to say than its name.
    var reason: String? {
        switch ending {
        case .stopped: "stopped"
        case .sourceEnded: "the source ended"
        case .failed(let reason): reason
        case nil: recordFailure ?? sourceFailure ?? stall ?? lineStop
        }
    }
}
