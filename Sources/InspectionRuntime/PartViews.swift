import AnomalyScoring
import InspectionProtocol

/// One frame of one part, on its way through the stages.
struct PartView: Hashable, Sendable {
    var part: PartID

    /// Counted from 0, in the order of the frames.
    var index: Int
}

/// The frames of one part, and what the stages found in each of them.
///
/// The worst view speaks for the part: a defect shows from one side. A view without a score speaks before all others,
/// because what it would have shown is unknown.
struct PartViews: Sendable {
    private struct View {
        /// Nil for one that never came.
        var frame: FrameFacts?
        var outcome: PartOutcome?
        var durations = StageDurations()
    }

    private var expectedCount: Int
    private var views: [View] = []

    /// - Parameter expectedCount: How many frames make the part, at least 1.
    init(expectedCount: Int) { self.expectedCount = expectedCount }

    /// A part of which nothing more will be heard.
    init(settled outcome: PartOutcome, frame: FrameFacts?) {
        expectedCount = 1
        views = [View(frame: frame, outcome: outcome)]
    }

    var isEmpty: Bool { views.isEmpty }

    /// Whether a frame is still to come.
    var awaitsFrame: Bool { views.count < expectedCount }

    var frames: [FrameFacts] { views.compactMap(\.frame) }

    /// The next frame of the part came.
    ///
    /// - Returns: Which view it is; nil where the part waits for none.
    mutating func admit(_ frame: FrameFacts) -> Int? {
        guard awaitsFrame else { return nil }
        views.append(View(frame: frame))
        return views.count - 1
    }

    /// No more frames will come, for a cause.
    mutating func close(_ cause: Reason) {
        guard awaitsFrame else { return }
        views.append(View(outcome: .unscored(cause)))
        expectedCount = views.count
    }

    /// The stages are through with a view.
    mutating func finish(_ index: Int, _ outcome: PartOutcome, _ durations: StageDurations) {
        precondition(views[index].outcome == nil, "view \(index) was finished twice")
        views[index].outcome = outcome
        views[index].durations = durations
    }

    /// What is known of the whole part; nil while anything is missing.
    var outcome: PartOutcome? {
        let outcomes = views.compactMap(\.outcome)
        guard outcomes.count == expectedCount else { return nil }
        var worst: (value: Double, outcome: PartOutcome)?
        for outcome in outcomes {
            guard case .scored(let score, _) = outcome, score.value.isFinite else { return outcome }
            if score.value > worst?.value ?? -.infinity { worst = (score.value, outcome) }
        }
        return worst?.outcome
    }

    /// How long the stages worked on all views together.
    var durations: StageDurations {
        views.map(\.durations).reduce(StageDurations()) { sum, view in
            func add(_ stage: KeyPath<StageDurations, Int64?>) -> Int64? {
                guard let duration = view[keyPath: stage] else { return sum[keyPath: stage] }
                return (sum[keyPath: stage] ?? 0) + duration
            }
            return StageDurations(
                decode: add(\.decode), preprocess: add(\.preprocess), picturable: add(\.picturable),
                unpicturable: add(\.unpicturable), fuse: add(\.fuse), publish: add(\.publish))
        }
    }
}
