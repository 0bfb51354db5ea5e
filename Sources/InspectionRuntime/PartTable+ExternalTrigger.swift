import Imaging
import InspectionProtocol

// Parts that a controller's word opens, before any frame shows them.
extension PartTable {
    /// How many triggers may wait for a frame at once. Two are already too many to tell apart, so this only bounds memory.
    static let waitingTriggerLimit = 256

    /// A controller's trigger came in.
    ///
    /// - Parameter refusal: Answers the part at once, whatever the camera sees.
    /// - Returns: Nil where a part with the same token is in flight; then nothing was done.
    mutating func openTriggered(_ part: Part, refusal: Reason?, at now: Moment) -> [MessageBody]? {
        guard let trigger = part.external else { preconditionFailure("part \(part.id) was not triggered by a command") }
        let tokens = entries.lazy.compactMap(\.part.external?.words.plcToken)
        guard !tokens.contains(trigger.words.plcToken) else { return nil }
        var cause = refusal
        if cause == nil, entries.count(where: \.awaitsFrame) >= Self.waitingTriggerLimit { cause = .overload }
        // While the part was given its id, the frame that shows it went by, and the next one shows another place.
        if cause == nil, let newestOffer, newestOffer >= trigger.receivedAt { cause = .uninspected }
        return open(part, outcome: cause.map { .unscored($0) }, at: now)
    }

    /// A frame came: the picture of the one trigger that waits for it, if it is one.
    ///
    /// A frame that is the first after several triggers could be the picture of each, so all of them are rejected. Where
    /// frames are missing right before this one, the picture was among those.
    ///
    /// - Parameter loss: Why frames are missing right before this one; nil where none are.
    /// - Returns: The part that the frame shows, and what is to be said about parts that it does not.
    mutating func claim(
        _ frame: FrameFacts, after loss: Reason?, at now: Moment
    ) -> (part: PartID?, messages: [MessageBody]) {
        newestOffer = max(newestOffer ?? frame.capturedAt, frame.capturedAt)
        // The deadline timer is about to say the same.
        var messages = expire(at: now)
        let waiting = entries.indices.filter { index in
            entries[index].awaitsFrame
                && (entries[index].part.external.map { $0.receivedAt <= frame.capturedAt } ?? false)
        }
        if let index = waiting.first, waiting.count == 1, loss == nil {
            entries[index].part.frame = frame
            return (entries[index].part.id, messages)
        }
        for id in waiting.map({ entries[$0].part.id }) {
            messages += finish(id, .unscored(loss ?? .ambiguousPart), durations: StageDurations(), at: now)
        }
        return (nil, messages)
    }

    /// No frame will come for the triggers that wait for one.
    mutating func abandonTriggers(at now: Moment) -> [MessageBody] {
        entries.filter(\.awaitsFrame).flatMap {
            finish($0.part.id, .unscored(.uninspected), durations: StageDurations(), at: now)
        }
    }
}

extension PartTable.Entry {
    /// Whether a controller said that the part is there, and nothing else is known yet.
    var awaitsFrame: Bool { part.external != nil && part.frame == nil && outcome == nil }

    /// Whether the time is up without a verdict.
    func isDue(at now: MonotonicInstant) -> Bool { verdict == nil && (deadline.map { $0 <= now } ?? false) }
}
