import InspectionProtocol

/// Whether the line should stop: too many rejects in a row, or too many parts that nothing looked at.
///
/// Latched until somebody resets it: a line that starts again by itself would hide what was wrong with it.
struct LineStopLatch: Hashable, Sendable {
    /// What was too much.
    enum Cause: Hashable, Sendable, CustomStringConvertible {
        case consecutiveRejects(Int)
        case uninspected(Int)

        var description: String {
            switch self {
            case .consecutiveRejects(let count): "\(count) rejects in a row: line stop until it is reset"
            case .uninspected(let count): "\(count) parts in a row without inspection: line stop until it is reset"
            }
        }
    }

    let limits: StationConfiguration.LineStop

    /// Why the line should stop; nil while it need not.
    private(set) var cause: Cause?
    private var rejects = 0
    private var uninspected = 0

    init(limits: StationConfiguration.LineStop) {
        self.limits = limits
    }

    /// Counts a verdict. Those that are given because the line is to stop count for nothing more.
    mutating func observe(_ verdict: Verdict) {
        guard cause == nil else { return }
        rejects = verdict.disposition == .reject ? rejects + 1 : 0
        uninspected = verdict.inspected ? 0 : uninspected + 1
        if let limit = limits.uninspected, uninspected >= limit {
            cause = .uninspected(uninspected)
        } else if let limit = limits.consecutiveRejects, rejects >= limit {
            cause = .consecutiveRejects(rejects)
        }
    }

    /// Begins to count anew.
    mutating func reset() { self = LineStopLatch(limits: limits) }
}
