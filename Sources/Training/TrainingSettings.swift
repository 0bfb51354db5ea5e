import AnomalyScoring

/// What a training run can be told.
public struct TrainingSettings: Hashable, Sendable, Codable {
    public var objective = Objective.efficientAD

    /// Which student; the teacher has to fit.
    public var size = NetworkSize.small

    /// How many times a picture is looked at and the weights moved; the papers use 70,000.
    public var iterations = 70_000

    /// Start of every random draw: same data, seed, machine and thread count give the same model.
    public var seed: UInt64 = 42

    /// Size of the first step towards less loss (ALGORITHMS §3.2).
    public var learningRate: Float = 1e-4

    /// Pull of every weight towards zero, in the way of the objective's optimiser (ALGORITHMS §3.2).
    public var weightDecay: Float = 1e-5

    /// Bytes that the teacher's features of the training pictures may take.
    ///
    /// More saves time (4.8 MB per picture), less saves memory; the result is the same.
    public var featureCacheCapacity = 4 << 30

    public init() {}
}
