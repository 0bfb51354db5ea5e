import AnomalyScoring
import ConvNets
import Imaging
import TensorKernels
import Testing

@testable import Training

@Suite struct CalibrationTests {
    private let training = ModelImage.pictures(0..<10)
    private let heldOut = ModelImage.pictures(100..<107)

    private func networks() throws -> BranchNetworks {
        let state = try Narrow.state(settings: TrainingSettings())
        return BranchNetworks(
            teacher: try Narrow.teacher(over: training), student: state.student, autoencoder: state.autoencoder)
    }

    private func calibration(
        heldOut: [ModelImage]? = nil, budget: Double? = nil, progress: (Int) throws -> Void = { _ in }
    ) throws -> Calibration {
        try Calibration(
            of: LayerwiseObserver(networks(), on: Narrow.engine), training: training, heldOut: heldOut ?? self.heldOut,
            falseRejectBudget: budget, progress: progress)
    }

    @Test func fewerThanFiveHeldOutPicturesAreRefused() throws {
        for count in 0..<5 {
            #expect(throws: TrainingDataError.tooFewCalibrationPictures(found: count, needed: 5)) {
                try calibration(heldOut: Array(heldOut.prefix(count)))
            }
        }
        _ = try calibration(heldOut: Array(heldOut.prefix(5)))
    }

    /// Everything again, from single pictures and definitions.
    @Test func theThresholdIsTheLargestScoreOfPartsThatDidNotMeasureThemselves() throws {
        let networks = try networks()
        let calibration = try calibration()
        let gaussian = try FeatureGaussian(
            fitting: training.map { networks.observe($0.normalised(), on: Narrow.engine).pooledFeatures })
        #expect(calibration.gaussian == gaussian)
        let observations = heldOut.map { networks.observe($0.normalised(), on: Narrow.engine) }
        let quantiles = calibration.mapQuantiles
        let cells = observations.flatMap(\.maps.studentTeacher.values).sorted()
        // 7·56·56 cells: rank 0.9·21,951 = 19,755.9.
        let lower = Double(cells[19_755]) + 0.9 * (Double(cells[19_756]) - Double(cells[19_755]))
        #expect(abs(quantiles.studentTeacher.lower - lower) < 1e-9)

        let raw = observations.map {
            RawScores($0, quantiles: quantiles, options: MapOptions(), gaussian: gaussian)
        }
        // Part i is scored by the parts that are not in its fold, i mod 5.
        let scores = raw.indices.map { part in
            let others = raw.indices.filter { $0 % 5 != part % 5 }
            return z(raw[part].picturable, among: others.map { raw[$0].picturable })
                + z(raw[part].unpicturable, among: others.map { raw[$0].unpicturable })
        }
        // By default 7 parts promise 1/8, which is the largest score.
        let threshold = calibration.fusion.threshold
        #expect(abs(threshold.value - (scores.max() ?? 0)) < 1e-9)
        #expect(threshold.calibrationCount == 7 && threshold.falseRejectBudget == 1 / 8)

        for part in raw.indices {
            let expected =
                z(raw[part].picturable, among: raw.map(\.picturable))
                + z(raw[part].unpicturable, among: raw.map(\.unpicturable))
            #expect(abs(calibration.heldOutScores[part].value - expected) < 1e-9)
            #expect(calibration.heldOutScores[part] == (try calibration.fusion.fuse(raw[part])))
        }
    }

    @Test func aBudgetThatIsAskedForIsKept() throws {
        let asked = try calibration(budget: 0.5)
        #expect(asked.fusion.threshold.falseRejectBudget == 0.5)
        // k = ⌈8·0.5⌉: the fourth of seven.
        #expect(asked.fusion.threshold.value < (try calibration().fusion.threshold.value))
        #expect(throws: CalibrationError.budgetTooSmall(0.1, scoreCount: 7)) { try calibration(budget: 0.1) }
    }

    @Test(arguments: [(98, 1.0 / 99), (99, 0.01)])
    func fromNinetyNinePartsOnOnePercentIsPromised(count: Int, budget: Double) throws {
        let calibration = try calibration(heldOut: ModelImage.pictures(200..<(200 + UInt64(count))))
        #expect(calibration.fusion.threshold.falseRejectBudget == budget)
        #expect(calibration.fusion.threshold.calibrationCount == count)
    }

    @Test func theSelfTestIsTheFirstHeldOutPicture() throws {
        let calibration = try calibration()
        #expect(calibration.selfTest.image == heldOut[0])
        #expect(calibration.selfTest.picturableZ == calibration.heldOutScores[0].picturable.z)
        #expect(calibration.selfTest.unpicturableZ == calibration.heldOutScores[0].unpicturable.z)
    }

    @Test func everyPictureIsReportedAndTheReportMayEndIt() throws {
        struct Stopped: Error {}
        var reported: [Int] = []
        _ = try calibration { reported.append($0) }
        #expect(reported == Array(1...17))
        reported = []
        #expect(throws: Stopped.self) {
            try calibration { done in
                reported.append(done)
                if done == 12 { throw Stopped() }
            }
        }
        #expect(reported == Array(1...12))
    }

    @Test func divergedNetworksAreRefused() throws {
        var state = try Narrow.state(settings: TrainingSettings())
        state.autoencoder.parameters[0].values[0] = .nan
        let networks = BranchNetworks(
            teacher: try Narrow.teacher(over: training), student: state.student, autoencoder: state.autoencoder)
        #expect(throws: CalibrationError.notFinite("the autoencoder-student map")) {
            try Calibration(
                of: LayerwiseObserver(networks, on: Narrow.engine), training: training, heldOut: heldOut,
                falseRejectBudget: nil)
        }
    }

    @Test func equalPicturesSayNothingAboutOthers() throws {
        let networks = try networks()
        #expect(throws: CalibrationError.noFeatureSpread(pictureCount: 10)) {
            try Calibration(
                of: LayerwiseObserver(networks, on: Narrow.engine),
                training: Array(repeating: training[0], count: 10), heldOut: heldOut, falseRejectBudget: nil)
        }
        #expect(throws: CalibrationError.noSpread(.picturable, scoreCount: 7)) {
            try calibration(heldOut: Array(repeating: heldOut[0], count: 7))
        }
    }

    /// ALGORITHMS §1.3: over all positions of all pictures, with 1/n.
    @Test func theTeachersStatisticsAreThoseOfAllPositions() throws {
        let teacher = try Narrow.patchDescriptionNetwork(outputChannels: 8, seed: 3)
        let statistics = try Calibration.teacherStatistics(of: teacher, over: heldOut, on: Narrow.engine)
        let outputs = heldOut.map { teacher.forward($0.normalised(), on: Narrow.engine) }
        for channel in 0..<8 {
            let values = outputs.flatMap { $0.values[channel * 3136..<(channel + 1) * 3136].map(Double.init) }
            let mean = values.reduce(0, +) / Double(values.count)
            let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count)
            #expect(statistics.mean[channel] == Float(mean))
            #expect(abs(Double(statistics.deviation[channel]) - variance.squareRoot()) < 1e-6)
        }
    }

    private func z(_ score: Double, among scores: [Double]) -> Double {
        let mean = scores.reduce(0, +) / Double(scores.count)
        let variance = scores.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(scores.count)
        return (score - mean) / variance.squareRoot()
    }
}
