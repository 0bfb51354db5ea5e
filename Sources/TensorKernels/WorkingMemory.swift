import CKernels
import Glibc
import Locking

/// Keeps memory that was freed for the next allocation, instead of giving it back to the system.
///
/// A training step allocates and frees the same tensors again and again, and the system clears every page that it hands
/// out: a twentieth of the time of a step. For programs that train, once, at their start.
public func keepFreedMemory() {
    beltwatch_keep_freed_memory()
}

/// Memory for intermediate results that is kept from call to call.
///
/// Fresh pages cost more than the arithmetic on them: the kernel clears each one when it is first touched. Concurrent
/// callers get regions of their own.
final class WorkingMemory: Sendable {
    /// A region that nobody uses, or one that exactly one caller uses.
    private struct Region: @unchecked Sendable {
        // Sendable because a region is either in the list of unused ones, under the lock, or in the hands of one caller.
        let base: UnsafeMutablePointer<Float>
        let count: Int

        init(count: Int, isCleared: Bool) {
            // Large pages, where the system grants them: the transforms write to 64 far places in turn.
            let pageSize = 2 << 20
            let bytes = (count * MemoryLayout<Float>.stride + pageSize - 1) / pageSize * pageSize
            let raw = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: pageSize)
            madvise(raw, bytes, MADV_HUGEPAGE)
            self.count = bytes / MemoryLayout<Float>.stride
            base = raw.bindMemory(to: Float.self, capacity: self.count)
            if isCleared { base.initialize(repeating: 0, count: self.count) }
        }

        func free() { base.deallocate() }
    }

    private let unused = Lock<[Region]>([])
    private let isCleared: Bool

    /// - Parameter isCleared: Whether a region is zero when it is lent for the first time.
    init(isCleared: Bool = false) { self.isCleared = isCleared }

    deinit {
        unused.withLock { regions in
            for region in regions { region.free() }
        }
    }

    /// Lends `count` floats, aligned to a cache line: uninitialised, or as an earlier caller left them.
    func withFloats<Result>(_ count: Int, _ body: (UnsafeMutablePointer<Float>) -> Result) -> Result {
        var region = unused.withLock { $0.popLast() }
        if let small = region, small.count < count {
            small.free()
            region = nil
        }
        let lent = region ?? Region(count: count, isCleared: isCleared)
        defer { unused.withLock { $0.append(lent) } }
        return body(lent.base)
    }
}
