import AnomalyScoring
import ConvNets
import Foundation
import Imaging

/// The scalars and names of a model file, as JSON in the file's metadata.
///
/// The keys are written here and not derived from `AnomalyModel`, so that a rename in the program does not change files.
/// Version 1 knew PUAD alone. What version 2 added is optional and has PUAD's meaning where it is absent; a model that
/// needs none of it is still written as version 1, so that it stays the same file.
struct ModelManifest: Codable {
    static let format = "beltwatch-model"
    static let currentVersion = 2

    /// What is read first: another version may have any other content.
    struct Version: Codable {
        var format: String
        var version: Int
    }

    struct Region: Codable {
        var x: Int
        var y: Int
        var width: Int
        var height: Int
    }

    struct Statistics: Codable {
        var mean: Double
        var deviation: Double
    }

    struct Threshold: Codable {
        var value: Double
        var calibrationCount: Int
        var falseRejectBudget: Double

        enum CodingKeys: String, CodingKey {
            case value
            case calibrationCount = "calibration_count"
            case falseRejectBudget = "false_reject_budget"
        }
    }

    struct Training: Codable {
        var dataDigest: String
        var trainingImageCount: Int
        var validationImageCount: Int
        var seed: UInt64
        var iterations: Int
        var finalLoss: Double
        var differenceWeight: Float?
        var separationMargin: Float?
        var separationMask: FeatureSeparationConstraint.Mask?
        var studentMomentum: Float?
        var penaltyImageCount: Int?

        enum CodingKeys: String, CodingKey {
            case dataDigest = "data_sha256"
            case trainingImageCount = "training_images"
            case validationImageCount = "validation_images"
            case seed
            case iterations
            case finalLoss = "final_loss"
            case differenceWeight = "difference_weight"
            case separationMargin = "separation_margin"
            case separationMask = "separation_mask"
            case studentMomentum = "student_momentum"
            case penaltyImageCount = "penalty_images"
        }
    }

    var format = Self.format
    var version = Self.currentVersion
    var method: AnomalyScoring.Method
    var size: NetworkSize
    var precision: WeightPrecision
    var featureSource: FeatureSource
    var region: Region?
    var padMaps: Bool

    /// Since version 2.
    var logisticMaps: Bool?
    var scoreResolution: Int
    var shrinkage: Double
    var picturable: Statistics
    var unpicturable: Statistics

    /// Since version 2.
    var fusionRule: FusionRule?
    var threshold: Threshold
    var teacherProvenance: String
    var training: Training

    /// SHA-256 over the file's data section, hexadecimal.
    var dataDigest: String

    enum CodingKeys: String, CodingKey {
        case format, version, method, size, precision, region, shrinkage, picturable, unpicturable, threshold, training
        case featureSource = "feature_source"
        case padMaps = "pad_maps"
        case logisticMaps = "logistic_maps"
        case fusionRule = "fusion_rule"
        case scoreResolution = "score_resolution"
        case teacherProvenance = "teacher_provenance"
        case dataDigest = "data_sha256"
    }
}

extension ModelManifest {
    init(of model: AnomalyModel, dataDigest: String) {
        method = model.method
        size = model.size
        precision = model.precision
        featureSource = model.featureSource
        region = model.preprocessing.region.map { Region(x: $0.x, y: $0.y, width: $0.width, height: $0.height) }
        padMaps = model.mapOptions.padMaps
        logisticMaps = model.mapOptions.logistic ? true : nil
        scoreResolution = model.mapOptions.scoreResolution
        shrinkage = model.featureGaussian.shrinkage
        picturable = Statistics(mean: model.fusion.picturable.mean, deviation: model.fusion.picturable.deviation)
        unpicturable = Statistics(mean: model.fusion.unpicturable.mean, deviation: model.fusion.unpicturable.deviation)
        fusionRule = model.fusion.rule == .sum ? nil : model.fusion.rule
        threshold = Threshold(
            value: model.fusion.threshold.value, calibrationCount: model.fusion.threshold.calibrationCount,
            falseRejectBudget: model.fusion.threshold.falseRejectBudget)
        teacherProvenance = model.teacherProvenance
        let record = model.trainingRecord
        training = Training(
            dataDigest: record.dataDigest, trainingImageCount: record.trainingImageCount,
            validationImageCount: record.validationImageCount, seed: record.seed, iterations: record.iterations,
            finalLoss: record.finalLoss, differenceWeight: record.recipe.differenceWeight,
            separationMargin: record.recipe.separationMargin, separationMask: record.recipe.separationMask,
            studentMomentum: record.recipe.studentMomentum, penaltyImageCount: record.recipe.penaltyImageCount)
        self.dataDigest = dataDigest
        let isPlainPUAD =
            model.method == .puad && model.featureSource == .studentFormerHalf && logisticMaps == nil
            && fusionRule == nil && record.recipe == TrainingRecipe()
        version = isPlainPUAD ? 1 : Self.currentVersion
    }

    var preprocessing: Preprocessing {
        Preprocessing(
            region: region.map { RegionOfInterest(x: $0.x, y: $0.y, width: $0.width, height: $0.height) })
    }

    var mapOptions: MapOptions {
        var options = MapOptions()
        options.padMaps = padMaps
        options.scoreResolution = scoreResolution
        options.logistic = logisticMaps ?? false
        return options
    }

    var fusion: ScoreFusion {
        ScoreFusion(
            picturable: ZStatistics(mean: picturable.mean, deviation: picturable.deviation),
            unpicturable: ZStatistics(mean: unpicturable.mean, deviation: unpicturable.deviation),
            rule: fusionRule ?? .sum,
            threshold: DecisionThreshold(
                value: threshold.value, calibrationCount: threshold.calibrationCount,
                falseRejectBudget: threshold.falseRejectBudget))
    }

    var trainingRecord: TrainingRecord {
        var recipe = TrainingRecipe()
        recipe.differenceWeight = training.differenceWeight
        recipe.separationMargin = training.separationMargin
        recipe.separationMask = training.separationMask
        recipe.studentMomentum = training.studentMomentum
        recipe.penaltyImageCount = training.penaltyImageCount
        return TrainingRecord(
            dataDigest: training.dataDigest, trainingImageCount: training.trainingImageCount,
            validationImageCount: training.validationImageCount, seed: training.seed, iterations: training.iterations,
            finalLoss: training.finalLoss, recipe: recipe)
    }

    // MARK: Text

    /// The same manifest always gives the same text.
    func text() throws(ModelCheck) -> String {
        do { return try CanonicalJSON.text(of: self) } catch { throw .manifest(reason: error.description) }
    }

    init(parsing text: String) throws(ModelCheck) {
        do {
            let version = try CanonicalJSON.value(Version.self, from: text)
            guard version.format == Self.format else {
                throw ModelCheck.manifest(reason: "its format is '\(version.format)' and not '\(Self.format)'")
            }
            guard (1...Self.currentVersion).contains(version.version) else {
                throw ModelCheck.version(found: version.version)
            }
            self = try CanonicalJSON.value(ModelManifest.self, from: text)
        } catch let check as ModelCheck {
            throw check
        } catch {
            throw .manifest(reason: "\(error)")
        }
    }
}
