import AnomalyScoring
import Archive
import ArgumentParser
import ConvNets
import Foundation
import Imaging
import TensorKernels
import Training

/// One run of `beltwatch train`, from pictures to a saved model.
struct TrainingSession {
    private let command: Train
    private let interruption = Interruption()
    private let engine: any ConvolutionEngine

    init(command: Train) {
        self.command = command
        keepFreedMemory()
        engine = WinogradConvolution(threads: command.threads)
    }

    func run() throws {
        // What can be wrong with the command is found now, and not after hours of training.
        let checkpointPath = command.out + ".checkpoint"
        try AtomicFile.checkReplaceable(command.out)
        try AtomicFile.checkReplaceable(checkpointPath)
        try checkCheckpoint(at: checkpointPath)
        let teacher = try loadTeacher()
        let pictures = try loadPictures()
        try checkBudget(heldOutCount: pictures.heldOut.count)
        let digest = PixelDigest.sha256(of: pictures.training)
        let earlier = try command.resume ? earlierState(at: checkpointPath, digest: digest, teacher: teacher) : nil
        let statistics = try earlier?.statistics ?? measureStatistics(of: teacher, over: pictures.training)
        let normalisedTeacher = NormalisedTeacher(network: teacher.network, statistics: statistics)

        var run = try TrainingRun(
            settings: settings, images: pictures.training, teacher: normalisedTeacher, resuming: earlier?.state,
            on: engine)
        var recentLosses = earlier?.metadata.recentLosses ?? []
        func saveCheckpoint(of run: TrainingRun, recentLosses: [Double]) throws {
            // The last good checkpoint must not give way to one that nothing can go on from.
            guard run.state.isFinite else { throw diverged(after: run) }
            let metadata = CheckpointMetadata(
                settings: settings, record: run.state.record, dataDigest: digest, teacherSHA256: teacher.sha256,
                recentLosses: recentLosses)
            try CheckpointFile.save(
                TrainingCheckpoint(tensors: run.state.tensors + statistics.tensors, metadata: metadata),
                to: checkpointPath)
        }

        try train(&run, recentLosses: &recentLosses, saveCheckpoint: saveCheckpoint)
        try saveCheckpoint(of: run, recentLosses: recentLosses)
        if interruption.isRequested {
            throw Failure(
                """
                interrupted after \(run.state.iteration) iterations; the checkpoint '\(checkpointPath)' is complete: the \
                same command with --resume goes on from there
                """, .interrupted)
        }

        let model = try finishedModel(
            of: run, teacher: normalisedTeacher, provenance: teacher.provenance, pictures: pictures, digest: digest,
            finalLoss: recentLosses.reduce(0, +) / Double(max(recentLosses.count, 1)))
        try ModelFile.save(model, to: command.out)
        try report(model, statistics: statistics, checkpointPath: checkpointPath)
    }

    private func checkCheckpoint(at path: String) throws {
        let exists = FileManager.default.fileExists(atPath: path)
        if command.resume, !exists {
            throw Failure("there is no checkpoint '\(path)' to resume; train without --resume", .inputNotFound)
        }
        if !command.resume, exists {
            note("'\(path)' of an earlier training will be replaced; --resume would continue that training")
        }
        if FileManager.default.fileExists(atPath: command.out) {
            note("the model '\(command.out)' will be replaced when this training is done")
        }
    }

    /// Sets the threshold on scores that do not matter: whether there is one depends on their number alone.
    private func checkBudget(heldOutCount: Int) throws {
        guard let budget = command.falseRejectBudget else { return }
        _ = try DecisionThreshold.conformal(scores: (0..<heldOutCount).map(Double.init), falseRejectBudget: budget)
    }

    private var settings: TrainingSettings {
        var settings = TrainingSettings()
        if let iterations = command.iterations {
            settings.iterations = iterations
        } else if command.timeBudget != nil {
            // Time alone ends it; on the way the end moves to an iteration.
            settings.iterations = .max
        }
        settings.seed = command.seed
        settings.featureCacheCapacity = command.cacheMemory.count
        return settings
    }

    // MARK: - Pictures

    private struct Pictures {
        var training: [ModelImage]
        var heldOut: [ModelImage]
    }

    private func loadPictures() throws -> Pictures {
        let preprocessing = Preprocessing(region: command.region?.region)
        let section = command.section
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: command.good, isDirectory: &isDirectory) else {
            throw Failure("'\(command.good)' does not exist; --good takes a folder or a recording", .inputNotFound)
        }
        func load(_ images: [DatasetImage], _ label: String) throws -> LoadedPictures {
            try .files(
                images.map(\.path), preprocessing: preprocessing, isStrict: command.strict, label: label,
                interruption: interruption)
        }
        let loaded: LoadedPictures
        var measuring: LoadedPictures?
        if isDirectory.boolValue {
            guard section.isWhole else {
                throw ValidationError(
                    "--from, --to and --take-every are about recordings; '\(command.good)' is a folder")
            }
            let folder = try DatasetFolder(command.good)
            note("\(command.good): \(folder.layout.rawValue), \(folder.training.count) pictures to train with")
            loaded = try load(folder.training, "reading")
            if !folder.validation.isEmpty { measuring = try load(folder.validation, "reading validation/good") }
        } else {
            loaded = try .recording(
                command.good, section: section, preprocessing: preprocessing, interruption: interruption)
            note("\(command.good): \(loaded.images.count) frames")
        }
        if let path = command.calibration {
            measuring = try load(try DatasetFolder(path).training, "reading \(path)")
        }
        if let measuring {
            guard measuring.images.count >= HeldOutSplit.minimumHeldOutCount else {
                throw TrainingDataError.tooFewCalibrationPictures(
                    found: measuring.images.count, needed: HeldOutSplit.minimumHeldOutCount)
            }
            _ = try HeldOutSplit.everythingTrains(count: loaded.images.count)
            return Pictures(training: loaded.images, heldOut: measuring.images)
        }
        let split =
            try loaded.isRecording
            ? HeldOutSplit.timeBlocks(count: loaded.images.count)
            : HeldOutSplit.shuffled(count: loaded.images.count, seed: command.seed)
        return Pictures(
            training: split.training.map { loaded.images[$0] }, heldOut: split.heldOut.map { loaded.images[$0] })
    }

    // MARK: - Teacher

    private struct Teacher {
        let network: PatchDescriptionNetwork
        let provenance: String
        let sha256: String
    }

    private func loadTeacher() throws -> Teacher {
        if let loaded = try command.teacher.map({ try TeacherFile.load($0) }) ?? TeacherFile.embeddedDefault() {
            return Teacher(
                network: try PatchDescriptionNetwork(parameters: loaded.parameters), provenance: loaded.provenance,
                sha256: loaded.sha256)
        }
        note("no teacher weights are installed: the teacher is a random one, and results are weaker; see --teacher")
        // Not the run's seed: the teacher stays the same whatever else changes.
        var stream = RandomStream(seed: 0, stream: .initialisation)
        let parameters = PatchDescriptionNetwork.orthogonalParameters(outputChannels: 384, using: &stream)
        return Teacher(
            network: try PatchDescriptionNetwork(parameters: parameters),
            provenance: "seeded orthogonal-random PDN-S, made by this program; licence: Apache-2.0",
            sha256: "orthogonal-random")
    }

    private func measureStatistics(of teacher: Teacher, over images: [ModelImage]) throws -> ChannelStatistics {
        var progress = ProgressLine("teacher statistics", total: images.count)
        defer { progress.finish() }
        let statistics = try Calibration.teacherStatistics(of: teacher.network, over: images, on: engine) { done in
            progress.update(done: done)
            try stopIfInterrupted()
        }
        if !statistics.deadChannels.isEmpty {
            note("the teacher's channels \(statistics.deadChannels) never change on these pictures and are left out")
        }
        return statistics
    }

    // MARK: - Steps

    /// Steps until the iterations are done, the time is up or the operator interrupts.
    private func train(
        _ run: inout TrainingRun, recentLosses: inout [Double],
        saveCheckpoint: (_ run: TrainingRun, _ recentLosses: [Double]) throws -> Void
    ) throws {
        let start = Date()
        var lastSave = start
        let firstIteration = run.state.iteration
        var total = run.settings.iterations
        if run.state.iteration >= total {
            note("the checkpoint has \(run.state.iteration) iterations already; what is left is to calibrate")
        }
        // On a time budget nobody knows the number of iterations yet.
        var progress = ProgressLine(
            "training", total: command.timeBudget == nil ? total : nil, done: run.state.iteration)
        defer { progress.finish() }
        while run.state.iteration < total, !interruption.isRequested {
            let losses = run.step()
            guard losses.total.isFinite else { throw diverged(after: run) }
            recentLosses.append(losses.total)
            if recentLosses.count > 100 { recentLosses.removeFirst() }

            let now = Date()
            var remaining: Double?
            if let budget = command.timeBudget?.duration.seconds {
                remaining = max(0, budget - now.timeIntervalSince(start))
                if now.timeIntervalSince(start) >= 0.95 * budget, total == run.settings.iterations {
                    total = run.settle(since: firstIteration)
                }
            }
            progress.update(
                done: run.state.iteration,
                detail: String(
                    format: "loss %.4f (hard %.3f, ae %.3f, st-ae %.3f)", losses.total, losses.hardFeature,
                    losses.autoencoder, losses.studentAutoencoder), remaining: remaining)
            if now.timeIntervalSince(lastSave) >= 120 {
                try saveCheckpoint(run, recentLosses)
                lastSave = now
            }
        }
    }

    private func diverged(after run: TrainingRun) -> Failure {
        Failure(
            """
            the training is no longer finite after \(run.state.iteration) iterations; nothing was saved since the last \
            checkpoint. Check the pictures, or continue from the checkpoint with --resume
            """, .internalFailure)
    }

    private func stopIfInterrupted() throws {
        if interruption.isRequested { throw Failure("interrupted; no checkpoint was due yet", .interrupted) }
    }

    // MARK: - Model

    private func finishedModel(
        of run: TrainingRun, teacher: NormalisedTeacher, provenance: String, pictures: Pictures, digest: String,
        finalLoss: Double
    ) throws -> AnomalyModel {
        // Rounded before anything is measured, so that the stored model scores as it is calibrated here.
        let precision = command.precision
        let stored = NormalisedTeacher(
            network: try PatchDescriptionNetwork(parameters: precision.rounded(teacher.network.parameters)),
            statistics: teacher.statistics)
        let networks = BranchNetworks(
            teacher: stored,
            student: try PatchDescriptionNetwork(parameters: precision.rounded(run.state.student.parameters)),
            autoencoder: try Autoencoder(parameters: precision.rounded(run.state.autoencoder.parameters)))
        var progress = ProgressLine("calibrating", total: pictures.training.count + pictures.heldOut.count)
        defer { progress.finish() }
        let mapOptions = MapOptions()
        let calibration = try Calibration(
            of: BranchProgram(networks, threads: command.threads), training: pictures.training,
            heldOut: pictures.heldOut, falseRejectBudget: command.falseRejectBudget, mapOptions: mapOptions
        ) { done in
            progress.update(done: done)
            if interruption.isRequested {
                throw Failure(
                    "interrupted while calibrating; the same command with --resume finishes the model", .interrupted)
            }
        }
        return AnomalyModel(
            method: command.method, size: command.size, teacher: stored.network.parameters,
            student: networks.student.parameters, autoencoder: networks.autoencoder.parameters,
            teacherStatistics: teacher.statistics, mapOptions: mapOptions, mapQuantiles: calibration.mapQuantiles,
            featureSource: .studentFormerHalf, featureGaussian: calibration.gaussian, fusion: calibration.fusion,
            preprocessing: Preprocessing(region: command.region?.region), precision: precision,
            teacherProvenance: provenance,
            trainingRecord: TrainingRecord(
                dataDigest: digest, trainingImageCount: pictures.training.count,
                validationImageCount: pictures.heldOut.count, seed: run.settings.seed, iterations: run.state.iteration,
                finalLoss: finalLoss),
            selfTest: calibration.selfTest)
    }

    private func report(_ model: AnomalyModel, statistics: ChannelStatistics, checkpointPath: String) throws {
        let threshold = model.fusion.threshold
        if command.json {
            let summary = TrainingSummary(
                model: command.out, record: model.trainingRecord, threshold: threshold, precision: model.precision,
                deadChannels: statistics.deadChannels)
            print(String(decoding: try JSONEncoder.sorted.encode(summary), as: UTF8.self))
            return
        }
        let record = model.trainingRecord
        print(
            """
            wrote \(command.out): \(record.iterations) iterations on \(record.trainingImageCount) pictures, \
            final loss \(String(format: "%.4f", record.finalLoss))
            threshold \(String(format: "%.3f", threshold.value)) from \(threshold.calibrationCount) held-out good parts: \
            at most \(String(format: "%.1f", 100 * threshold.falseRejectBudget)) % of good parts like these are rejected
            """)
        if threshold.falseRejectBudget > 0.01, command.falseRejectBudget == nil {
            print("\(threshold.calibrationCount) parts cannot promise less; 1 % needs at least 99 held-out good parts")
        }
        print("the checkpoint '\(checkpointPath)' lets --resume with more --iterations go on; delete it when content")
    }
}

/// What `beltwatch train --json` prints.
private struct TrainingSummary: Encodable {
    let model: String
    let record: TrainingRecord
    let threshold: DecisionThreshold
    let precision: WeightPrecision
    let deadChannels: [Int]
}

extension JSONEncoder {
    /// Keys in order and in snake case, so that outputs can be compared as text.
    static var sorted: JSONEncoder {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes, .prettyPrinted]
        encoder.keyEncodingStrategy = .convertToSnakeCase
        return encoder
    }
}

// MARK: - Checkpoints

/// What a checkpoint says beside its tensors.
private struct CheckpointMetadata: Codable, Sendable {
    var settings: TrainingSettings
    var record: TrainingState.Record
    var dataDigest: String
    var teacherSHA256: String
    var recentLosses: [Double]
}

extension TrainingSession {
    private struct EarlierState {
        let state: TrainingState
        let statistics: ChannelStatistics
        let metadata: CheckpointMetadata
    }

    /// The state that an earlier run left, if it was the same training.
    private func earlierState(at path: String, digest: String, teacher: Teacher) throws -> EarlierState {
        let checkpoint = try CheckpointFile.load(path, metadata: CheckpointMetadata.self)
        let metadata = checkpoint.metadata
        func require(_ same: Bool, _ what: String) throws {
            guard same else {
                throw Failure(
                    """
                    the checkpoint '\(path)' was made with \(what); resuming it would be another training. Give the same \
                    as before, or train anew without --resume
                    """, .unusableInput)
            }
        }
        try require(metadata.dataDigest == digest, "other pictures")
        try require(metadata.teacherSHA256 == teacher.sha256, "another teacher")
        try require(metadata.settings.seed == settings.seed, "--seed \(metadata.settings.seed)")

        let tensors = Dictionary(uniqueKeysWithValues: checkpoint.tensors.map { ($0.name, $0.tensor) })
        guard let statistics = ChannelStatistics(tensors: tensors) else {
            throw Failure("the checkpoint '\(path)' lacks the teacher's statistics; train anew", .unusableInput)
        }
        var state = try TrainingState(record: metadata.record, tensors: tensors, settings: settings)
        // The end may have moved: more iterations than before, or a time budget.
        state.schedule = LearningRateSchedule(
            iterations: settings.iterations, initialRate: settings.learningRate)
        note("resuming after \(state.iteration) iterations")
        return EarlierState(state: state, statistics: statistics, metadata: metadata)
    }
}

extension ChannelStatistics {
    fileprivate var tensors: [(name: String, tensor: Tensor)] {
        [
            ("channels.mean", Tensor(shape: [mean.count], values: mean)),
            ("channels.deviation", Tensor(shape: [deviation.count], values: deviation)),
        ]
    }

    fileprivate init?(tensors: [String: Tensor]) {
        guard let mean = tensors["channels.mean"], let deviation = tensors["channels.deviation"],
            mean.count == deviation.count
        else { return nil }
        self.init(mean: mean.values, deviation: deviation.values)
    }
}
