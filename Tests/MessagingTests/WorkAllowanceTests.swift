import Testing

@testable import Messaging

@Suite struct WorkAllowanceTests {
    private let start = SuspendingClock.now

    /// A fifth of the time, and a tenth of a second at once.
    private func allowance() -> WorkAllowance { WorkAllowance(share: 0.2, burst: .milliseconds(100), at: start) }

    @Test func whatWasSavedUpIsTakenWithoutAPause() {
        var allowance = allowance()
        allowance.spend(.milliseconds(100), at: start + .milliseconds(100))
        #expect(allowance.pause(at: start + .milliseconds(100)) == .zero)
    }

    /// Half a second of work, a tenth saved up: two seconds of rest give the other four tenths.
    @Test func workBeyondTheSavingsIsPaidWithRest() {
        var allowance = allowance()
        // The stock is full, and stays so.
        #expect(allowance.pause(at: start + .seconds(60)) == .zero)
        let end = start + .milliseconds(60_500)
        allowance.spend(.milliseconds(500), at: end)
        #expect(allowance.pause(at: end) == .seconds(2))
        #expect(allowance.pause(at: end + .seconds(1)) == .seconds(1))
        #expect(allowance.pause(at: end + .seconds(2)) == .zero)
    }

    @Test func inTheLongRunTheShareIsKept() {
        var allowance = allowance()
        var (now, worked) = (start, Duration.zero)
        while start.duration(to: now) < .seconds(100) {
            now += allowance.pause(at: now)
            now += .milliseconds(3)
            allowance.spend(.milliseconds(3), at: now)
            worked += .milliseconds(3)
        }
        #expect(abs(worked / start.duration(to: now) - 0.2) < 0.002)
    }
}
