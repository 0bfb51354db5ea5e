import Imaging
import Locking
import Testing

@testable import InspectionRuntime

@Suite struct BoundedMailboxTests {
    /// Offers and takes in a fixed irregular rhythm, and returns where every element went.
    private func run(_ policy: OverflowPolicy, capacity: Int) -> (taken: [Int], discarded: [Int], refusals: Int) {
        var mailbox = BoundedMailbox<Int>(capacity: capacity, policy: policy)
        var (taken, discarded, refusals) = ([Int](), [Int](), 0)
        for element in 0..<200 {
            switch mailbox.offer(element) {
            case .stored: break
            case .storedInsteadOf(let other), .refused(let other): discarded.append(other)
            case .mustWait:
                refusals += 1
                if let next = mailbox.next() { taken.append(next) }
                guard case .stored = mailbox.offer(element) else {
                    Issue.record("no room after an element was taken out")
                    continue
                }
            }
            if element % 3 == 0, let next = mailbox.next() { taken.append(next) }
        }
        while let next = mailbox.next() { taken.append(next) }
        return (taken, discarded, refusals)
    }

    @Test(arguments: OverflowPolicy.allCases, [1, 2, 7])
    func everySubmittedElementIsProcessedOrDiscardedOnce(policy: OverflowPolicy, capacity: Int) {
        let (taken, discarded, refusals) = run(policy, capacity: capacity)
        #expect((taken + discarded).sorted() == Array(0..<200))
        #expect(taken == taken.sorted(), "the order is kept")
        #expect(discarded.isEmpty == (policy == .wait))
        #expect((refusals > 0) == (policy == .wait))
    }

    @Test func theOldestMakesRoom() {
        var mailbox = BoundedMailbox<Int>(capacity: 2, policy: .dropOldest)
        _ = mailbox.offer(1)
        _ = mailbox.offer(2)
        guard case .storedInsteadOf(1) = mailbox.offer(3) else {
            Issue.record("another element than the oldest was given up")
            return
        }
        #expect(mailbox.next() == 2)
        #expect(mailbox.next() == 3)
        #expect(mailbox.next() == nil)
    }

    @Test func theNewestIsTurnedAway() {
        var mailbox = BoundedMailbox<Int>(capacity: 1, policy: .rejectNewest)
        _ = mailbox.offer(1)
        guard case .refused(2) = mailbox.offer(2) else {
            Issue.record("another element than the newest was given up")
            return
        }
        #expect(mailbox.next() == 1)
    }
}

@Suite struct StageTests {
    @Test(arguments: OverflowPolicy.allCases)
    func everySubmittedElementEndsInOneOfTheTwoClosures(policy: OverflowPolicy) {
        let ends = Lock<[Int]>([])
        let discarded = Lock(0)
        let stage = Stage<Int>(
            "test", mailbox: MailboxConfiguration(capacity: 3, overflow: policy), clock: SystemMonotonicClock()
        ) { element in
            ends.withLock { $0.append(element) }
        } discard: { element in
            ends.withLock { $0.append(element) }
            discarded.withLock { $0 += 1 }
        }
        for element in 0..<2000 { stage.submit(element) }
        #expect(stage.drain(limit: .seconds(10)))
        #expect(ends.withLock { $0.sorted() } == Array(0..<2000))
        let progress = stage.progress
        #expect(progress.processed + progress.discarded == 2000)
        #expect(progress.discarded == UInt64(discarded.withLock { $0 }))
        #expect(progress.workingSince == nil)
        #expect(policy != .wait || progress.discarded == 0)
    }

    @Test func aBusyStageSaysSinceWhenAndDoesNotDrain() {
        let isHeld = Monitor(true)
        let stage = Stage<Int>(
            "test", mailbox: MailboxConfiguration(capacity: 1, overflow: .wait), clock: SystemMonotonicClock()
        ) { _ in
            _ = isHeld.wait(atMost: .seconds(10)) { $0 ? nil : true }
        } discard: { _ in
        }
        stage.submit(1)
        #expect(!stage.drain(limit: .milliseconds(20)))
        #expect(stage.progress.workingSince != nil)
        isHeld.withLock { $0 = false }
        #expect(stage.drain(limit: .seconds(10)))
    }
}
