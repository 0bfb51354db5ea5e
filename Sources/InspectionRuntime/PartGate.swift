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
        /// An earlier part that gets no more views, and why.
        var ended: (part: PartID, cause: Reason)?

        /// Parts that no usable frame shows, oldest first, and why.
        var framelessParts: [(part: Part, cause: Reason)] = []

        /// What this frame shows; nil where it lies between two parts.
        var shows: Content?
    }

    enum Content {
        case newPart(Part)

        /// One that an earlier frame began to show.
        case part(PartID)

        /// What a controller triggered, which the desk knows.
        ///
        /// - Parameter loss: Why frames are missing right before this one; nil where none are.
        case triggered(after: Reason?)
    }

    private let mode: TriggerMode
    private let views: Int
    private var trigger: Trigger
    private let partIDs: any PartIDSource
    private var lastTrigger: UInt64 = 0

    /// Frames that were sent here and did not come yet. One that a later frame overtakes was given up by our own mailbox.
    private var expected: Set<UInt64> = []

    /// The part whose views are coming in, and how many are still to come.
    private var current: (part: PartID, remaining: Int)?

    init(trigger: TriggerMode, views: Int = 1, partIDs: any PartIDSource) {
        mode = trigger
        self.views = views
        self.trigger = Trigger(trigger)
        self.partIDs = partIDs
    }

    /// Frames are numbered from 0 again; triggers and part ids are not.
    mutating func beginStream() {
        trigger = Trigger(mode)
        expected.removeAll()
        current = nil
    }

    /// The source delivered a frame, which is about to be sent here.
    mutating func expect(_ number: UInt64) {
        expected.insert(number)
    }

    mutating func see(_ frame: Frame) throws -> Admission {
        let outcome = try trigger.see(number: frame.number, presentationTime: frame.presentationTime)
        var admission = Admission()
        var loss: Reason?
        if outcome.followsGap { loss = expected.contains { $0 < frame.number } ? .overload : .uninspected }
        if let loss { admission.ended = endCurrent(loss == .overload ? .overload : .incompleteViews) }
        admission.framelessParts = try framelessParts(outcome.missed, before: frame.number)
        expected = expected.filter { $0 > frame.number }
        if mode == .external {
            admission.shows = .triggered(after: loss)
        } else if outcome.fires {
            // It would show the end of one part and the beginning of the next, and nobody can tell which.
            if let ended = endCurrent(.ambiguousPart) {
                admission.ended = ended
                admission.framelessParts.append((try nextPart(nil), .ambiguousPart))
            } else {
                let part = try nextPart(FrameFacts(frame))
                if views > 1 { current = (part.id, views - 1) }
                admission.shows = .newPart(part)
            }
        } else if let (part, remaining) = current {
            current = remaining > 1 ? (part, remaining - 1) : nil
            admission.shows = .part(part)
        }
        return admission
    }

    /// The stream ended before the frame `number`.
    mutating func end(before number: UInt64) throws -> [(part: Part, cause: Reason)] {
        try framelessParts(try trigger.end(before: number), before: .max)
    }

    private mutating func endCurrent(_ cause: Reason) -> (part: PartID, cause: Reason)? {
        defer { current = nil }
        return current.map { ($0.part, cause) }
    }

    /// - Parameter next: The frame that came instead of these.
    private mutating func framelessParts(
        _ missed: [UInt64?], before next: UInt64
    ) throws -> [(part: Part, cause: Reason)] {
        try missed.map { number in
            let wasDiscarded = number.map(expected.contains) ?? false
            let hasOtherViews = number.map { next - $0 < UInt64(views) } ?? false
            return (try nextPart(nil), wasDiscarded ? .overload : hasOtherViews ? .incompleteViews : .uninspected)
        }
    }

    private mutating func nextPart(_ frame: FrameFacts?) throws -> Part {
        let id = try partIDs.next()
        lastTrigger += 1
        return Part(id: id, trigger: TriggerID(lastTrigger), frame: frame)
    }
}
