import Dispatch
import Glibc
import Locking
import Testing

@Suite struct LockTests {
    /// Yields between reading and writing, so that without the lock the others' counts would be overwritten.
    @Test func onlyOneThreadAtATimeSeesTheValue() {
        let count = Lock(0)
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

    @Test func anErrorPassesThroughAndUnlocks() {
        struct Refused: Error, Equatable {}
        let lock = Lock(1)
        #expect(throws: Refused()) {
            try lock.withLock { value throws(Refused) in
                value = 2
                throw Refused()
            }
        }
        #expect(lock.withLock { $0 } == 2)
    }

    @Test func theValueLivesAsLongAsTheLock() {
        final class Token: Sendable {}
        weak var token: Token?
        do {
            let lock = Lock(Token())
            token = lock.withLock { $0 }
            #expect(token != nil)
        }
        #expect(token == nil)
    }
}
