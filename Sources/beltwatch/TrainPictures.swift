import Archive
import ArgumentParser
import Capture
import Foundation
import Imaging
import Training

/// The pictures of a training: those of good parts, divided, and those of other things.
struct TrainPictures {
    let training: [ModelImage]
    let heldOut: [ModelImage]

    /// Of other things, for the penalty; empty without one.
    let penalty: [ModelImage]

    /// - Throws: Where there are too few, or the options do not fit what they are about.
    init(for command: Train, interruption: Interruption) throws {
        let preprocessing = Preprocessing(region: command.region?.region)
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
            guard command.section.isWhole else {
                throw ValidationError(
                    "--from, --to and --take-every are about recordings; '\(command.good)' is a folder")
            }
            let folder = try DatasetFolder(command.good)
            note("\(command.good): \(folder.layout.rawValue), \(folder.training.count) pictures to train with")
            loaded = try load(folder.training, "reading")
            if !folder.validation.isEmpty { measuring = try load(folder.validation, "reading validation/good") }
        } else {
            loaded = try .recording(
                command.good, section: command.section, preprocessing: preprocessing, interruption: interruption)
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
            try Self.requireOthers(measuring.images, than: loaded.images)
            training = loaded.images
            heldOut = measuring.images
        } else {
            let split =
                try loaded.isRecording
                ? HeldOutSplit.timeBlocks(count: loaded.images.count)
                : HeldOutSplit.shuffled(count: loaded.images.count, seed: command.seed)
            training = split.training.map { loaded.images[$0] }
            heldOut = split.heldOut.map { loaded.images[$0] }
        }
        penalty =
            try command.methodOptions.penaltyImages.map {
                try Self.penalty(in: $0, command: command, interruption: interruption)
            } ?? []
    }

    /// A threshold from pictures that the networks were trained with would promise what no other part keeps.
    private static func requireOthers(_ measuring: [ModelImage], than training: [ModelImage]) throws {
        let known = Set(training)
        let shared = measuring.count { known.contains($0) }
        guard shared == 0 else {
            throw Failure(
                """
                \(shared) of the \(measuring.count) pictures that shall measure the result are among those to train with, \
                so they would promise too much; measure with pictures of other parts
                """, .unusableInput)
        }
    }

    private static func penalty(
        in folder: String, command: Train, interruption: Interruption
    ) throws -> [ModelImage] {
        let paths = try DatasetFolder(folder).training.map(\.path)
        // They stay in memory for the whole training, so their number is limited before they are read.
        let byteCount = paths.count * ModelImage.side * ModelImage.side * 3
        guard byteCount <= command.cacheMemory.count else {
            throw Failure(
                """
                the \(paths.count) pictures in '\(folder)' take \(byteCount >> 20) MiB, more than --cache-memory \
                allows; give more memory or fewer pictures
                """, .unusableInput)
        }
        let source = ImageFolderSource(
            paths: paths, pool: FramePool(capacity: 2), unreadableImages: command.strict ? .refuse : .skip)
        var pictures: [ModelImage] = []
        var progress = ProgressLine("reading \(folder)", total: paths.count)
        defer { progress.finish() }
        try source.forEachFrame(until: interruption) { frame in
            pictures.append(PenaltyPicture.modelImage(of: frame))
            progress.update(done: pictures.count)
            return true
        }
        for file in source.skipped { note("skipped \(file.fileName): \(file.reason)") }
        guard !pictures.isEmpty else {
            throw Failure("'\(folder)' has no pictures that can be read; --penalty-images needs some", .unusableInput)
        }
        return pictures
    }

    /// What `penalty` takes of the memory that `--cache-memory` allows.
    var penaltyByteCount: Int { penalty.reduce(0) { $0 + $1.pixels.count } }
}
