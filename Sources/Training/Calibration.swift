import AnomalyScoring
import ConvNets
import Imaging
import TensorKernels

/// What good parts say about trained networks: everything that a model holds beside its weights.
///
/// The networks must be the ones that will be stored, rounded to the stored precision: a saved model then scores exactly
/// as it was calibrated.
public struct Calibration: Sendable {
    public let mapQuantiles: MapQuantiles
    public let gaussian: FeatureGaussian
    public let fusion: ScoreFusion
    public let selfTest: SelfTest

    /// How the held-out good parts score by the finished fusion, in their order.
    public let heldOutScores: [FusedScore]

    /// Measures the networks (ALGORITHMS §3.4, §4).
    ///
    /// Gaussian on the training pictures; map quantiles, z-statistics and threshold on the held-out ones, the threshold
    /// from cross-fitted scores.
    ///
    /// - Parameters:
    ///   - observer: The networks as they will be stored, computed as they will be.
    ///   - training: The pictures that trained the networks.
    ///   - heldOut: Good parts that trained nothing.
    ///   - rule: Which scores decide.
    ///   - falseRejectBudget: α of the threshold; nil takes the default for this number of parts.
    ///   - progress: Called after every picture; throwing ends the calibration.
    public init(
        of observer: any BranchObserver, training: [ModelImage], heldOut: [ModelImage], rule: FusionRule = .sum,
        falseRejectBudget: Double?, mapOptions: MapOptions = MapOptions(),
        progress: (_ done: Int) throws -> Void = { _ in }
    ) throws {
        guard heldOut.count >= HeldOutSplit.minimumHeldOutCount else {
            throw TrainingDataError.tooFewCalibrationPictures(
                found: heldOut.count, needed: HeldOutSplit.minimumHeldOutCount)
        }
        var features: [[Double]] = []
        for (done, image) in training.enumerated() {
            features.append(observer.observe(image.normalised()).pooledFeatures)
            try progress(done + 1)
        }
        gaussian = try FeatureGaussian(fitting: features)

        var observations: [BranchNetworks.Observation] = []
        for (done, image) in heldOut.enumerated() {
            observations.append(observer.observe(image.normalised()))
            try progress(training.count + done + 1)
        }
        mapQuantiles = try MapQuantiles(of: observations.map(\.maps))
        let (quantiles, fitted) = (mapQuantiles, gaussian)
        let scores = observations.map {
            RawScores($0, quantiles: quantiles, options: mapOptions, gaussian: fitted)
        }
        let (picturable, unpicturable) = (scores.map(\.picturable), scores.map(\.unpicturable))
        let budget = falseRejectBudget ?? DecisionThreshold.defaultBudget(calibrationCount: heldOut.count)
        let fusion = ScoreFusion(
            picturable: try ZStatistics(of: picturable, branch: .picturable),
            unpicturable: try ZStatistics(of: unpicturable, branch: .unpicturable), rule: rule,
            threshold: try .conformal(
                scores: crossFittedScores(picturable: picturable, unpicturable: unpicturable, rule: rule),
                falseRejectBudget: budget))
        self.fusion = fusion
        heldOutScores = try scores.map { try fusion.fuse($0) }
        selfTest = SelfTest(
            image: heldOut[0], picturableZ: heldOutScores[0].picturable.z,
            unpicturableZ: heldOutScores[0].unpicturable.z)
    }

    /// Measures μ_c and σ_c of a teacher's output over the training pictures (ALGORITHMS §1.3).
    ///
    /// - Parameter progress: Called after every picture; throwing ends the measurement.
    public static func teacherStatistics(
        of teacher: PatchDescriptionNetwork, over training: [ModelImage], on engine: any ConvolutionEngine,
        progress: (_ done: Int) throws -> Void = { _ in }
    ) throws -> ChannelStatistics {
        var accumulator = ChannelStatistics.Accumulator()
        for (done, image) in training.enumerated() {
            accumulator.add(teacher.forward(image.normalised(), on: engine))
            try progress(done + 1)
        }
        return try accumulator.statistics()
    }
}
