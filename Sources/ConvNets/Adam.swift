import TensorKernels

/// Adam (Kingma & Ba 2015, Algorithm 1, arXiv:1412.6980) and AdamW (Loshchilov & Hutter 2019, Algorithm 2,
/// arXiv:1711.05101), as PyTorch computes them.
///
/// `m ← β₁·m + (1 − β₁)·g`, `v ← β₂·v + (1 − β₂)·g²`, `θ ← θ − η·(m / (1 − β₁ᵗ)) / (√(v / (1 − β₂ᵗ)) + ε)`, where Adam
/// begins with `g ← g + λ·θ` and AdamW with `θ ← θ·(1 − η·λ)`.
///
/// The moments and the step count are its whole state: saved and restored, it goes on where it was.
public struct Adam: Sendable {
    /// How the optimiser moves, apart from the learning rate (ALGORITHMS §3.2).
    public struct Configuration: Hashable, Sendable, Codable {
        /// β₁, how much of the mean gradient stays from step to step, in `0..<1`.
        public var gradientDecay: Float = 0.9

        /// β₂, how much of the mean squared gradient stays, in `0..<1`.
        public var squaredGradientDecay: Float = 0.999

        /// ε, added to the root and not under it.
        public var epsilon: Float = 1e-8

        /// λ. Larger values keep the weights smaller.
        public var weightDecay: Float = 1e-5

        public var decay = Decay.regularisation

        public init() {}
    }

    /// How λ pulls at the weights.
    public enum Decay: String, Hashable, Sendable, Codable {
        /// Adam: λ·θ joins the gradient, and the moments scale it.
        case regularisation

        /// AdamW: past the moments, by η·λ of the weight.
        case decoupled
    }

    public var configuration: Configuration

    /// m, in the names and shapes of the parameters.
    public var firstMoments: ParameterSet

    /// v, in the names and shapes of the parameters.
    public var secondMoments: ParameterSet

    /// t, how many steps were taken.
    public var stepCount = 0

    /// - Parameter parameters: What will be optimised; only names and shapes matter here.
    public init(for parameters: ParameterSet, configuration: Configuration = Configuration()) {
        self.configuration = configuration
        firstMoments = parameters.zeros
        secondMoments = firstMoments
    }

    /// Moves `parameters` one step against `gradients`.
    ///
    /// - Parameters:
    ///   - learningRate: η.
    ///   - threads: How many threads compute at once; every number of them gives the same bits.
    /// - Precondition: Both have the names and shapes that the optimiser was made for.
    public mutating func step(
        _ parameters: inout ParameterSet, against gradients: ParameterSet, learningRate: Float, threads: Int = 1
    ) {
        precondition(
            parameters.hasShapes(of: firstMoments) && gradients.hasShapes(of: firstMoments),
            "the optimiser was made for other parameters")
        stepCount += 1
        let firstCorrection = 1 - power(Double(configuration.gradientDecay), stepCount)
        let secondCorrection = 1 - power(Double(configuration.squaredGradientDecay), stepCount)
        let stepSize = Float(Double(learningRate) / firstCorrection)
        let inverseRoot = Float(1 / secondCorrection.squareRoot())
        let (newShare, newSquareShare) = (1 - configuration.gradientDecay, 1 - configuration.squaredGradientDecay)
        let epsilon = configuration.epsilon
        let regularisation = configuration.decay == .regularisation ? configuration.weightDecay : 0
        let shrinkage = configuration.decay == .decoupled ? 1 - learningRate * configuration.weightDecay : 1
        for position in 0..<parameters.count {
            parameters[position].values.withUnsafeMutableBufferPointer { parameter in
                firstMoments[position].values.withUnsafeMutableBufferPointer { first in
                    secondMoments[position].values.withUnsafeMutableBufferPointer { second in
                        gradients[position].values.withUnsafeBufferPointer { gradient in
                            forEachRange(of: gradient.count, threads: threads) { range in
                                for index in range {
                                    let g = gradient[index] + regularisation * parameter[index]
                                    let m = first[index] + newShare * (g - first[index])
                                    let v = second[index] + newSquareShare * (g * g - second[index])
                                    first[index] = m
                                    second[index] = v
                                    let move = stepSize * m / (v.squareRoot() * inverseRoot + epsilon)
                                    parameter[index] = shrinkage * parameter[index] - move
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    /// `base` multiplied by itself `exponent` times, by squaring.
    private func power(_ base: Double, _ exponent: Int) -> Double {
        var (result, square, rest) = (1.0, base, exponent)
        while rest > 0 {
            if rest % 2 == 1 { result *= square }
            square *= square
            rest /= 2
        }
        return result
    }
}
