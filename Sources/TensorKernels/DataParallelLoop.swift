import CKernels
import Dispatch
import Synchronization

/// Runs independent pieces of work on several threads and returns when all are done.
///
/// Each thread takes the next piece when it has finished one, so a thread that loses its core holds up one piece and
/// not half of the work. Which thread takes which piece is left open; results must not depend on it.
struct DataParallelLoop: Sendable {
    /// How many threads work at most, the caller included.
    let threads: Int

    /// Runs `body` once for every piece.
    ///
    /// - Parameter floatsPerThread: How many floats of scratch memory a thread needs. It keeps them from piece to piece,
    ///   starts on a cache line and finds them uninitialised.
    func run(
        pieces: Int, floatsPerThread: Int = 0,
        _ body: (_ piece: Int, _ scratch: UnsafeMutablePointer<Float>) -> Void
    ) {
        let cacheLine = 64
        let bytesPerThread = (floatsPerThread * MemoryLayout<Float>.stride / cacheLine + 1) * cacheLine
        let scratch = UnsafeMutableRawBufferPointer.allocate(
            byteCount: bytesPerThread * max(1, min(threads, pieces)), alignment: cacheLine)
        defer { scratch.deallocate() }
        guard let base = scratch.bindMemory(to: Float.self).baseAddress else { return }
        let floatStride = bytesPerThread / MemoryLayout<Float>.stride
        run(pieces: pieces) { piece, worker in body(piece, base + worker * floatStride) }
    }

    /// Runs `body` once for every piece, with the number of the thread that runs it, in `0..<threads`.
    func run(pieces: Int, _ body: (_ piece: Int, _ worker: Int) -> Void) {
        let workers = min(threads, pieces)
        guard workers > 1 else {
            flushingDenormals { for piece in 0..<pieces { body(piece, 0) } }
            return
        }
        let nextPiece = Atomic<Int>(0)
        func work(_ worker: Int) {
            flushingDenormals {
                while true {
                    let piece = nextPiece.add(1, ordering: .relaxed).oldValue
                    guard piece < pieces else { return }
                    body(piece, worker)
                }
            }
        }
        // Two programs that compute at the same time do not wait for each other.
        if WorkerTeam.shared.run(workers: workers, work) { return }
        withoutActuallyEscaping(work) { work in
            // Shared by the workers unchecked: a piece is run by one of them, and all have ended when
            // `concurrentPerform` returns.
            nonisolated(unsafe) let work = work
            DispatchQueue.concurrentPerform(iterations: workers) { work($0) }
        }
    }

    /// The threads belong to others, so the mode of their arithmetic is put back.
    private func flushingDenormals(_ body: () -> Void) {
        let state = beltwatch_flush_denormals()
        defer { beltwatch_restore_denormals(state) }
        body()
    }
}

/// Divides element-wise work among threads.
///
/// - Parameter body: Gets ranges that cover `0..<count` and do not overlap.
package func forEachRange(of count: Int, threads: Int, _ body: (Range<Int>) -> Void) {
    let length = 1 << 16
    DataParallelLoop(threads: threads).run(pieces: (count + length - 1) / length) { piece, _ in
        body(piece * length..<min((piece + 1) * length, count))
    }
}
