import InspectionProtocol

/// Whether the line should stop: too many rejects in a row, or too many parts that nothing looked at.
///
/// Latched until somebody resets it: a line that starts again by itself would hide what was wrong with it.
struct LineStopLatch: Hashable, Sendable {
    /// What was too much.
    enum Cause: Hashable, Sendable, CustomStringConvertible {
        case consecutiveRejects(Int)
        case uninspected(Int)

        /// Closed in an earlier session, which said so.
        case earlier(String)

        var description: String {
            switch self {
            case .consecutiveRejects(let count): "\(count) rejects in a row: line stop until it is reset"
            case .uninspected(let count): "\(count) parts in a row without inspection: line stop until it is reset"
            case .earlier(let text): text
            }
        }
    }

    let limits: StationConfiguration.LineStop

    /// Why the line should stop; nil while it need not.
    private(set) var cause: Cause?
    private var rejects = 0
    private var uninspected = 0

    /// - Parameter standing: What an earlier session said when the latch closed, if nobody has reset it since.
    init(limits: StationConfiguration.LineStop, standing: String? = nil) {
        self.limits = limits
        cause = standing.map { .earlier($0) }
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
