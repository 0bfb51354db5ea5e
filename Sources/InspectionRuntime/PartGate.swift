import Imaging
import InspectionProtocol

/// Gives parts their names: never the same twice, also not after a restart.
public protocol PartIDSource: Sendable {
    /// Called on `beltwatch.gate`, or where a controller's command comes in; may take as long as a file takes.
    func next() throws -> PartID
}

/// `beltwatch.gate`: which frames belong to which part.
///
/// Pure bookkeeping, apart from the source of part ids.
struct PartGate {
    /// What to do about one frame.
    struct Admission {
        /// Parts that no usable frame shows, oldest first, and why.
        var framelessParts: [(part: Part, cause: Reason)] = []

        /// The part that this frame shows.
        var part: Part?

        /// Whether a controller triggers, so that the desk knows whose picture this frame is.
        var isOffered = false

        /// Why frames are missing right before this one; nil where none are.
        var loss: Reason?
    }

    private let mode: TriggerMode
    private var trigger: Trigger
    private let partIDs: any PartIDSource
    private var lastTrigger: UInt64 = 0

    /// Frames that were sent here and did not come yet. One that a later frame overtakes was given up by our own mailbox.
    private var expected: Set<UInt64> = []

    init(trigger: TriggerMode, partIDs: any PartIDSource) {
        mode = trigger
        self.trigger = Trigger(trigger)
        self.partIDs = partIDs
    }

    /// Frames are numbered from 0 again; triggers and part ids are not.
    mutating func beginStream() {
        trigger = Trigger(mode)
        expected.removeAll()
    }

    /// The source delivered a frame, which is about to be sent here.
    mutating func expect(_ number: UInt64) {
        expected.insert(number)
    }

    mutating func see(_ frame: Frame) throws -> Admission {
        let outcome = try trigger.see(number: frame.number, presentationTime: frame.presentationTime)
        var admission = Admission(framelessParts: try framelessParts(outcome.missed))
        let wasDiscarded = expected.contains { $0 < frame.number }
        expected = expected.filter { $0 > frame.number }
        admission.isOffered = mode == .external
        if outcome.followsGap { admission.loss = wasDiscarded ? .overload : .uninspected }
        if outcome.fires { admission.part = try nextPart(FrameFacts(frame)) }
        return admission
    }

    /// The stream ended before the frame `number`.
    mutating func end(before number: UInt64) throws -> [(part: Part, cause: Reason)] {
        try framelessParts(try trigger.end(before: number))
    }

    private mutating func framelessParts(_ missed: [UInt64?]) throws -> [(part: Part, cause: Reason)] {
        try missed.map { number in
            let wasDiscarded = number.map(expected.contains) ?? false
            return (try nextPart(nil), wasDiscarded ? .overload : .uninspected)
        }
    }

    private mutating func nextPart(_ frame: FrameFacts?) throws -> Part {
        let id = try partIDs.next()
        lastTrigger += 1
        return Part(id: id, trigger: TriggerID(lastTrigger), frame: frame)
    }
}
