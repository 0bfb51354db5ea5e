import ConvNets
import Imaging

/// Everything that turns a picture of a part into a verdict, as plain values: what a model file holds.
///
/// Self-contained: the teacher is part of it, so a model scores the same on every box.
public struct AnomalyModel: Sendable, Equatable {
    public var method: Method
    public var size: NetworkSize

    /// Frozen teacher, 384 output channels (ALGORITHMS §2.1, §2.2).
    public var teacher: ParameterSet

    /// Student, 768 output channels: the former half follows the teacher, the latter half the autoencoder.
    public var student: ParameterSet
    public var autoencoder: ParameterSet

    /// LA-EAD's context extractor where the pooled features come from it, else nil (ALGORITHMS §2.5).
    public var extractor: ParameterSet?

    public var teacherStatistics: ChannelStatistics
    public var mapOptions: MapOptions
    public var mapQuantiles: MapQuantiles
    public var featureSource: FeatureSource

    /// Where the pooled features of good parts lie (ALGORITHMS §4.2).
    public var featureGaussian: FeatureGaussian
    public var fusion: ScoreFusion
    public var preprocessing: Preprocessing
    public var precision: WeightPrecision

    /// Who made the teacher and under which terms, for the model card.
    public var teacherProvenance: String
    public var trainingRecord: TrainingRecord
    public var selfTest: SelfTest

    public init(
        method: Method, size: NetworkSize, teacher: ParameterSet, student: ParameterSet, autoencoder: ParameterSet,
        extractor: ParameterSet? = nil, teacherStatistics: ChannelStatistics, mapOptions: MapOptions,
        mapQuantiles: MapQuantiles, featureSource: FeatureSource, featureGaussian: FeatureGaussian, fusion: ScoreFusion,
        preprocessing: Preprocessing, precision: WeightPrecision, teacherProvenance: String,
        trainingRecord: TrainingRecord, selfTest: SelfTest
    ) {
        self.method = method
        self.size = size
        self.teacher = teacher
        self.student = student
        self.autoencoder = autoencoder
        self.extractor = extractor
        self.teacherStatistics = teacherStatistics
        self.mapOptions = mapOptions
        self.mapQuantiles = mapQuantiles
        self.featureSource = featureSource
        self.featureGaussian = featureGaussian
        self.fusion = fusion
        self.preprocessing = preprocessing
        self.precision = precision
        self.teacherProvenance = teacherProvenance
        self.trainingRecord = trainingRecord
        self.selfTest = selfTest
    }
}

/// How a model was trained and scores; the raw values are names on the command line and in files.
public enum Method: String, Codable, Sendable, CaseIterable {
    /// The anomaly map alone (arXiv 2303.14535).
    case efficientAD = "efficient-ad"

    /// EfficientAD's networks; picturable and unpicturable score, z-scored and summed (arXiv 2402.15143).
    case puad

    /// An autoencoder that keeps its distance from the teacher, maps from 0 to 1, a smoothed student; the map alone
    /// (arXiv 2407.17909).
    case dfsc

    /// PUAD with the features of a context extractor, and a student as far from the teacher as the autoencoder (Sensors
    /// 2025, 25, 5016).
    case laEAD = "la-ead"
}

extension Method {
    /// Which autoencoder the method trains and scores with.
    public var autoencoderDesign: Autoencoder.Design {
        switch self {
        case .efficientAD, .puad, .laEAD: .plain
        case .dfsc: .instanceNormalised
        }
    }

    /// What the published method makes of both scores (ALGORITHMS §4).
    public var fusionRule: FusionRule {
        switch self {
        case .efficientAD, .dfsc: .picturableAlone
        case .puad, .laEAD: .sum
        }
    }

    /// How the published method makes pictures of its maps.
    public var mapOptions: MapOptions {
        var options = MapOptions()
        options.logistic = self == .dfsc
        return options
    }

    /// What the published method takes the pooled features from.
    ///
    /// Where the map decides alone they are measured all the same, which costs next to nothing: an evaluation can show
    /// what they would have said.
    public var featureSource: FeatureSource { self == .laEAD ? .contextExtractor : .studentFormerHalf }
}

/// Which patch description network the teacher and the student are.
public typealias NetworkSize = PatchDescriptionNetwork.Size

/// What the pooled features of the unpicturable score are taken from (ALGORITHMS §4.2, S2 Table 1).
public enum FeatureSource: String, Codable, Sendable, CaseIterable {
    /// Channels 0..<384 of the student, which imitate the teacher.
    case studentFormerHalf = "student"

    /// The teacher's normalised output.
    case teacher

    /// LA-EAD's context extractor (ALGORITHMS §4.3).
    case contextExtractor = "extractor"
}

/// In which precision the network weights are stored.
///
/// Weights are rounded before anything is measured with them, so a saved model scores exactly as it was calibrated.
public enum WeightPrecision: String, Codable, Sendable, CaseIterable {
    case float32 = "f32"
    case float16 = "f16"
}

/// μ_c and σ_c of the teacher's output over all positions of all training images (ALGORITHMS §1.3).
public struct ChannelStatistics: Hashable, Sendable {
    /// One mean per channel.
    public var mean: [Float]

    /// One population standard deviation per channel; 0 marks a dead channel, whose normalised value is always 0.
    public var deviation: [Float]

    public init(mean: [Float], deviation: [Float]) {
        self.mean = mean
        self.deviation = deviation
    }
}

/// How the 56×56 maps become the canonical map (ALGORITHMS §1.6, D4).
public struct MapOptions: Hashable, Sendable, Codable {
    /// Zero-pads the 56×56 map by 4 on each side, which puts its cells where their receptive fields are.
    public var padMaps = true

    /// Side of the square map whose maximum is the picturable score, in pixels.
    public var scoreResolution = 256

    /// Brings each normalised map to 0…1 by the logistic function before they are combined, as DFSC does: a very low value
    /// of one then cannot make up for a high one of the other (ALGORITHMS §4.1, D19).
    public var logistic = false

    public init() {}
}

/// q_a = quantile 0.9 and q_b = quantile 0.995 of each map over all validation pixels (ALGORITHMS §4.1).
public struct MapQuantiles: Hashable, Sendable, Codable {
    public struct Range: Hashable, Sendable, Codable {
        /// q_a, which becomes 0.
        public var lower: Double

        /// q_b, which becomes 0.1.
        public var upper: Double

        public init(lower: Double, upper: Double) {
            self.lower = lower
            self.upper = upper
        }
    }

    public var studentTeacher: Range
    public var autoencoderStudent: Range

    public init(studentTeacher: Range, autoencoderStudent: Range) {
        self.studentTeacher = studentTeacher
        self.autoencoderStudent = autoencoderStudent
    }
}

/// How a model came to be, for people and for audits.
public struct TrainingRecord: Hashable, Sendable, Codable {
    /// SHA-256 over the training pixels in order, hexadecimal.
    public var dataDigest: String
    public var trainingImageCount: Int
    public var validationImageCount: Int
    public var seed: UInt64
    public var iterations: Int

    /// Mean of the total loss over the last 100 iterations, or fewer where there were fewer.
    public var finalLoss: Double

    public var recipe: TrainingRecipe

    public init(
        dataDigest: String, trainingImageCount: Int, validationImageCount: Int, seed: UInt64, iterations: Int,
        finalLoss: Double, recipe: TrainingRecipe = TrainingRecipe()
    ) {
        self.dataDigest = dataDigest
        self.trainingImageCount = trainingImageCount
        self.validationImageCount = validationImageCount
        self.seed = seed
        self.iterations = iterations
        self.finalLoss = finalLoss
        self.recipe = recipe
    }
}

/// What the training did beside EfficientAD's losses; nil where it did no such thing.
public struct TrainingRecipe: Hashable, Sendable, Codable {
    /// α, the weight of LA-EAD's reconstruction difference constraint.
    public var differenceWeight: Float?

    /// m of DFSC's feature separation constraint.
    public var separationMargin: Float?
    public var separationMask: FeatureSeparationConstraint.Mask?

    /// μ, where the student is the moving average of the weights that were trained.
    public var studentMomentum: Float?

    /// How many pictures of other things the student was punished for describing.
    public var penaltyImageCount: Int?

    public init() {}
}

/// A picture with the scores that this model gave it when it was saved; loading repeats the measurement.
public struct SelfTest: Hashable, Sendable {
    public var image: ModelImage
    public var picturableZ: Double
    public var unpicturableZ: Double

    public init(image: ModelImage, picturableZ: Double, unpicturableZ: Double) {
        self.image = image
        self.picturableZ = picturableZ
        self.unpicturableZ = unpicturableZ
    }
}
