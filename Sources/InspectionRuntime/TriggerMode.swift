import InspectionProtocol

/// What makes a part a part.
public enum TriggerMode: Hashable, Sendable {
    /// One frame is one part.
    case everyFrame

    /// Frames number `offset`, `offset + every`, `offset + 2·every`, … are one part each, counted as the source numbers
    /// them: a lost frame does not shift the ones after it.
    case frames(every: Int, offset: Int)

    /// A part is due at `offset`, `offset + every`, … after the presentation time of the first frame, and is judged by the
    /// first frame at or after that moment. The wall clock plays no part.
    case presentationTime(every: Duration, offset: Duration)

    /// A controller says when a part has come, by the command `Trigger`, and the first frame that was captured at or after
    /// that moment shows it. Live lines only: a recording has nobody who gives commands.
    case external

    /// The word in the messages.
    public var source: TriggerSource {
        switch self {
        case .everyFrame: .everyFrame
        case .frames, .presentationTime: .interval
        case .external: .external
        }
    }
}

/// The bookkeeping of a trigger mode over one stream of frames: which frames are parts, and which parts have no frame.
struct Trigger {
    /// What one frame means to the trigger.
    struct Outcome: Equatable {
        /// The triggers that went by without a frame since the one before, oldest first: the number of the lost frame
        /// where the trigger is tied to one, nil where it is tied to a moment.
        var missed: [UInt64?] = []

        /// Whether this frame is a part.
        var fires = false

        /// Whether frames are missing right before this one.
        var followsGap = false
    }

    /// Triggers without a frame in one gap, beyond which the numbering is not believed.
    static let plausibleGap = 10_000

    private let mode: TriggerMode
    private var nextNumber: UInt64 = 0
    private var nextDue: Duration?
    private var lastTime: Duration?

    init(_ mode: TriggerMode) {
        self.mode = mode
    }

    /// Looks at the next frame of the stream.
    mutating func see(number: UInt64, presentationTime: Duration?) throws(TriggerError) -> Outcome {
        guard number >= nextNumber else { throw .numberWentBack(from: nextNumber, to: number) }
        var outcome = Outcome(followsGap: number > nextNumber)
        switch mode {
        case .everyFrame:
            outcome.missed = try missed(upTo: number, every: 1, offset: 0)
            outcome.fires = true
        case .frames(let every, let offset):
            outcome.missed = try missed(upTo: number, every: UInt64(every), offset: UInt64(offset))
            outcome.fires = number >= UInt64(offset) && (number - UInt64(offset)) % UInt64(every) == 0
        case .presentationTime(let every, let offset):
            guard let presentationTime else { throw .noPresentationTime(frame: number) }
            if let lastTime, presentationTime < lastTime { throw .timeWentBack(from: lastTime, to: presentationTime) }
            lastTime = presentationTime
            let due = nextDue ?? presentationTime + offset
            nextDue = due
            if presentationTime >= due {
                let passed = Int((presentationTime - due).nanoseconds / every.nanoseconds)
                guard passed <= Self.plausibleGap else { throw .implausibleGap(triggers: passed, beforeFrame: number) }
                outcome.missed = Array(repeating: nil, count: passed)
                outcome.fires = true
                nextDue = due + every * (passed + 1)
            }
        case .external: break
        }
        nextNumber = number + 1
        return outcome
    }

    /// Ends the stream before the frame `number`: frames lost at its very end are triggers too.
    mutating func end(before number: UInt64) throws(TriggerError) -> [UInt64?] {
        guard number > nextNumber else { return [] }
        defer { nextNumber = number }
        switch mode {
        case .everyFrame: return try missed(upTo: number, every: 1, offset: 0)
        case .frames(let every, let offset):
            return try missed(upTo: number, every: UInt64(every), offset: UInt64(offset))
        case .presentationTime, .external: return []
        }
    }

    /// The trigger positions among the frames from `nextNumber` to before `number`, none of which came.
    private func missed(upTo number: UInt64, every: UInt64, offset: UInt64) throws(TriggerError) -> [UInt64?] {
        let periods = nextNumber <= offset ? 0 : (nextNumber - offset + every - 1) / every
        let first = offset + periods * every
        guard first < number else { return [] }
        let count = (number - first - 1) / every + 1
        guard count <= Self.plausibleGap else {
            throw .implausibleGap(triggers: Int(clamping: count), beforeFrame: number)
        }
        return (0..<count).map { first + $0 * every }
    }
}

/// Why a stream of frames cannot be divided into parts.
public enum TriggerError: Error, Equatable, CustomStringConvertible {
    case numberWentBack(from: UInt64, to: UInt64)
    case timeWentBack(from: Duration, to: Duration)
    case noPresentationTime(frame: UInt64)
    case implausibleGap(triggers: Int, beforeFrame: UInt64)

    public var description: String {
        switch self {
        case .numberWentBack(let from, let to):
            "frame \(to) came where frame \(from) or a later one was due; the source must number its frames in order"
        case .timeWentBack(let from, let to):
            "presentation time went back from \(from.inWords) to \(to.inWords); use an interval counted in frames, "
                + "or a source whose time only grows"
        case .noPresentationTime(let frame):
            "frame \(frame) has no presentation time; use an interval counted in frames, such as 'every: 30 frames'"
        case .implausibleGap(let triggers, let frame):
            "\(triggers) triggers without a frame before frame \(frame); the source's numbering or time jumped"
        }
    }
}
