import Glibc

/// η over a training: a warm-up where there is one, the full rate, and a tenth of it for the end (ALGORITHMS §3.2).
public struct LearningRateSchedule: Hashable, Sendable, Codable {
    /// η between warm-up and drop.
    public var initialRate: Float = 1e-4

    /// How many steps the whole training has.
    public var iterations: Int

    /// The last one in this many steps is taken at a tenth of η: 20 for EfficientAD, 10 for DFSC.
    public var finalShare = 20

    /// Nil starts with the full rate.
    public var warmUp: UntunedWarmUp?

    public init(iterations: Int, initialRate: Float = 1e-4, finalShare: Int = 20, warmUp: UntunedWarmUp? = nil) {
        self.iterations = iterations
        self.initialRate = initialRate
        self.finalShare = finalShare
        self.warmUp = warmUp
    }

    /// The first iteration with the lower rate, `⌊iterations·(1 − 1/finalShare)⌋`.
    ///
    /// Written so that no number of iterations overflows.
    public var dropIteration: Int {
        let before = finalShare - 1
        return iterations / finalShare * before + iterations % finalShare * before / finalShare
    }

    /// - Parameter iteration: Counted from 0.
    public func rate(at iteration: Int) -> Float {
        let rate = iteration < dropIteration ? initialRate : initialRate * 0.1
        return warmUp.map { Float(Double(rate) * $0.factor(ofStep: iteration + 1)) } ?? rate
    }
}

/// The untuned exponential warm-up of Adam: `ω_t = 1 − exp(−(1 − β₂)·t)` (Ma & Yarats 2021, arXiv:1910.04209).
///
/// The rate grows while Adam's second moment fills up; nothing is left to tune but β₂ itself. With 0.997 the time constant
/// is 333 steps.
public struct UntunedWarmUp: Hashable, Sendable, Codable {
    /// β₂ of the optimiser, in `0..<1`.
    public var squaredGradientDecay: Double

    public init(squaredGradientDecay: Double) {
        self.squaredGradientDecay = squaredGradientDecay
    }

    /// ω_t, from 0 towards 1.
    ///
    /// - Parameter step: t, 1 for the first update.
    public func factor(ofStep step: Int) -> Double { -expm1(-(1 - squaredGradientDecay) * Double(step)) }
}
