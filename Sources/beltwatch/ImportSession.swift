import AnomalyScoring
import Archive
import ConvNets
import Foundation
import Imaging
import TensorKernels
import Training

/// One run of `beltwatch import`, from checkpoints to a saved model or teacher.
struct ImportSession {
    private let command: Import
    private let interruption = Interruption()

    init(command: Import) { self.command = command }

    func run() throws {
        try AtomicFile.checkReplaceable(command.out)
        let checkpoint = try ImportedCheckpoint(reading: command.checkpoints, format: command.format)
        // An export that lost its other networks is no teacher that somebody meant to give alone.
        let isATeacher =
            checkpoint.student == nil && checkpoint.autoencoder == nil && command.good == nil && !checkpoint.isExport
        if let teacher = checkpoint.teacher, command.teacherOnly || isATeacher {
            try TeacherFile.save(teacher, provenance: checkpoint.provenance, to: command.out)
            return try report(ImportSummary(of: checkpoint, kind: .teacher, out: command.out))
        }
        if command.teacherOnly { throw missing([.teacher], in: checkpoint) }
        let networks = try Networks(of: checkpoint) { missing($0, in: checkpoint) }
        if let good = command.good {
            try checkCalibrates(checkpoint)
            try calibrate(networks, of: checkpoint, with: try loadPictures(in: good))
        } else if let model = try checkpoint.restoredModel() {
            try ModelFile.save(model, to: command.out)
            try report(ImportSummary(of: checkpoint, kind: .restoredModel, out: command.out))
        } else {
            throw Failure(
                """
                the networks are complete, and the measurements of good parts that a model needs are in none of the \
                files; give --good FOLDER with pictures of good parts, best those that the networks were trained with
                """, .unusableInput)
        }
    }

    /// Calibrating makes a PUAD model, which is not what every export was.
    private func checkCalibrates(_ checkpoint: ImportedCheckpoint) throws {
        guard let method = checkpoint.method else { return }
        guard method.autoencoderDesign == .plain else {
            throw Failure(
                """
                the files are an export of \(method.rawValue), whose autoencoder PUAD does not have; leave --good out to \
                get the model back
                """, .unusableInput)
        }
        if method.featureSource == .contextExtractor {
            note("the context extractor of the files is left out: calibrating anew makes a model of puad")
        }
    }

    private func missing(_ roles: [NetworkRole], in checkpoint: ImportedCheckpoint) -> Failure {
        let found = NetworkRole.allCases.filter { checkpoint[$0] != nil }.map(\.rawValue)
        return Failure(
            """
            no \(roles.map(\.rawValue).joined(separator: " and no ")) in \
            \(command.checkpoints.map { "'\($0)'" }.joined(separator: ", ")), \
            \(found.isEmpty ? "nor any other network" : "only \(found.joined(separator: " and "))"); name the files \
            or folders of all parts of the model
            """, .unusableInput)
    }

    /// The three networks that a model is made of.
    private struct Networks {
        let size: NetworkSize
        let teacher: ParameterSet
        let student: ParameterSet
        let autoencoder: ParameterSet

        init(of checkpoint: ImportedCheckpoint, orThrow failure: ([NetworkRole]) -> Failure) throws {
            guard let size = checkpoint.size, let teacher = checkpoint.teacher, let student = checkpoint.student,
                let autoencoder = checkpoint.autoencoder
            else { throw failure(NetworkRole.allCases.filter { checkpoint[$0] == nil }) }
            self.size = size
            self.teacher = teacher
            self.student = student
            self.autoencoder = autoencoder
        }
    }

    // MARK: - Pictures

    private struct Pictures {
        var training: [ModelImage]
        var heldOut: [ModelImage]
    }

    private func loadPictures(in good: String) throws -> Pictures {
        let preprocessing = Preprocessing(region: command.region?.region)
        func load(_ images: [DatasetImage], _ label: String) throws -> [ModelImage] {
            try LoadedPictures.files(
                images.map(\.path), preprocessing: preprocessing, isStrict: command.strict, label: label,
                interruption: interruption
            ).images
        }
        let folder = try DatasetFolder(good)
        note("\(good): \(folder.layout.rawValue), \(folder.training.count) pictures to calibrate with")
        let training = try load(folder.training, "reading")
        if folder.validation.isEmpty {
            let split = try HeldOutSplit.shuffled(count: training.count, seed: command.splitSeed)
            return Pictures(
                training: split.training.map { training[$0] }, heldOut: split.heldOut.map { training[$0] })
        }
        _ = try HeldOutSplit.everythingTrains(count: training.count)
        return Pictures(training: training, heldOut: try load(folder.validation, "reading validation/good"))
    }

    // MARK: - Calibration

    private func calibrate(
        _ networks: Networks, of checkpoint: ImportedCheckpoint, with pictures: Pictures
    ) throws {
        keepFreedMemory()
        let statistics =
            try checkpoint.statistics
            ?? measureStatistics(
                of: PatchDescriptionNetwork(parameters: networks.teacher, size: networks.size),
                over: pictures.training)
        // Rounded before anything is measured, so that the stored model scores as it is calibrated here.
        let precision = command.precision
        let teacher = precision.rounded(networks.teacher)
        let student = precision.rounded(networks.student)
        let autoencoder = precision.rounded(networks.autoencoder)
        let branches = BranchNetworks(
            teacher: NormalisedTeacher(
                network: try PatchDescriptionNetwork(parameters: teacher, size: networks.size), statistics: statistics),
            student: try PatchDescriptionNetwork(parameters: student, size: networks.size),
            autoencoder: try Autoencoder(parameters: autoencoder))
        var progress = ProgressLine("calibrating", total: pictures.training.count + pictures.heldOut.count)
        defer { progress.finish() }
        let mapOptions = MapOptions()
        let calibration = try Calibration(
            of: BranchProgram(branches, threads: command.threads), training: pictures.training,
            heldOut: pictures.heldOut, falseRejectBudget: command.falseRejectBudget, mapOptions: mapOptions
        ) { done in
            progress.update(done: done)
            if interruption.isRequested { throw Failure("interrupted; nothing was written", .interrupted) }
        }
        let model = AnomalyModel(
            method: .puad, size: networks.size, teacher: teacher, student: student, autoencoder: autoencoder,
            teacherStatistics: statistics, mapOptions: mapOptions, mapQuantiles: calibration.mapQuantiles,
            featureSource: .studentFormerHalf, featureGaussian: calibration.gaussian, fusion: calibration.fusion,
            preprocessing: Preprocessing(region: command.region?.region), precision: precision,
            teacherProvenance: checkpoint.provenance,
            // Trained elsewhere: no iteration of ours, and no loss.
            trainingRecord: TrainingRecord(
                dataDigest: PixelDigest.sha256(of: pictures.training), trainingImageCount: pictures.training.count,
                validationImageCount: pictures.heldOut.count, seed: command.splitSeed, iterations: 0, finalLoss: 0),
            selfTest: calibration.selfTest)
        try ModelFile.save(model, to: command.out)
        progress.finish()
        compare(calibration.mapQuantiles, with: checkpoint.mapQuantiles)
        try report(ImportSummary(of: checkpoint, calibrated: model, out: command.out))
    }

    private func measureStatistics(
        of teacher: PatchDescriptionNetwork, over images: [ModelImage]
    ) throws -> ChannelStatistics {
        note("the files have no channel statistics of the teacher; they are measured on these pictures")
        var progress = ProgressLine("teacher statistics", total: images.count)
        defer { progress.finish() }
        let engine = WinogradConvolution(threads: command.threads)
        return try Calibration.teacherStatistics(of: teacher, over: images, on: engine) { done in
            progress.update(done: done)
            if interruption.isRequested { throw Failure("interrupted; nothing was written", .interrupted) }
        }
    }

    /// Says so where the networks do not see the parts that they were trained with: their own quantiles tell.
    ///
    /// The projects measure on enlarged maps and other pictures, which moves a quantile by a few per cent.
    private func compare(_ measured: MapQuantiles, with found: MapQuantiles?) {
        guard let found else { return }
        for (name, here, there) in [
            ("student-teacher", measured.studentTeacher, found.studentTeacher),
            ("autoencoder-student", measured.autoencoderStudent, found.autoencoderStudent),
        ] where !(here.upper < 2 * there.upper && there.upper < 2 * here.upper) {
            note(
                """
                the upper quantile of the \(name) map is \(here.upper) on these pictures and \(there.upper) in the \
                files: they are not the parts that the networks were trained with, or look different
                """)
        }
    }

    // MARK: - Result

    private func report(_ summary: ImportSummary) throws {
        if command.json {
            print(String(decoding: try JSONEncoder.sorted.encode(summary), as: UTF8.self))
        } else {
            print(summary.text)
        }
    }
}

/// What `beltwatch import` prints.
private struct ImportSummary: Encodable {
    enum Kind: String, Encodable {
        case teacher
        case calibratedModel = "calibrated_model"
        case restoredModel = "restored_model"
    }

    let kind: Kind
    let out: String
    let format: CheckpointFormat
    let size: NetworkSize?
    let files: [ImportedCheckpoint.Origin]

    /// Whether μ_c and σ_c are those of the files.
    var hasStatisticsOfFiles: Bool
    var threshold: DecisionThreshold?
    var mapQuantiles: MapQuantiles?

    init(of checkpoint: ImportedCheckpoint, kind: Kind, out: String) {
        self.kind = kind
        self.out = out
        format = checkpoint.format
        size = checkpoint.size
        files = checkpoint.origins
        hasStatisticsOfFiles = checkpoint.statistics != nil
    }

    init(of checkpoint: ImportedCheckpoint, calibrated model: AnomalyModel, out: String) {
        self.init(of: checkpoint, kind: .calibratedModel, out: out)
        threshold = model.fusion.threshold
        mapQuantiles = model.mapQuantiles
    }

    var text: String {
        let network = "PDN-\(size?.rawValue.uppercased() ?? "?")"
        let source = "\(files.count) \(files.count == 1 ? "file" : "files") of \(format.rawValue)"
        switch kind {
        case .teacher:
            return "wrote \(out): a teacher, \(network), from \(source); train with it by --teacher \(out)"
        case .restoredModel:
            return "wrote \(out): the model that was exported, \(network), from \(source)"
        case .calibratedModel:
            let threshold = threshold.map {
                """

                threshold \(String(format: "%.3f", $0.value)) from \($0.calibrationCount) held-out good parts: at most \
                \(String(format: "%.1f", 100 * $0.falseRejectBudget)) % of good parts like these are rejected
                """
            }
            return "wrote \(out): a model, \(network), from \(source), calibrated anew" + (threshold ?? "")
        }
    }
}
