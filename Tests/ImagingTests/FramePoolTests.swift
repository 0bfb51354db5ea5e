import Dispatch
import Imaging
import Locking
import Testing

@Suite struct FramePoolTests {
    private func address(of buffer: PixelBuffer) -> UInt {
        let frame = Frame(
            number: 0, width: buffer.count / 3, height: 1, capturedAt: MonotonicInstant(nanoseconds: 0), pixels: buffer)
        return frame.withPixels { $0.withUnsafeBufferPointer { UInt(bitPattern: $0.baseAddress) } }
    }

    @Test func noMoreFramesThanTokensAreInTheSystem() {
        let pool = FramePool(capacity: 3)
        var frames = (0..<3).map { _ in pool.makeBuffer(count: 12) { _ in } }
        #expect(frames.allSatisfy { $0 != nil } && pool.inUse == 3)
        #expect(pool.makeBuffer(count: 12) { _ in } == nil)
        frames.removeLast()
        #expect(pool.inUse == 2)
        frames.append(pool.makeBuffer(count: 12) { _ in })
        #expect(frames[2] != nil && pool.inUse == 3)
    }

    @Test func theLastReaderGivesTheTokenBack() {
        let pool = FramePool(capacity: 1)
        var frame = pool.makeBuffer(count: 12) { _ in }.map { buffer in
            Frame(number: 0, width: 4, height: 1, capturedAt: MonotonicInstant(nanoseconds: 0), pixels: buffer)
        }
        var copy = frame
        #expect(frame != nil && copy != nil)
        frame = nil
        #expect(pool.inUse == 1)
        copy = nil
        #expect(pool.inUse == 0)
    }

    @Test func bytesAreUsedAgainAndNeverShowTheLastFrame() throws {
        let pool = FramePool(capacity: 1)
        var first = pool.makeBuffer(count: 12) { span in for i in 0..<12 { span[i] = 7 } }
        let firstAddress = try address(of: #require(first))
        first = nil
        let second = try #require(pool.makeBuffer(count: 12) { span in span[0] = 1 })
        #expect(address(of: second) == firstAddress)
        let frame = Frame(
            number: 1, width: 4, height: 1, capturedAt: MonotonicInstant(nanoseconds: 0), pixels: second)
        #expect(frame.bytes == [1] + Array(repeating: 0, count: 11))
    }

    @Test func framesMayChangeTheirSize() throws {
        let pool = FramePool(capacity: 2)
        for count in [12, 30, 30, 6, 12] {
            let buffer = try #require(pool.makeBuffer(count: count) { span in span[count - 1] = 9 })
            #expect(buffer.count == count && pool.inUse == 1)
        }
        #expect(pool.inUse == 0)
    }

    @Test func aFrameOutlivesTheNameOfItsPool() throws {
        var pool: FramePool? = FramePool(capacity: 1)
        let buffer = try #require(pool?.makeBuffer(count: 3) { span in span[2] = 5 })
        pool = nil
        let frame = Frame(number: 0, width: 1, height: 1, capturedAt: MonotonicInstant(nanoseconds: 0), pixels: buffer)
        #expect(frame.bytes == [0, 0, 5])
    }

    @Test func waitingEndsWhenATokenComesBackOrTheTimeIsUp() {
        let pool = FramePool(capacity: 1)
        #expect(pool.waitForToken(timeout: .zero))
        let held = Lock(pool.makeBuffer(count: 3) { _ in })
        #expect(!pool.waitForToken(timeout: .milliseconds(5)))
        DispatchQueue.global().async { held.withLock { $0 = nil } }
        #expect(pool.waitForToken(timeout: .seconds(10)))
    }

    @Test func theBoundHoldsUnderContention() {
        let pool = FramePool(capacity: 3)
        let peak = Lock(0)
        DispatchQueue.concurrentPerform(iterations: 8) { worker in
            for round in 0..<500 {
                let buffer = pool.makeBuffer(count: 3 * (1 + (worker + round) % 2)) { span in
                    span[0] = UInt8(worker)
                }
                let inUse = pool.inUse
                peak.withLock { $0 = max($0, inUse) }
                _ = consume buffer
            }
        }
        #expect(peak.withLock { $0 } <= 3)
        #expect(pool.inUse == 0)
    }
}
