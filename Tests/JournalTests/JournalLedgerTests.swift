import Imaging
import InspectionProtocol
import Testing

@testable import Journal

@Suite struct JournalLedgerTests {
    private let wall = ManualClock.start

    private func instant(_ seconds: UInt64) -> MonotonicInstant {
        MonotonicInstant(nanoseconds: seconds * 1_000_000_000)
    }

    @Test func anOverloadIsOverTenSecondsAfterTheLastLoss() {
        var ledger = JournalLedger()
        ledger.lose([.result: 2], at: instant(1), wall: wall)
        ledger.lose([.result: 1, .verdict: 1], at: instant(5), wall: wall)
        #expect(ledger.health == .degraded(.init(cause: .overload, since: wall, lost: 4)))
        ledger.settle(.complete, at: instant(14), wall: wall)
        #expect(ledger.health == .degraded(.init(cause: .overload, since: wall, lost: 4)))
        ledger.settle(.complete, at: instant(15), wall: wall)
        #expect(ledger.health == .writing)
        #expect(ledger.counts.lost == [.result: 3, .verdict: 1])
    }

    @Test func aFullDiskIsOverWhenTheStoreSaysSo() {
        var ledger = JournalLedger()
        ledger.settle(.full, at: instant(1), wall: wall)
        #expect(ledger.health == .degraded(.init(cause: .diskFull, since: wall, lost: 0)))
        ledger.lose([.result: 7], at: instant(2), wall: wall)
        #expect(ledger.health == .degraded(.init(cause: .diskFull, since: wall, lost: 7)))
        ledger.settle(.complete, at: instant(3), wall: wall)
        #expect(ledger.health == .writing)
    }

    @Test func aFullDiskExplainsMoreThanAnOverload() {
        var ledger = JournalLedger()
        ledger.lose([.result: 1], at: instant(1), wall: wall)
        ledger.settle(.full, at: instant(2), wall: wall)
        #expect(ledger.health == .degraded(.init(cause: .diskFull, since: wall, lost: 1)))
    }

    @Test func aFailureIsForEver() {
        var ledger = JournalLedger()
        ledger.settle(.failed(reason: "gone"), at: instant(1), wall: wall)
        ledger.settle(.complete, at: instant(100), wall: wall)
        ledger.lose([.verdict: 1], at: instant(101), wall: wall)
        #expect(ledger.health == .failed(reason: "gone", since: wall))
        #expect(ledger.counts.lostTotal == 1)
    }

    @Test func everyLossIsReportedOnce() {
        var ledger = JournalLedger()
        ledger.lose([.result: 2], at: instant(1), wall: wall)
        #expect(ledger.takeUnreported() == [.result: 2])
        #expect(ledger.takeUnreported().isEmpty)
    }
}
