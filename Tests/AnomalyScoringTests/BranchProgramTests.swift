import ConvNets
import Dispatch
import Imaging
import Locking
import TensorKernels
import Testing

@testable import AnomalyScoring

@Suite struct BranchProgramTests {
    private let image: Tensor = {
        var generator = LinearCongruential(seed: 5)
        return generator.picture().normalised()
    }()

    private func networks(
        _ method: AnomalyScoring.Method = .puad, size: NetworkSize = .small,
        _ change: (inout AnomalyModel) -> Void = { _ in }
    ) throws -> BranchNetworks {
        var generator = LinearCongruential(seed: 9)
        var model = AnomalyModel.narrow(size: size)
        model.method = method
        model.featureSource = method.featureSource
        model.extractor = method.featureSource == .contextExtractor ? generator.extractor(outputChannels: 3) : nil
        change(&model)
        return try BranchNetworks(of: model)
    }

    private func relativeError(of values: [Double], to expected: [Double]) -> Double {
        let difference = zip(values, expected).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
        return (difference / expected.reduce(0) { $0 + $1 * $1 }).squareRoot()
    }

    private func expectAgreement(
        _ program: BranchNetworks.Observation, _ definition: BranchNetworks.Observation,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        for (fast, slow) in [
            (program.maps.studentTeacher, definition.maps.studentTeacher),
            (program.maps.autoencoderStudent, definition.maps.autoencoderStudent),
        ] {
            #expect(fast.shape == slow.shape, sourceLocation: sourceLocation)
            #expect(
                relativeError(of: fast.values.map(Double.init), to: slow.values.map(Double.init)) < 1e-5,
                sourceLocation: sourceLocation)
        }
        #expect(
            relativeError(of: program.pooledFeatures, to: definition.pooledFeatures) < 1e-5,
            sourceLocation: sourceLocation)
    }

    @Test(arguments: InstructionSet.allCases.filter { $0 <= .best })
    func aProgramSeesWhatTheLayersSee(set: InstructionSet) throws {
        let networks = try networks()
        let program = BranchProgram(networks, threads: 2, instructionSet: set)
        expectAgreement(program.observe(image), networks.observe(image, on: ReferenceConvolution(threads: 2)))
    }

    /// PDN-M: its last layer is 1×1 behind a rectifier, so that its maps are made in another way.
    @Test(arguments: InstructionSet.allCases.filter { $0 <= .best })
    func aMediumProgramSeesWhatTheLayersSee(set: InstructionSet) throws {
        var generator = LinearCongruential(seed: 3)
        let sides = [4, 4, 1, 3, 4, 1]
        let names = (1...6).map { "conv\($0)" }
        let teacher = generator.parameters(names: names, widths: [3, 4, 17, 6, 40, 5, 5], kernelSides: sides)
        let student = generator.parameters(names: names, widths: [3, 4, 5, 33, 7, 10, 10], kernelSides: sides)
        for dead in [nil, 2] {
            var statistics = ChannelStatistics(
                mean: [0.1, -0.2, 0.3, 0, 0.05], deviation: [0.5, 1.5, 0.8, 1.1, 0.9])
            if let dead { statistics.deviation[dead] = 0 }
            let networks = BranchNetworks(
                teacher: NormalisedTeacher(
                    network: try PatchDescriptionNetwork(parameters: teacher, size: .medium), statistics: statistics),
                student: try PatchDescriptionNetwork(parameters: student, size: .medium),
                autoencoder: try Autoencoder(parameters: generator.autoencoder(outputChannels: 5)))
            let program = BranchProgram(networks, threads: 2, instructionSet: set)
            expectAgreement(program.observe(image), networks.observe(image, on: ReferenceConvolution(threads: 2)))
        }
    }

    /// DFSC's autoencoder, with more channels than a vector holds in front of the code.
    @Test(arguments: InstructionSet.allCases.filter { $0 <= .best })
    func aNormalisedAutoencoderSeesWhatItsLayersSee(set: InstructionSet) throws {
        for size in NetworkSize.allCases {
            var generator = LinearCongruential(seed: 11)
            let networks = try networks(.dfsc, size: size) {
                $0.autoencoder = generator.autoencoder(outputChannels: 3, codeChannels: 19)
            }
            #expect(networks.autoencoder.design == .instanceNormalised)
            let program = BranchProgram(networks, threads: 2, instructionSet: set)
            expectAgreement(program.observe(image), networks.observe(image, on: ReferenceConvolution(threads: 2)))
        }
    }

    /// Pooled with the statistics folded into the weights; dead channels are zero here, too.
    @Test(arguments: InstructionSet.allCases.filter { $0 <= .best }, NetworkSize.allCases)
    func theTeachersFeaturesArePooledAsItsLayersGiveThem(set: InstructionSet, size: NetworkSize) throws {
        for dead in [nil, 1] {
            let networks = try networks(size: size) {
                $0.featureSource = .teacher
                if let dead { $0.teacherStatistics.deviation[dead] = 0 }
            }
            let observation = BranchProgram(networks, threads: 2, instructionSet: set).observe(image)
            expectAgreement(observation, networks.observe(image, on: ReferenceConvolution(threads: 2)))
            if let dead { #expect(observation.pooledFeatures[dead] == 0) }
        }
    }

    @Test(arguments: InstructionSet.allCases.filter { $0 <= .best }, NetworkSize.allCases)
    func anExtractorsFeaturesArePooledAsItsLayersGiveThem(set: InstructionSet, size: NetworkSize) throws {
        let networks = try networks(.laEAD, size: size)
        let observation = BranchProgram(networks, threads: 2, instructionSet: set).observe(image)
        expectAgreement(observation, networks.observe(image, on: ReferenceConvolution(threads: 2)))
    }

    /// Every network at its full width: DFSC's autoencoder and LA-EAD's extractor in one.
    @Test func aProgramOfFullWidthSeesWhatTheLayersSee() throws {
        var generator = LinearCongruential(seed: 12)
        let teacher = PatchDescriptionNetwork.defaultParameters(outputChannels: 384, using: &generator)
        let student = PatchDescriptionNetwork.defaultParameters(outputChannels: 768, using: &generator)
        let autoencoder = Autoencoder.defaultParameters(outputChannels: 384, using: &generator)
        let extractor = ContextExtractor.defaultParameters(outputChannels: 384, using: &generator)
        let networks = BranchNetworks(
            teacher: NormalisedTeacher(
                network: try PatchDescriptionNetwork(parameters: teacher),
                statistics: ChannelStatistics(
                    mean: Array(repeating: 0.01, count: 384), deviation: Array(repeating: 0.1, count: 384))),
            student: try PatchDescriptionNetwork(parameters: student),
            autoencoder: try Autoencoder(parameters: autoencoder, design: .instanceNormalised),
            pooling: .contextExtractor(try ContextExtractor(parameters: extractor)))
        let observation = BranchProgram(networks, threads: 2).observe(image)
        expectAgreement(observation, networks.observe(image, on: WinogradConvolution(threads: 2)))
    }

    @Test func aDeadChannelOfTheTeacherIsZero() throws {
        let networks = try networks { $0.teacherStatistics.deviation[1] = 0 }
        let observation = BranchProgram(networks, threads: 2).observe(image)
        expectAgreement(observation, networks.observe(image, on: ReferenceConvolution(threads: 2)))
        // It counts: alive, it makes another map.
        let alive = BranchProgram(try self.networks(), threads: 2).observe(image)
        #expect(observation.maps.studentTeacher != alive.maps.studentTeacher)
    }

    @Test(arguments: AnomalyScoring.Method.allCases) func neitherThreadsNorTimeNorNeighboursChangeABit(
        method: AnomalyScoring.Method
    ) throws {
        let networks = try networks(method)
        let first = BranchProgram(networks, threads: 1).observe(image)
        for threads in [2, 3, 6] {
            let program = BranchProgram(networks, threads: threads)
            let seen = Lock<[BranchNetworks.Observation]>([])
            DispatchQueue.concurrentPerform(iterations: 4) { _ in
                let observation = program.observe(image)
                seen.withLock { $0.append(observation) }
            }
            let observations = seen.withLock { $0 }
            #expect(observations == Array(repeating: first, count: 4), "\(threads) threads")
        }
    }

    /// A damaged frame leaves nothing behind in the memory that the next one uses.
    @Test(arguments: AnomalyScoring.Method.allCases) func notANumberEndsWithItsFrame(
        method: AnomalyScoring.Method
    ) throws {
        let program = BranchProgram(try networks(method), threads: 2)
        let before = program.observe(image)
        var damaged = image
        damaged.values[40_000] = .nan
        let observation = program.observe(damaged)
        #expect(observation.maps.studentTeacher.values.contains { $0.isNaN })
        #expect(observation.maps.autoencoderStudent.values.contains { $0.isNaN })
        #expect(observation.pooledFeatures.contains { $0.isNaN })
        #expect(program.observe(image) == before)
    }

    @Test func theSameTeacherIsShared() throws {
        let first = BranchProgram(try networks(), threads: 2)
        let other = try networks { $0.student[0].values[0] += 1 }
        let second = BranchProgram(other, sharingTeacherOf: first, threads: 2)
        #expect(second.teacher === first.teacher)
        #expect(second.observe(image) == BranchProgram(other, threads: 2).observe(image))

        let third = try networks { $0.teacher[0].values[0] += 1 }
        #expect(BranchProgram(third, sharingTeacherOf: first, threads: 2).teacher !== first.teacher)
    }

    @Test func aDetectorScoresAlikeEitherWay() throws {
        let model = AnomalyModel.narrow()
        let slow = try model.fusion.fuse(
            AnomalyDetector(model: model, engine: ReferenceConvolution(threads: 2)).score(image))
        let fast = try model.fusion.fuse(AnomalyDetector(model: model, threads: 2).score(image))
        #expect(abs(fast.picturable.z - slow.picturable.z) < 1e-4)
        #expect(abs(fast.unpicturable.z - slow.unpicturable.z) < 1e-4)
    }
}
