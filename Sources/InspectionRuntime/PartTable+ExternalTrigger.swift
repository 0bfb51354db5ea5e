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
        if cause == nil, entries.count(where: { $0.views.isEmpty }) >= Self.waitingTriggerLimit { cause = .overload }
        // While the part was given its id, the frame that shows it went by, and the next one shows another place.
        if cause == nil, let newestOffer, newestOffer >= trigger.receivedAt { cause = .uninspected }
        return open(part, outcome: cause.map { .unscored($0) }, at: now)
    }

    /// A frame came: the picture of the one part that waits for it, if it is one.
    ///
    /// A frame that is the first after several triggers, or after one while an earlier part still awaits a view, could show
    /// any of them, so all of them are rejected. Where frames are missing right before this one, the picture was among
    /// those.
    ///
    /// - Parameter loss: Why frames are missing right before this one; nil where none are.
    /// - Returns: The part that the frame shows, and what is to be said about parts that it does not.
    mutating func claim(
        _ frame: FrameFacts, after loss: Reason?, at now: Moment
    ) -> (view: PartView?, messages: [MessageBody]) {
        newestOffer = max(newestOffer ?? frame.capturedAt, frame.capturedAt)
        // The deadline timer is about to say the same.
        var messages = expire(at: now)
        let waiting = entries.indices.filter { index in
            guard let trigger = entries[index].part.external else { return false }
            return entries[index].views.awaitsFrame && trigger.receivedAt <= frame.capturedAt
        }
        if let index = waiting.first, waiting.count == 1, loss == nil {
            return (
                entries[index].views.admit(frame).map { PartView(part: entries[index].part.id, index: $0) }, messages
            )
        }
        for (id, isUnseen) in waiting.map({ (entries[$0].part.id, entries[$0].views.isEmpty) }) {
            var cause = loss ?? .ambiguousPart
            if cause == .uninspected, !isUnseen { cause = .incompleteViews }
            messages += close(id, cause, at: now)
        }
        return (nil, messages)
    }
}
