import CPeakLoop
import Dispatch

/// What the machine's arithmetic could do at most: multiply-adds in registers, on so many cores at once.
struct PeakMeter {
    /// The widest one that the CPU has.
    let instructionSet: String

    /// The best of several runs, in floating-point operations per second, a multiply-add being two.
    let flops: Double

    init(threads: Int) {
        let loop = beltwatch_best_peak_loop().pointee
        instructionSet = String(cString: loop.instruction_set)
        let run = loop.run
        // Some 50 ms: a thread that was woken on the caller's core has moved to its own long before.
        let rounds = 1 << 25
        let clock = ContinuousClock()
        let shortest = (0..<10).map { _ in
            clock.measure {
                DispatchQueue.concurrentPerform(iterations: threads) { _ in
                    guard run?(rounds).isFinite == true else { preconditionFailure("the peak loop left its bounds") }
                }
            }
        }.min()
        flops = Double(threads * rounds * loop.flops_per_round) / (shortest?.seconds ?? .infinity)
    }
}
