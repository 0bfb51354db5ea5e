import AnomalyScoring
import Archive
import Capture
import Evaluation
import Foundation
import Imaging
import TensorKernels

/// A picture with what a model sees in it.
struct ScoredPicture {
    let image: DatasetImage
    let width: Int
    let height: Int
    let scores: PerScore<Double>

    /// At the networks' own size, 25 kB: the map at the picture's size is made anew whenever it is asked for.
    let maps: AnomalyMaps

    var labelled: LabelledScores { LabelledScores(defect: image.isGood ? nil : image.kind, scores: scores) }

    /// The anomaly map at the picture's size, `[1, height, width]`; zero outside the region that the model looks at.
    func localisationMap(by model: AnomalyModel) -> Tensor {
        func map(width: Int, height: Int) -> Tensor {
            maps.enlarged(by: model.mapQuantiles, options: model.mapOptions, width: width, height: height)
        }
        guard let region = model.preprocessing.region else { return map(width: width, height: height) }
        let inside = map(width: region.width, height: region.height)
        var whole = Tensor(shape: [1, height, width])
        for y in 0..<region.height {
            let target = (region.y + y) * width + region.x
            whole.values.replaceSubrange(
                target..<target + region.width, with: inside.values[y * region.width..<(y + 1) * region.width])
        }
        return whole
    }
}

/// A model at work on the pictures of a data set.
struct EvaluationSession {
    let detector: LoadedDetector

    /// Whether a picture that cannot be decoded ends the work; otherwise it is left out and named.
    let refusesUnreadable: Bool
    let interruption: Interruption

    var model: AnomalyModel { detector.model }

    /// Scores pictures in order.
    ///
    /// - Parameter visit: Sees each scored picture at once, with the networks' input.
    func score(
        _ images: [DatasetImage], label: String, _ visit: (ScoredPicture, ModelImage) throws -> Void = { _, _ in }
    ) throws -> [ScoredPicture] {
        var progress = ProgressLine(label, total: images.count)
        defer { progress.finish() }
        var pictures: [ScoredPicture] = []
        for (done, image) in images.enumerated() {
            if interruption.isRequested { throw Failure("interrupted after \(done) pictures", .interrupted) }
            let frame: Frame
            do {
                frame = try decodeImage(at: image.path)
            } catch {
                if refusesUnreadable { throw error }
                note("skipped: \(error)")
                continue
            }
            let input = try naming(image.path) { try model.preprocessing.modelImage(of: frame) }
            let observation = detector.detector.observe(input.normalised())
            let fused = try naming(image.path) { try model.fusion.fuse(RawScores(observation, of: model)) }
            let picture = ScoredPicture(
                image: image, width: frame.width, height: frame.height,
                scores: PerScore(
                    picturable: fused.picturable.raw, unpicturable: fused.unpicturable.raw, fused: fused.value),
                maps: observation.maps)
            try visit(picture, input)
            pictures.append(picture)
            progress.update(done: done + 1)
        }
        let skipped = images.count - pictures.count
        if skipped > 0 {
            note("skipped \(skipped) of \(images.count) pictures that cannot be read; --strict refuses them instead")
        }
        return pictures
    }

    /// Measures the anomaly maps of scored pictures against their masks, in two passes (`DefectPixelPass`).
    ///
    /// - Parameter truths: Of the pictures' sizes.
    /// - Returns: nil where there are no masks.
    func localisation(of pictures: [ScoredPicture], in truths: DatasetGroundTruth?) throws -> LocalisationMetrics? {
        guard let truths else { return nil }
        let annotated = pictures.map { ($0, truths.truth(of: $0)) }
        let defective = annotated.filter { !$0.0.image.isGood }
        var progress = ProgressLine("measuring maps", total: defective.count + annotated.count)
        defer { progress.finish() }

        var first = DefectPixelPass(
            measure: truths.measure,
            expecting: Dictionary(grouping: defective) { $0.0.image.kind }.mapValues { $0.map(\.1) })
        for (done, (picture, truth)) in defective.enumerated() {
            if interruption.isRequested { throw Failure("interrupted while measuring maps", .interrupted) }
            try naming(picture.image.path) {
                try first.add(picture.localisationMap(by: model).values.span, truth, kind: picture.image.kind)
            }
            progress.update(done: done + 1)
        }
        var second = try DefectFreePixelPass(after: consume first)
        for (done, (picture, truth)) in annotated.enumerated() {
            if interruption.isRequested { throw Failure("interrupted while measuring maps", .interrupted) }
            try naming(picture.image.path) {
                try second.add(
                    picture.localisationMap(by: model).values.span, truth,
                    kind: picture.image.isGood ? nil : picture.image.kind)
            }
            progress.update(done: defective.count + done + 1)
        }
        return try second.metrics()
    }
}
