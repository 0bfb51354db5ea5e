/// A fixed sequence of phases in memory of its own: the whole forward pass of a frame, with nothing left to allocate.
package final class InferenceProgram: Sendable {
    private let phases: [(name: String, phase: any WorkPhase)]
    private let sharedCount: Int
    private let scratchCount: Int
    private let loop: DataParallelLoop

    /// Cleared once: what no phase ever writes, such as the zeros around an image, stays zero.
    private let memory = WorkingMemory(isCleared: true)

    /// - Parameters:
    ///   - plan: The one that every phase reserved its memory in.
    ///   - threads: How many threads compute at once, the caller included; at least 1.
    package init(_ phases: [(name: String, phase: any WorkPhase)], plan: MemoryPlan, threads: Int) {
        self.phases = phases
        sharedCount = plan.count
        // A cache line and more between the threads.
        scratchCount = ((phases.map(\.phase.scratchCount).max() ?? 0) / 16 + 2) * 16
        loop = DataParallelLoop(threads: threads)
    }

    /// The memory of one frame in flight, in bytes.
    package var memoryBytes: Int { (sharedCount + loop.threads * scratchCount) * MemoryLayout<Float>.stride }

    /// Runs all phases; concurrent calls get memory of their own.
    ///
    /// - Parameters:
    ///   - prepare: Writes the input.
    ///   - finished: Called after every phase with its name, for measurements.
    ///   - collect: Reads the results.
    package func run<Result>(
        prepare: (UnsafeMutablePointer<Float>) -> Void, finished: (String) -> Void = { _ in },
        collect: (UnsafePointer<Float>) -> Result
    ) -> Result {
        memory.withFloats(sharedCount + loop.threads * scratchCount) { base in
            prepare(base)
            for (name, phase) in phases {
                loop.run(pieces: phase.pieces) { piece, worker in
                    phase.run(
                        piece: piece,
                        in: ProgramMemory(shared: base, scratch: base + (sharedCount + worker * scratchCount)))
                }
                finished(name)
            }
            return collect(UnsafePointer(base))
        }
    }
}
