import InspectionClient
import InspectionProtocol
import Testing

@Suite struct StationClockTests {
    private func clock(boot: String = "other", station: UInt64, asked: UInt64, heard: UInt64) throws -> StationClock {
        StationClock(
            Samples.greeting(boot: boot, at: station, station: try StationName("a")),
            askedAt: MonotonicMoment(microseconds: asked), heardAt: MonotonicMoment(microseconds: heard), bootID: "boot"
        )
    }

    private func moment(_ microseconds: UInt64) -> MonotonicMoment { MonotonicMoment(microseconds: microseconds) }

    @Test(arguments: [1000, 1500, 2000] as [UInt64])
    func onTheSameBootTheClocksAreOne(station: UInt64) throws {
        let clock = try clock(boot: "boot", station: station, asked: 1000, heard: 2000)
        #expect(clock.isShared && clock.offset == 0)
        #expect(clock.uncertainty(at: moment(10_000_000_000)) == .zero)
        #expect(clock.latest(at: moment(5000)) == moment(5000))
    }

    /// A container with a time namespace of its own has our boot id and not our clock.
    @Test(arguments: [999, 2001, 0] as [UInt64])
    func theSameBootWithAnotherTimeIsAnotherClock(station: UInt64) throws {
        #expect(try !clock(boot: "boot", station: station, asked: 1000, heard: 2000).isShared)
    }

    /// Asked at 1,000 and heard at 2,000 µs: the station's 9,000 belongs to 1,500 ± 500, and whole microseconds to ± 2.
    @Test func theOffsetIsThatOfTheMiddleAndUncertainByHalfTheWay() throws {
        let clock = try clock(station: 9000, asked: 1000, heard: 2000)
        #expect(clock.offset == 7500)
        #expect(clock.uncertainty(at: moment(2000)) == .microseconds(502))
        #expect(clock.latest(at: moment(2000)) == moment(10_002))
        #expect(clock.earliestLocal(of: moment(10_000), at: moment(2000)) == moment(1998))
    }

    @Test func theClocksDriftApart() throws {
        let clock = try clock(station: 9000, asked: 1000, heard: 2000)
        #expect(clock.uncertainty(at: moment(10_002_000)) == .microseconds(1502), "100 µs a second for 10 s")
    }

    /// The true offset always lies within the bound, whatever part of the way each direction takes.
    @Test func theBoundHoldsHoweverUnequalTheWaysAre() throws {
        for trueOffset in [-400_000, -1, 0, 1, 7_000_000_000] as [Int64] {
            for share in stride(from: 0.0, through: 1.0, by: 0.05) {
                let (asked, heard): (UInt64, UInt64) = (1_000_000, 1_004_321)
                let readAt = Int64(asked) + Int64((Double(heard - asked) * share).rounded(.down))
                let clock = try clock(station: UInt64(readAt + trueOffset), asked: asked, heard: heard)
                let error = Duration.microseconds(abs(clock.offset - trueOffset))
                #expect(error <= clock.uncertainty(at: moment(heard)), "share \(share), offset \(trueOffset)")
            }
        }
    }

    @Test func momentsStayWithinTheirRange() {
        #expect(moment(5).advanced(by: .microseconds(-6)) == moment(0))
        #expect(moment(.max).advanced(by: .seconds(1)) == moment(.max))
        #expect(moment(5).advanced(by: .nanoseconds(1999)) == moment(6))
        #expect(moment(7).duration(to: moment(5)) == .microseconds(-2))
        let first = MonotonicMoment.now
        #expect(first <= .now)
    }
}
