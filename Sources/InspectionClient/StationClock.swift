import InspectionProtocol

/// What the station's monotonic clock says, by ours (PROTOCOL §2).
///
/// On the same boot both are one clock. Otherwise the station read its clock at some moment between our asking at `a` and
/// our hearing at `h`. Without knowing when, the best guess is the middle, `offset = station − (a + h)/2`, and it is wrong
/// by at most `(h − a)/2`, however unequal the two ways are. From then on the clocks drift apart.
public struct StationClock: Hashable, Sendable {
    /// How fast two crystals may drift apart: 100 µs a second, twice what cheap ones do.
    static let driftPerSecond = Duration.microseconds(100)

    /// Whether the station's clock is ours.
    public let isShared: Bool

    /// The station's clock less ours, in microseconds.
    public let offset: Int64

    private let measuredAt: MonotonicMoment
    private let uncertaintyThen: Duration

    /// - Parameters:
    ///   - bootID: That of this machine, nil where it is unknown.
    public init(_ greeting: StationGreeting, askedAt: MonotonicMoment, heardAt: MonotonicMoment, bootID: String?) {
        let station = MonotonicMoment(microseconds: greeting.monotonicMicroseconds)
        // In a time namespace of its own a station has our boot and not our clock, which shows unless they are close.
        isShared = greeting.bootID == bootID && askedAt <= station && station <= heardAt
        measuredAt = heardAt
        if isShared {
            offset = 0
            uncertaintyThen = .zero
        } else {
            let roundTrip = askedAt.duration(to: heardAt)
            offset = askedAt.advanced(by: roundTrip / 2).duration(to: station).wholeMicroseconds
            // Both clocks count whole microseconds.
            uncertaintyThen = roundTrip / 2 + .microseconds(2)
        }
    }

    /// How wrong the offset may be by now, either way.
    public func uncertainty(at now: MonotonicMoment) -> Duration {
        guard !isShared else { return .zero }
        let age = Double(max(0, measuredAt.duration(to: now).wholeMicroseconds)) / 1e6
        return uncertaintyThen + Self.driftPerSecond * age
    }

    /// The latest that the station's clock may show.
    public func latest(at now: MonotonicMoment) -> MonotonicMoment {
        now.advanced(by: .microseconds(offset) + uncertainty(at: now))
    }

    /// When at the earliest, by our clock, the station's clock showed this.
    public func earliestLocal(of station: MonotonicMoment, at now: MonotonicMoment) -> MonotonicMoment {
        station.advanced(by: .microseconds(0 - offset) - uncertainty(at: now))
    }
}
