import Archive
import Capture
import Evaluation
import Imaging

/// The masks of a data set's test pictures, read once and kept as runs of pixels.
struct DatasetGroundTruth {
    /// Which overlap the data set's layout is measured by.
    let measure: OverlapMeasure

    private let truths: [DatasetImage: GroundTruth]

    /// Reads and checks all masks, with the picture named where one is unusable.
    ///
    /// - Returns: nil where the data set has no `ground_truth`.
    /// - Throws: For missing and unreadable masks, and for such as do not fit the layout or `defects_config.json`.
    init?(of dataset: DatasetFolder, interruption: Interruption) throws {
        guard dataset.hasGroundTruth else { return nil }
        let images = dataset.test.filter { !$0.isGood }
        let masks = try images.map { ($0, try dataset.masks(of: $0)) }
        let saturations = dataset.layout == .mvtecLOCO ? try Self.saturations(of: dataset) : nil
        measure = saturations == nil ? .perRegion : .saturated

        var truths: [DatasetImage: GroundTruth] = [:]
        var progress = ProgressLine("reading masks", total: images.count)
        defer { progress.finish() }
        for (done, (image, paths)) in masks.enumerated() {
            if interruption.isRequested { throw Failure("interrupted while reading masks", .interrupted) }
            let channels = try paths.map(Self.mask)
            truths[image] = try naming(paths.count == 1 ? paths[0] : image.path) {
                if let saturations { return try GroundTruth(channels: channels, saturations: saturations) }
                return try GroundTruth(componentsOf: channels[0])
            }
            progress.update(done: done + 1)
        }
        self.truths = truths
    }

    /// - Throws: Where a picture's masks have another size than the picture.
    func checkSize(of picture: ScoredPicture) throws {
        try naming(picture.image.path) {
            try truths[picture.image]?.checkSize(width: picture.width, height: picture.height)
        }
    }

    /// What is known about a picture; its size has been checked.
    func truth(of picture: ScoredPicture) -> GroundTruth {
        truths[picture.image] ?? GroundTruth(goodPartOfWidth: picture.width, height: picture.height)
    }

    private static func saturations(of dataset: DatasetFolder) throws -> [UInt8: SaturationThreshold] {
        let defects = try dataset.defectsConfiguration().defects
        return Dictionary(
            uniqueKeysWithValues: defects.map { defect in
                let threshold = defect.saturationThreshold
                return (defect.pixelValue, defect.isRelative ? .share(threshold) : .pixels(Int(threshold)))
            })
    }

    private static func mask(at path: String) throws -> Mask {
        let frame = try decodeImage(at: path)
        return try frame.withPixels { pixels in
            let grey = try [UInt8](unsafeUninitializedCapacity: frame.width * frame.height) { grey, count in
                for i in 0..<frame.width * frame.height {
                    guard pixels[3 * i] == pixels[3 * i + 1], pixels[3 * i] == pixels[3 * i + 2] else {
                        throw Failure("'\(path)' is a picture in colour; a mask has grey values", .unusableInput)
                    }
                    grey[i] = pixels[3 * i]
                }
                count = frame.width * frame.height
            }
            return Mask(pixels: grey.span, width: frame.width)
        }
    }
}
