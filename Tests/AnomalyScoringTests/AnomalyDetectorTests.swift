import ConvNets
import Imaging
import TensorKernels
import Testing

@testable import AnomalyScoring

@Suite struct AnomalyDetectorTests {
    private let engine = ReferenceConvolution(threads: 2)

    /// Every number from its definition, by the plainest loops.
    @Test(arguments: NetworkSize.allCases) func scoresAreWhatTheDefinitionSays(size: NetworkSize) throws {
        let model = AnomalyModel.narrow(size: size)
        let image = model.selfTest.image.normalised()
        let teacher = try PatchDescriptionNetwork(parameters: model.teacher, size: size).forward(image, on: engine)
        let student = try PatchDescriptionNetwork(parameters: model.student, size: size).forward(image, on: engine)
        let autoencoder = try Autoencoder(parameters: model.autoencoder).forward(image, on: engine)
        #expect(teacher.shape == [3, 56, 56] && student.shape == [6, 56, 56] && autoencoder.shape == [3, 56, 56])

        let plane = 56 * 56
        var combined = Tensor(shape: [1, 64, 64])
        for p in 0..<plane {
            var (first, second) = (0.0, 0.0)
            for c in 0..<3 {
                let mean = Double(model.teacherStatistics.mean[c])
                let deviation = Double(model.teacherStatistics.deviation[c])
                let normalised = (Double(teacher.values[c * plane + p]) - mean) / deviation
                let former = Double(student.values[c * plane + p])
                let latter = Double(student.values[(3 + c) * plane + p])
                let reconstructed = Double(autoencoder.values[c * plane + p])
                first += (normalised - former) * (normalised - former) / 3
                second += (reconstructed - latter) * (reconstructed - latter) / 3
            }
            let value = 0.5 * 0.1 * (first - 0.2) / 0.5 + 0.5 * 0.1 * (second - 0.1) / 0.3
            combined.values[(p / 56 + 4) * 64 + p % 56 + 4] = Float(value)
        }
        let map = BilinearResampling(
            channels: 1, inputHeight: 64, inputWidth: 64, outputHeight: 256, outputWidth: 256
        ).forward(combined)
        var squaredDistance = 0.0
        for c in 0..<3 {
            let mean = student.values[c * plane..<(c + 1) * plane].reduce(0) { $0 + Double($1) } / Double(plane)
            squaredDistance += (mean - 0.05) * (mean - 0.05) / 0.25
        }

        let raw = try AnomalyDetector(model: model, engine: engine).score(image)
        #expect(raw.map.shape == [1, 256, 256])
        #expect(zip(raw.map.values, map.values).allSatisfy { abs($0 - $1) < 1e-5 * max(1, abs($1)) })
        #expect(raw.picturable == Double(raw.map.values.max() ?? .nan))
        #expect(abs(raw.unpicturable - squaredDistance.squareRoot()) < 1e-9)
    }

    @Test func theSamePictureScoresTheSameTwice() throws {
        let model = AnomalyModel.narrow()
        let detector = try AnomalyDetector(model: model, engine: engine)
        let image = model.selfTest.image.normalised()
        let (first, second) = (detector.score(image), detector.score(image))
        #expect(first.picturable == second.picturable && first.unpicturable == second.unpicturable)
        #expect(first.map == second.map)
    }

    @Test func theSelfTestPassesForTheScoresOfTheModelAndForNoOthers() throws {
        var model = AnomalyModel.narrow()
        let raw = try AnomalyDetector(model: model, engine: engine).score(model.selfTest.image.normalised())
        let fused = try model.fusion.fuse(raw)
        model.selfTest.picturableZ = fused.picturable.z + 0.9e-3
        model.selfTest.unpicturableZ = fused.unpicturable.z - 0.9e-3
        try AnomalyDetector(model: model, engine: engine).runSelfTest()

        model.selfTest.unpicturableZ = fused.unpicturable.z - 1.1e-3
        let detector = try AnomalyDetector(model: model, engine: engine)
        #expect(
            throws: SelfTestError(
                branch: .unpicturable, measured: fused.unpicturable.z, expected: model.selfTest.unpicturableZ)
        ) { try detector.runSelfTest() }

        model.selfTest.picturableZ = .nan
        model.selfTest.unpicturableZ = fused.unpicturable.z
        let unknown = try AnomalyDetector(model: model, engine: engine)
        #expect(throws: SelfTestError.self) { try unknown.runSelfTest() }
    }

    /// Damaged weights must not hide: the maximum of a map passes over a NaN unless it is told not to.
    @Test(arguments: ["teacher", "student", "autoencoder"])
    func notANumberInAnyNetworkEndsInAnError(network: String) throws {
        var model = AnomalyModel.narrow()
        switch network {
        case "teacher": model.teacher[6].values[0] = .nan
        case "student": model.student[6].values[0] = .nan
        default: model.autoencoder[26].values[0] = .nan
        }
        let raw = try AnomalyDetector(model: model, engine: engine).score(model.selfTest.image.normalised())
        #expect(raw.picturable.isNaN)
        #expect(throws: ScoringError.notFinite(.picturable)) { try model.fusion.fuse(raw) }
    }

    @Test func weightsOfAnotherArchitectureAreRefused() {
        var model = AnomalyModel.narrow()
        model.student = model.autoencoder
        #expect(throws: NetworkError.self) { try AnomalyDetector(model: model, engine: engine) }
    }

    /// ALGORITHMS §9.12 (7): the stride of the map is four pixels.
    @Test func aDefectThatMovesFourPixelsMovesItsPeakByOneCell() throws {
        let model = AnomalyModel.narrow()
        let teacher = try NormalisedTeacher(
            network: PatchDescriptionNetwork(parameters: model.teacher), statistics: model.teacherStatistics)
        let student = try PatchDescriptionNetwork(parameters: model.student)
        func peak(x: Int, y: Int) -> Int? {
            var image = Tensor(shape: [3, 256, 256])
            for channel in 0..<3 { image.values[(channel * 256 + y) * 256 + x] = 3 }
            let map = meanSquaredDifferenceMap(
                teacher.features(of: image, on: engine), student.forward(image, channels: 0..<3, on: engine))
            return map.values.indices.max { map.values[$0] < map.values[$1] }
        }
        let start = try #require(peak(x: 120, y: 100))
        #expect(peak(x: 124, y: 100) == start + 1)
        #expect(peak(x: 120, y: 104) == start + 56)
        // A cell sees the pixels 4i to 4i + 32.
        #expect((100 - 32...100).contains(4 * (start / 56)) && (120 - 32...120).contains(4 * (start % 56)))
    }
}
