/// Work of an inference program that is cut into independent pieces.
///
/// A piece writes memory that no other piece of the phase reads or writes, so that the result does not depend on who
/// runs it and when.
package protocol WorkPhase: Sendable {
    var pieces: Int { get }

    /// How many floats of scratch memory a piece needs.
    var scratchCount: Int { get }

    func run(piece: Int, in memory: ProgramMemory)
}

/// What a piece of work may touch.
package struct ProgramMemory {
    /// Images and transformed tiles, at the offsets that `MemoryPlan` gave them.
    let shared: UnsafeMutablePointer<Float>

    /// The thread's own, starting on a cache line; holds whatever the last piece left there.
    let scratch: UnsafeMutablePointer<Float>
}

/// Hands out places in the memory of an inference program.
package struct MemoryPlan {
    /// The floats that all places need.
    private(set) var count = 0

    /// Where the next place begins.
    package private(set) var next = 0

    package init() {}

    /// - Returns: An offset in floats, on a cache line.
    mutating func reserve(_ floats: Int) -> Int {
        // A cache line more than whole lines: neighbours that start a power of two apart would share cache sets.
        let floatsPerCacheLine = 16
        let offset = next
        next += (floats / floatsPerCacheLine + 2) * floatsPerCacheLine
        count = max(count, next)
        return offset
    }

    /// Hands out again what lies behind a place, whose contents no phase needs any more when it is written anew.
    ///
    /// Only for what is written before it is read: such memory is not zero, as that of images with margins must be.
    package mutating func reuse(from place: Int) { next = place }
}

/// Several phases at once: all their pieces are independent.
///
/// Pieces start in order, so the longest ones belong first.
package struct ConcurrentPhases: WorkPhase {
    private let phases: [any WorkPhase]

    /// Number of the first piece of every phase.
    private let starts: [Int]
    package let pieces: Int

    package init(_ phases: [any WorkPhase]) {
        self.phases = phases
        var starts: [Int] = []
        var count = 0
        for phase in phases {
            starts.append(count)
            count += phase.pieces
        }
        self.starts = starts
        pieces = count
    }

    package var scratchCount: Int { phases.map(\.scratchCount).max() ?? 0 }

    package func run(piece: Int, in memory: ProgramMemory) {
        var number = phases.count - 1
        while starts[number] > piece { number -= 1 }
        phases[number].run(piece: piece - starts[number], in: memory)
    }
}

/// Phases one after the other as a single piece: for chains of layers too small to be worth dividing, which run beside
/// larger work.
package struct SerialPhases: WorkPhase {
    private let phases: [any WorkPhase]

    package init(_ phases: [any WorkPhase]) { self.phases = phases }

    package var pieces: Int { 1 }
    package var scratchCount: Int { phases.map(\.scratchCount).max() ?? 0 }

    package func run(piece: Int, in memory: ProgramMemory) {
        for phase in phases {
            for piece in 0..<phase.pieces { phase.run(piece: piece, in: memory) }
        }
    }
}
