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
        let teacher = try TrainTeacher(path: command.teacher, size: command.size, precision: command.precision)
        let pictures = try TrainPictures(for: command, interruption: interruption)
        try checkBudget(heldOutCount: pictures.heldOut.count)
        let digest = PixelDigest.sha256(of: pictures.training)
        let penaltyDigest = pictures.penalty.isEmpty ? nil : PixelDigest.sha256(of: pictures.penalty)
        let settings = settings(penaltyByteCount: pictures.penaltyByteCount)
        let identity = TrainingIdentity(
            objective: settings.objective, size: settings.size, seed: settings.seed, dataDigest: digest,
            penaltyDigest: penaltyDigest, teacher: teacher.identity)
        let earlier =
            try command.resume ? earlierState(at: checkpointPath, identity: identity, settings: settings) : nil
        let statistics = try earlier?.statistics ?? measureStatistics(of: teacher, over: pictures.training)
        let normalisedTeacher = NormalisedTeacher(network: teacher.network, statistics: statistics)
        let extractor = try loadExtractor(digest: digest, statistics: statistics)

        var run = try TrainingRun(
            settings: settings, images: pictures.training, teacher: normalisedTeacher, penalty: pictures.penalty,
            resuming: earlier?.state, on: engine)
        var recentLosses = earlier?.metadata.recentLosses ?? []
        func saveCheckpoint(of run: TrainingRun, recentLosses: [Double]) throws {
            // The last good checkpoint must not give way to one that nothing can go on from.
            guard run.state.isFinite else { throw diverged(after: run) }
            let metadata = CheckpointMetadata(
                identity: identity, record: run.state.record, recentLosses: recentLosses)
            try CheckpointFile.save(
                TrainingCheckpoint(tensors: run.state.tensors + statistics.tensors, metadata: metadata),
                to: checkpointPath)
        }

        try train(&run, recentLosses: &recentLosses, saveCheckpoint: saveCheckpoint)
        // A checkpoint that was only read out stays as it is: it may hold more than these options need.
        if run.state.iteration != earlier?.state.iteration {
            try saveCheckpoint(of: run, recentLosses: recentLosses)
        }
        if interruption.isRequested {
            throw Failure(
                """
                interrupted after \(run.state.iteration) iterations; the checkpoint '\(checkpointPath)' is complete: the \
                same command with --resume goes on from there
                """, .interrupted)
        }

        let model = try finishedModel(
            of: run, teacher: normalisedTeacher, extractor: extractor, provenance: teacher.provenance,
            pictures: pictures, digest: digest,
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

    private func settings(penaltyByteCount: Int) -> TrainingSettings {
        var settings = TrainingSettings()
        settings.objective = command.methodOptions.objective(of: command.method)
        settings.size = command.size
        if let iterations = command.iterations {
            settings.iterations = iterations
        } else if command.timeBudget != nil {
            // Time alone ends it; on the way the end moves to an iteration.
            settings.iterations = .max
        }
        settings.seed = command.seed
        settings.featureCacheCapacity = command.cacheMemory.count - penaltyByteCount
        return settings
    }

    // MARK: - Teacher and extractor

    private func measureStatistics(of teacher: TrainTeacher, over images: [ModelImage]) throws -> ChannelStatistics {
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

    /// The extractor of another model, where one was named.
    private func loadExtractor(digest: String, statistics: ChannelStatistics) throws -> ContextExtractor? {
        guard let path = command.methodOptions.extractor else { return nil }
        let other = try ModelFile.load(path).model
        guard let parameters = other.extractor else {
            throw Failure("the model '\(path)' has no extractor; train one with --method la-ead", .unusableInput)
        }
        guard other.trainingRecord.dataDigest == digest else {
            throw Failure(
                "the extractor of '\(path)' was trained with other pictures; train one with these", .unusableInput)
        }
        // The mean may differ by the teacher's rounding, which T̂ does not show.
        let sameTeacher = zip(other.teacherStatistics.deviation, statistics.deviation)
            .allSatisfy { abs($0 - $1) <= 1e-3 * $1 }
        guard sameTeacher else {
            throw Failure(
                "the extractor of '\(path)' imitates another teacher; train one with this teacher", .unusableInput)
        }
        return try ContextExtractor(parameters: parameters)
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
                if now.timeIntervalSince(start) >= run.settlingPoint * budget, total == run.settings.iterations {
                    total = run.settle(since: firstIteration)
                }
            }
            progress.update(
                done: run.state.iteration, detail: losses.line, remaining: remaining)
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
        of run: TrainingRun, teacher: NormalisedTeacher, extractor: ContextExtractor?, provenance: String,
        pictures: TrainPictures, digest: String, finalLoss: Double
    ) throws -> AnomalyModel {
        let (method, options) = (command.method, command.methodOptions)
        let featureSource = options.featureSource(of: method)
        let trained = TrainedNetworks(
            of: run.state, averaged: options.ema ?? true, extractor: extractor, precision: command.precision)
        var progress = ProgressLine("calibrating", total: pictures.training.count + pictures.heldOut.count)
        defer { progress.finish() }
        let mapOptions = options.mapOptions(of: method)
        let calibration = try Calibration(
            of: trained.branches(teacher: teacher, featureSource: featureSource)
                .fastestObserver(threads: command.threads),
            training: pictures.training, heldOut: pictures.heldOut, rule: method.fusionRule,
            falseRejectBudget: command.falseRejectBudget, mapOptions: mapOptions
        ) { done in
            progress.update(done: done)
            if interruption.isRequested {
                throw Failure(
                    "interrupted while calibrating; the same command with --resume finishes the model", .interrupted)
            }
        }
        return AnomalyModel(
            method: method, size: command.size, teacher: teacher.network.parameters,
            student: trained.student.parameters, autoencoder: trained.autoencoder.parameters,
            extractor: featureSource == .contextExtractor ? trained.extractor?.parameters : nil,
            teacherStatistics: teacher.statistics,
            mapOptions: mapOptions, mapQuantiles: calibration.mapQuantiles, featureSource: featureSource,
            featureGaussian: calibration.gaussian, fusion: calibration.fusion,
            preprocessing: Preprocessing(region: command.region?.region), precision: command.precision,
            teacherProvenance: provenance,
            trainingRecord: TrainingRecord(
                dataDigest: digest, trainingImageCount: pictures.training.count,
                validationImageCount: pictures.heldOut.count, seed: run.settings.seed, iterations: run.state.iteration,
                finalLoss: finalLoss,
                recipe: TrainingRecipe(
                    objective: run.settings.objective, studentMomentum: trained.studentMomentum,
                    penaltyImageCount: pictures.penalty.count)),
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

extension TrainingRun.Losses {
    /// Every loss that the method has, for the progress line.
    fileprivate var line: String {
        let parts: [(name: String, value: Double?)] = [
            ("hard", hardFeature), ("ae", autoencoder), ("st-ae", studentAutoencoder), ("constraint", constraint),
            ("te", context), ("penalty", penalty),
        ]
        let said = parts.compactMap { part in part.value.map { String(format: "\(part.name) %.3f", $0) } }
        let kept = separation.map { "; kept \($0.keptLocations), \($0.singleChannelLocations) of one channel" } ?? ""
        return String(format: "loss %.4f", total) + " (\(said.joined(separator: ", "))\(kept))"
    }
}

// MARK: - Checkpoints

/// What has to be the same for a training to be the same one.
private struct TrainingIdentity: Codable, Sendable {
    var objective: Objective
    var size: NetworkSize
    var seed: UInt64
    var dataDigest: String

    /// Nil without a penalty.
    var penaltyDigest: String?
    var teacher: String
}

/// What a checkpoint says beside its tensors.
private struct CheckpointMetadata: Codable, Sendable {
    var identity: TrainingIdentity
    var record: TrainingState.Record
    var recentLosses: [Double]
}

extension TrainingSession {
    private struct EarlierState {
        let state: TrainingState
        let statistics: ChannelStatistics
        let metadata: CheckpointMetadata
    }

    /// The state that an earlier run left, if it was the same training.
    private func earlierState(
        at path: String, identity: TrainingIdentity, settings: TrainingSettings
    ) throws -> EarlierState {
        let checkpoint = try CheckpointFile.load(path, metadata: CheckpointMetadata.self)
        let metadata = checkpoint.metadata
        let earlier = metadata.identity
        func require(_ same: Bool, _ what: String) throws {
            guard same else {
                throw Failure(
                    """
                    the checkpoint '\(path)' was made with \(what); resuming it would be another training. Give the same \
                    as before, or train anew without --resume
                    """, .unusableInput)
            }
        }
        try require(earlier.size == identity.size, "--size \(earlier.size.rawValue)")
        try require(earlier.objective.covers(identity.objective), earlier.objective.commandLine)
        if earlier.objective != identity.objective, metadata.record.iteration < settings.iterations {
            note("the extractor that '\(path)' holds is left out of it from now on: these options need none")
        }
        try require(earlier.dataDigest == identity.dataDigest, "other pictures")
        try require(earlier.penaltyDigest == identity.penaltyDigest, "other --penalty-images, or without")
        try require(earlier.teacher == identity.teacher, "another teacher")
        try require(earlier.seed == identity.seed, "--seed \(earlier.seed)")

        let tensors = Dictionary(uniqueKeysWithValues: checkpoint.tensors.map { ($0.name, $0.tensor) })
        guard let statistics = ChannelStatistics(tensors: tensors) else {
            throw Failure("the checkpoint '\(path)' lacks the teacher's statistics; train anew", .unusableInput)
        }
        var state = try TrainingState(record: metadata.record, tensors: tensors, settings: settings)
        // The end may have moved: more iterations than before, or a time budget.
        state.schedule.iterations = settings.iterations
        note("resuming after \(state.iteration) iterations")
        return EarlierState(state: state, statistics: statistics, metadata: metadata)
    }
}

extension Objective {
    /// Whether a training towards this has all the networks of a training towards `other`, with the same weights.
    ///
    /// The extractor shares nothing with the other networks, so leaving it out changes nothing for them.
    fileprivate func covers(_ other: Objective) -> Bool {
        if case .aligned(let alpha, trainsExtractor: true) = self {
            return other == self || other == .aligned(alpha: alpha, trainsExtractor: false)
        }
        return other == self
    }

    /// The options that ask for it.
    fileprivate var commandLine: String {
        switch self {
        case .efficientAD: "--method efficient-ad or puad"
        case .separated(let margin, let mask): "--method dfsc --margin \(margin) --separation-mask \(mask.rawValue)"
        case .aligned(let alpha, let trainsExtractor):
            "--method la-ead --alpha \(alpha), \(trainsExtractor ? "training the extractor" : "without training one")"
        }
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
