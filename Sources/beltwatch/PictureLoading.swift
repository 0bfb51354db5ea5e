import Archive
import ArgumentParser
import Capture
import Imaging
import Training

/// Which frames of a recording to take; a folder of pictures is always taken whole.
struct RecordingSection: ParsableArguments {
    @Option(help: "Recording: leave out what comes before this time.")
    var from: DurationArgument?

    @Option(help: "Recording: leave out what comes at or after this time.")
    var to: DurationArgument?

    @Option(name: .customLong("take-every"), help: "Recording: take every Nth frame of what is left.")
    var takeEvery = 1

    func validate() throws {
        guard takeEvery >= 1 else { throw ValidationError("--take-every counts frames: 1 or more, not \(takeEvery)") }
        if let from, let to, from.duration >= to.duration { throw ValidationError("--from must lie before --to") }
    }

    /// Whether nothing is left out.
    var isWhole: Bool { from == nil && to == nil && takeEvery == 1 }

    fileprivate func contains(_ time: Duration) -> Bool {
        time >= from?.duration ?? .zero && (to.map { time < $0.duration } ?? true)
    }

    fileprivate func isOver(at time: Duration) -> Bool { to.map { time >= $0.duration } ?? false }
}

/// Pictures of parts at the networks' size, as the same capture and preprocessing makes them that the line uses.
struct LoadedPictures {
    var images: [ModelImage] = []

    /// Whether the pictures follow each other in time, so that neighbours are near-duplicates.
    var isRecording = false

    /// Files that could not be decoded.
    var skipped: [ImageFolderSource.SkippedImage] = []
}

/// How long one pull waits before the interruption is looked at again.
private let patience: Duration = .milliseconds(200)

extension LoadedPictures {
    /// The pictures in these files, in this order.
    static func files(
        _ paths: [String], preprocessing: Preprocessing, isStrict: Bool, label: String, interruption: Interruption
    ) throws -> LoadedPictures {
        let source = ImageFolderSource(
            paths: paths, pool: FramePool(capacity: 2), unreadableImages: isStrict ? .refuse : .skip)
        var loaded = LoadedPictures()
        var progress = ProgressLine(label, total: paths.count)
        try source.forEachFrame(until: interruption) { frame in
            loaded.images.append(try naming(frame.fileName ?? label) { try preprocessing.modelImage(of: frame) })
            progress.update(done: loaded.images.count)
            return true
        }
        progress.finish()
        loaded.skipped = source.skipped
        loaded.reportSkipped(of: paths.count)
        return loaded
    }

    /// The frames of a recording.
    static func recording(
        _ path: String, section: RecordingSection, preprocessing: Preprocessing, interruption: Interruption
    ) throws -> LoadedPictures {
        let source = try RecordingSource.open(path: path, pool: FramePool(capacity: 4))
        var loaded = LoadedPictures(isRecording: true)
        var inside = 0
        var progress = ProgressLine("reading", total: nil)
        defer { progress.finish() }
        try source.forEachFrame(until: interruption) { frame in
            guard let time = frame.presentationTime else {
                throw Failure("'\(path)' has frames without a time; it cannot be cut into blocks", .unusableInput)
            }
            if section.isOver(at: time) { return false }
            if section.contains(time) {
                if inside % section.takeEvery == 0 { loaded.images.append(try preprocessing.modelImage(of: frame)) }
                inside += 1
                progress.update(done: inside)
            }
            return true
        }
        return loaded
    }

    private func reportSkipped(of count: Int) {
        guard !skipped.isEmpty else { return }
        for file in skipped { note("skipped \(file.fileName): \(file.reason)") }
        note("skipped \(skipped.count) of \(count) pictures that cannot be read; --strict refuses them instead")
    }
}

extension FrameSource {
    /// Pulls frames until the source ends or `body` has seen enough and returns false.
    ///
    /// - Throws: What the source throws, or that the operator interrupted.
    func forEachFrame(until interruption: Interruption, _ body: (Frame) throws -> Bool) throws {
        defer { stop() }
        while true {
            if interruption.isRequested { throw Failure("interrupted while reading pictures", .interrupted) }
            switch try next(timeout: patience) {
            case .frame(let frame): if try !body(frame) { return }
            case .timedOut: continue
            case .ended: return
            }
        }
    }
}
