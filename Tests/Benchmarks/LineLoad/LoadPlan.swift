import Imaging
import InspectionProtocol

/// What the generator does: which part comes when, and which of them are bad.
///
/// Known beforehand in every detail, so that whoever checks a run needs nothing of what the run said.
struct LoadPlan: Hashable, Sendable {
    /// How many parts come.
    var parts: Int

    /// Parts per second.
    var rate: Double

    /// How long the stand-in for the networks computes for each part.
    var scoringTime = Duration.zero

    /// When the part `number`, counted from 0, is captured: by the schedule, whether or not anybody is ready for it.
    func due(_ number: Int, from start: MonotonicInstant) -> MonotonicInstant {
        start.advanced(by: .nanoseconds(Int64((Double(number) * 1e9 / rate).rounded())))
    }

    /// From the first part to the end of the period of the last.
    var duration: Duration { .seconds(Double(parts) / rate) }

    /// Whether the part is to be rejected: every twentieth.
    static func isBad(_ number: Int) -> Bool { number % 20 == 7 }

    /// What may happen to a good or a bad part when the machine is too slow for the schedule.
    static let overloadReasons: Set<Reason> = [.late, .overload, .staleFrame]
}
