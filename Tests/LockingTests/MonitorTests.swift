import Dispatch
import Foundation
import Glibc
import Locking
import Testing

@Suite struct MonitorTests {
    /// Far more than any of these waits takes, on any machine.
    private let limit = Duration.seconds(20)

    @Test func onlyOneThreadAtATimeSeesTheValue() {
        let count = Monitor(0)
        DispatchQueue.concurrentPerform(iterations: 4) { _ in
            for _ in 0..<500 {
                count.withLock { count in
                    let before = count
                    sched_yield()
                    count = before + 1
                }
            }
        }
        #expect(count.withLock { $0 } == 2000)
    }

    @Test func whatIsThereAlreadyIsFoundAtOnce() {
        let monitor = Monitor(7)
        #expect(monitor.wait(atMost: .zero) { $0 == 7 ? "found" : nil } == "found")
        #expect(monitor.wait(atMost: .seconds(-1)) { $0 == 7 ? "found" : nil } == "found")
    }

    /// Woken, and not found by the last look when the time is up: that would come after the whole limit.
    @Test func aChangeWakesAllWhoWait() {
        let isOpen = Monitor(false)
        let (looks, woken) = (Lock(0), Lock(0))
        let (limit, group) = (limit, DispatchGroup())
        for _ in 0..<4 {
            // Threads of their own: Dispatch's pool may not have four to spare beside the other tests.
            group.enter()
            Thread.detachNewThread {
                defer { group.leave() }
                let start = ContinuousClock.now
                let found: Bool? = isOpen.wait(atMost: limit) { isOpen in
                    looks.withLock { $0 += 1 }
                    return isOpen ? true : nil
                }
                if found == true, ContinuousClock.now - start < limit { woken.withLock { $0 += 1 } }
            }
        }
        // Each has looked under the lock and given it back only by going to sleep.
        let start = ContinuousClock.now
        while looks.withLock({ $0 }) < 4, ContinuousClock.now - start < limit { sched_yield() }
        isOpen.withLock { $0 = true }
        group.wait()
        #expect(woken.withLock { $0 } == 4)
    }

    /// Both sides change the value only from within a wait; were one such change silent, the other side would sleep.
    @Test func aChangeMadeByOneWhoWaitedWakesTheOther() {
        let turn = Monitor(0)
        let limit = limit
        let completed = Lock(0)
        DispatchQueue.concurrentPerform(iterations: 2) { side in
            for _ in 0..<500 {
                let mine: Bool? = turn.wait(atMost: limit) { turn in
                    guard turn % 2 == side else { return nil }
                    turn += 1
                    return true
                }
                guard mine == true else { return }
            }
            completed.withLock { $0 += 1 }
        }
        #expect(completed.withLock { $0 } == 2)
        #expect(turn.withLock { $0 } == 1000)
    }

    @Test func theTimeLimitEndsTheWait() {
        let monitor = Monitor(0)
        let clock = ContinuousClock()
        var looks = 0
        let duration = clock.measure {
            let found: Int? = monitor.wait(atMost: .milliseconds(50)) { _ in
                looks += 1
                return nil
            }
            #expect(found == nil)
        }
        // Not before its time; how long after is the scheduler's business. It slept instead of asking again and again.
        #expect(duration >= .milliseconds(50), "\(duration)")
        #expect(looks >= 2 && looks < 20, "looked \(looks) times")
    }

    @Test func anEndlessWaitDoesNotOverflow() {
        let monitor = Monitor(1)
        let found: Int? = monitor.wait(atMost: .seconds(Int64.max)) { $0 }
        #expect(found == 1)
    }

    @Test func anErrorPassesThroughAndUnlocks() {
        struct Refused: Error, Equatable {}
        let monitor = Monitor(1)
        #expect(throws: Refused()) {
            try monitor.withLock { _ throws(Refused) in throw Refused() }
        }
        #expect(monitor.withLock { $0 } == 1)
    }
}
