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
        let workers = min(threads, pieces)
        guard workers > 0 else { return }
        let cacheLine = 64
        let bytesPerThread = (floatsPerThread * MemoryLayout<Float>.stride / cacheLine + 1) * cacheLine
        let scratch = UnsafeMutableRawBufferPointer.allocate(
            byteCount: bytesPerThread * workers, alignment: cacheLine)
        defer { scratch.deallocate() }
        guard let base = scratch.bindMemory(to: Float.self).baseAddress else { return }
        let floatStride = bytesPerThread / MemoryLayout<Float>.stride

        if workers == 1 {
            for piece in 0..<pieces { body(piece, base) }
            return
        }
        let nextPiece = Atomic<Int>(0)
        withoutActuallyEscaping(body) { body in
            // Shared by the workers unchecked: a piece is run by one of them, each has scratch memory of its own, and
            // all have ended when `concurrentPerform` returns.
            nonisolated(unsafe) let body = body
            nonisolated(unsafe) let base = base
            DispatchQueue.concurrentPerform(iterations: workers) { worker in
                while true {
                    let piece = nextPiece.add(1, ordering: .relaxed).oldValue
                    guard piece < pieces else { return }
                    body(piece, base + worker * floatStride)
                }
            }
        }
    }
}
