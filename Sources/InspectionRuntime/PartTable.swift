import AnomalyScoring
import Imaging
import InspectionProtocol

/// The parts in flight and what has been said about them: every part gets exactly one verdict, and the first answer wins.
///
/// Pure bookkeeping; `DecisionDesk` puts the queue, the clock and the timers around it. Each call returns the messages
/// that became due, in the order in which they must go out.
struct PartTable {
    /// What all verdicts of one run have in common.
    struct Terms: Hashable, Sendable {
        var triggerSource: TriggerSource
        var timestampQuality: TimestampQuality
        var recipe: String
        var recipeRevision: Int
        var modelSHA256: String?
        var threshold: Double
        var mode: Mode
        var simulated: Bool

        /// From capture, or from a controller's trigger, to the latest useful verdict. Nil waits for every score, is never late, and answers in the order
        /// of the parts, so that a replay is the same every time.
        var latencyBudget: Duration?

        /// How many frames show one part, 1…16.
        var views = 1
    }

    struct Entry {
        let part: Part
        var views: PartViews
        let deadline: MonotonicInstant?

        /// A cause for rejection that comes before whatever the stages find.
        var refusal: Reason?
        var verdict: Verdict?

        var firstFrame: FrameFacts? { views.frames.first }

        /// Whether the time is up without a verdict.
        func isDue(at now: MonotonicInstant) -> Bool { verdict == nil && (deadline.map { $0 <= now } ?? false) }
    }

    var terms: Terms

    /// Verdicts given so far.
    private(set) var counts = PartCounts()
    private(set) var rejectionsByReason: [Reason: Int] = [:]
    private(set) var lastPartID: PartID?
    private(set) var latencies = LatencyHistogram()

    /// The part of the longest latency.
    private(set) var worstPartID: PartID?
    private var consecutiveRejects = 0

    /// Few: no more than the stages hold.
    var entries: [Entry] = []

    /// When the newest frame was captured that was offered to the triggers that wait for one.
    var newestOffer: MonotonicInstant?

    init(terms: Terms) {
        self.terms = terms
    }

    /// Parts that have no verdict yet.
    var awaitingVerdict: Int { entries.count { $0.verdict == nil } }

    /// Parts whose verdict or score is still to come.
    var inFlight: Int { entries.count }

    /// When the oldest part in flight was captured, or triggered where no frame shows it yet.
    var oldestCapture: MonotonicInstant? {
        entries.compactMap { $0.firstFrame?.capturedAt ?? $0.part.external?.receivedAt }.min()
    }

    /// When the next part without a verdict becomes late.
    var nextDeadline: MonotonicInstant? {
        entries.lazy.filter { $0.verdict == nil }.compactMap(\.deadline).min()
    }

    /// A trigger fired.
    ///
    /// - Parameters:
    ///   - refusal: Answers the part at once; its score, should one come, revises nothing.
    ///   - outcome: Given where nothing more will be heard of the part, such as for one that no frame shows.
    mutating func open(
        _ part: Part, refusal: Reason? = nil, outcome: PartOutcome? = nil, at now: Moment
    ) -> [MessageBody] {
        lastPartID = part.id
        // A controller is promised an answer in time after its trigger, whenever the frame was captured.
        let start = part.external?.receivedAt ?? part.frame?.capturedAt ?? now.monotonic
        let deadline = terms.latencyBudget.map { start.advanced(by: $0) }
        var views = outcome.map { PartViews(settled: $0, frame: part.frame) } ?? PartViews(expectedCount: terms.views)
        if outcome == nil, let frame = part.frame { _ = views.admit(frame) }
        entries.append(Entry(part: part, views: views, deadline: deadline, refusal: refusal))
        if terms.latencyBudget == nil { return answerInOrder(at: now) }
        var messages = answerIfDue(entries.count - 1, at: now)
        messages += expire(at: now)
        return messages
    }

    /// Another frame of a part came.
    ///
    /// - Returns: Which view it is; nil where the part waits for none any more.
    mutating func admit(_ frame: FrameFacts, to id: PartID) -> PartView? {
        guard let index = entries.firstIndex(where: { $0.part.id == id }) else { return nil }
        return entries[index].views.admit(frame).map { PartView(part: id, index: $0) }
    }

    /// No more frames of a part will come, for a cause.
    mutating func close(_ id: PartID, _ cause: Reason, at now: Moment) -> [MessageBody] {
        guard let index = entries.firstIndex(where: { $0.part.id == id }) else { return [] }
        entries[index].views.close(cause)
        return settle(index, at: now)
    }

    /// No more frames will come for any part.
    mutating func closeAll(at now: Moment) -> [MessageBody] {
        entries.filter(\.views.awaitsFrame).flatMap { entry in
            close(entry.part.id, entry.views.isEmpty ? .uninspected : .incompleteViews, at: now)
        }
    }

    /// The line stops while stages still work on parts: those are answered, and their scores revise nothing.
    mutating func abandonAll(at now: Moment) -> [MessageBody] {
        var messages = closeAll(at: now)
        for index in entries.indices where entries[index].verdict == nil {
            messages += giveVerdict(index, .unscored(.late), at: now)
        }
        return messages
    }

    /// The stages are through with a view of a part.
    ///
    /// - Parameter view: Counted from 0.
    mutating func finish(
        _ id: PartID, view: Int = 0, _ outcome: PartOutcome, durations: StageDurations, at now: Moment
    ) -> [MessageBody] {
        guard let index = entries.firstIndex(where: { $0.part.id == id }) else {
            preconditionFailure("part \(id) was finished twice, or never opened")
        }
        entries[index].views.finish(view, outcome, durations)
        return settle(index, at: now)
    }

    private mutating func settle(_ index: Int, at now: Moment) -> [MessageBody] {
        terms.latencyBudget == nil ? answerInOrder(at: now) : answerIfDue(index, at: now)
    }

    /// Answers every part whose deadline has passed.
    mutating func expire(at now: Moment) -> [MessageBody] {
        var messages: [MessageBody] = []
        while let index = entries.firstIndex(where: { $0.isDue(at: now.monotonic) }) {
            let views = entries[index].views
            let missing: Reason = views.isEmpty ? .uninspected : .incompleteViews
            entries[index].views.close(missing)
            if entries[index].views.outcome == nil {
                messages += giveVerdict(index, .unscored(views.awaitsFrame ? missing : .late), at: now)
            } else {
                messages += answerIfDue(index, at: now)
            }
        }
        return messages
    }

    /// Answers from the oldest part on, as far as all is known.
    private mutating func answerInOrder(at now: Moment) -> [MessageBody] {
        var messages: [MessageBody] = []
        while entries.first?.views.outcome != nil { messages += answerIfDue(0, at: now) }
        return messages
    }

    private mutating func answerIfDue(_ index: Int, at now: Moment) -> [MessageBody] {
        var messages: [MessageBody] = []
        let entry = entries[index]
        let isLate = entry.verdict != nil
        if !isLate {
            if let refusal = entry.refusal {
                messages += giveVerdict(index, .unscored(refusal), at: now)
            } else if case .scored? = entry.views.outcome, let deadline = entry.deadline, deadline <= now.monotonic {
                // The deadline timer is about to say the same.
                messages += giveVerdict(index, .unscored(.late), at: now)
            } else if let outcome = entry.views.outcome {
                messages += giveVerdict(index, outcome, at: now)
            }
        }
        if let outcome = entries[index].views.outcome, let verdict = entries[index].verdict {
            let late = isLate || verdict.reason == .late
            messages.append(.result(result(of: entries[index], verdict, outcome, late: late)))
            entries.remove(at: index)
        }
        return messages
    }

    private mutating func giveVerdict(_ index: Int, _ answer: PartOutcome, at now: Moment) -> [MessageBody] {
        let entry = entries[index]
        var disposition = Disposition.reject
        var reason = Reason.modelOrRecipeInvalid
        var score: Double?
        switch answer {
        case .unscored(let cause):
            reason = cause
        case .scored(let fused, _) where fused.value.isFinite:
            score = fused.value
            disposition = fused.isAnomalous ? .reject : .accept
            reason = fused.isAnomalous ? .anomaly : .none
        case .scored:
            break  // NaN and infinity are no grounds to accept anything.
        }
        consecutiveRejects = disposition == .reject ? consecutiveRejects + 1 : 0
        counts.count(disposition)
        if disposition == .reject { rejectionsByReason[reason, default: 0] += 1 }

        let frame = entry.firstFrame
        let latency = frame.map { $0.capturedAt.duration(to: now.monotonic) }
        if let latency {
            if latencies.count == 0 || latency > latencies.longest { worstPartID = entry.part.id }
            latencies.record(latency)
        }
        let verdict = Verdict(
            partID: entry.part.id, triggerID: entry.part.trigger, triggerSource: terms.triggerSource,
            plcToken: entry.part.external?.words.plcToken, encoder: entry.part.external?.words.encoder,
            capturedAt: frame.map { now.wall(at: $0.capturedAt) },
            capturedMonotonicMicroseconds: frame?.capturedAt.microseconds,
            timestampQuality: frame == nil ? nil : terms.timestampQuality, disposition: disposition, reason: reason,
            inspected: score != nil, score: score, threshold: terms.threshold,
            deadlineMonotonicMicroseconds: entry.deadline?.microseconds,
            latencyMicroseconds: latency?.microseconds,
            deadlineMarginMicroseconds: entry.deadline.map { now.monotonic.duration(to: $0).microseconds },
            framesUsed: score == nil ? 0 : entry.views.frames.count, recipe: terms.recipe,
            recipeRevision: terms.recipeRevision, modelSHA256: terms.modelSHA256, mode: terms.mode,
            simulated: terms.simulated,
            consecutiveRejects: consecutiveRejects)
        entries[index].verdict = verdict
        return disposition == .accept ? [.verdict(verdict)] : [.verdict(verdict), .reject(verdict)]
    }

    private func result(of entry: Entry, _ verdict: Verdict, _ outcome: PartOutcome, late: Bool) -> PartResult {
        var details = PartResult.Details(
            picturable: nil, unpicturable: nil, responsibleBranch: nil, regions: nil,
            stageDurations: entry.views.durations, frameIDs: entry.views.frames.map { FrameID($0.number) },
            evidence: .off, late: late)
        if case .scored(let fused, let regions) = outcome, fused.value.isFinite {
            details.picturable = BranchReport(fused.picturable)
            details.unpicturable = BranchReport(fused.unpicturable)
            details.responsibleBranch = BranchName(fused.responsibleBranch)
            details.regions = regions
        }
        return PartResult(verdict: verdict, details: details)
    }
}

extension BranchReport {
    init(_ score: BranchScore) {
        self.init(raw: score.raw, mean: score.mean, deviation: score.deviation, z: score.z)
    }
}

extension BranchName {
    init(_ branch: Branch) {
        switch branch {
        case .picturable: self = .picturable
        case .unpicturable: self = .unpicturable
        }
    }
}
