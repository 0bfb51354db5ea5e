import AnomalyScoring
import Imaging
import InspectionProtocol

/// One part on the belt, from the moment its trigger fires.
struct Part: Hashable, Sendable {
    var id: PartID
    var trigger: TriggerID

    /// Whose word made it a part; nil where frames do.
    var external: ReceivedTrigger?

    /// The first frame that shows it; nil where no usable frame exists, or none yet.
    var frame: FrameFacts?

    init(id: PartID, trigger: TriggerID, frame: FrameFacts?) {
        self.id = id
        self.trigger = trigger
        self.frame = frame
    }

    /// A controller's word, before there is a frame. The token is the controller's own count.
    init(id: PartID, external: ReceivedTrigger) {
        self.id = id
        self.trigger = TriggerID(external.words.plcToken.value)
        self.external = external
    }
}

/// A controller's trigger, and when it came in: what its frame and its deadline are counted from.
struct ReceivedTrigger: Hashable, Sendable {
    var words: ExternalTrigger
    var receivedAt: MonotonicInstant
}

/// What stays known of a frame when its pixels are gone.
struct FrameFacts: Hashable, Sendable {
    var number: UInt64
    var capturedAt: MonotonicInstant

    init(_ frame: Frame) {
        number = frame.number
        capturedAt = frame.capturedAt
    }

    init(number: UInt64, capturedAt: MonotonicInstant) {
        self.number = number
        self.capturedAt = capturedAt
    }
}

/// What the stages found out about a part.
enum PartOutcome: Sendable {
    case scored(FusedScore, regions: [AnomalousRegion])

    /// There is no score. The first cause on the frame's way.
    case unscored(Reason)
}

/// One moment on both clocks.
struct Moment: Hashable, Sendable {
    var monotonic: MonotonicInstant

    /// For people.
    var wall: UTCTimestamp

    /// What the wall clock showed at an earlier moment of the monotonic clock, if nobody has set it since.
    func wall(at instant: MonotonicInstant) -> UTCTimestamp {
        let ago = instant.duration(to: monotonic).microseconds
        return UTCTimestamp(microsecondsSince1970: wall.microsecondsSince1970 - ago)
    }
}
