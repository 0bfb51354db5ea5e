/// Where the defects of one picture are, and how much of each has to be found.
public struct GroundTruth: Hashable, Sendable {
    /// One defect.
    public struct Defect: Hashable, Sendable {
        public let region: PixelRegion

        /// s, how many found pixels count as all of it: `1...area`.
        public let saturation: Int
    }

    public let width: Int
    public let height: Int

    /// None in a good part. They may overlap: two missing parts may both have belonged in one place.
    public let defects: [Defect]

    /// A good part: every pixel is free of defects.
    public init(goodPartOfWidth width: Int, height: Int) {
        self.width = width
        self.height = height
        defects = []
    }

    /// The 8-connected regions of a mask, each to be found as a whole (MVTec AD, ALGORITHMS §5.4).
    public init(componentsOf mask: Mask) throws(GroundTruthError) {
        width = mask.width
        height = mask.height
        guard mask.region.area > 0 else { throw .emptyMask }
        defects = ConnectedComponents(of: mask.region).regions.map { Defect(region: $0, saturation: $0.area) }
    }

    /// One defect per mask, its grey value looked up among the kinds of defect (MVTec LOCO AD, ALGORITHMS §5.5).
    ///
    /// - Parameter saturations: By grey value, as `defects_config.json` has them.
    /// - Precondition: At least one mask.
    public init(channels: [Mask], saturations: [UInt8: SaturationThreshold]) throws(GroundTruthError) {
        guard let first = channels.first else { preconditionFailure("a defective part without a mask") }
        width = first.width
        height = first.height
        var defects: [Defect] = []
        for channel in channels {
            guard channel.width == width, channel.height == height else {
                throw .wrongSize(
                    width: channel.width, height: channel.height, expectedWidth: width, expectedHeight: height)
            }
            guard let value = channel.values.first else { throw .emptyMask }
            guard channel.values.count == 1 else { throw .severalValues(channel.values) }
            guard let threshold = saturations[value] else {
                throw .unknownValue(value, known: saturations.keys.sorted())
            }
            let area = channel.region.area
            let saturation = threshold.saturation(ofArea: area)
            guard saturation > 0 else { throw .nothingToFind(value, area: area) }
            defects.append(Defect(region: channel.region, saturation: saturation))
        }
        self.defects = defects
    }

    /// - Throws: `wrongSize` unless the masks have the size of their picture.
    public func checkSize(width: Int, height: Int) throws(GroundTruthError) {
        guard (width, height) == (self.width, self.height) else {
            throw .wrongSize(width: self.width, height: self.height, expectedWidth: width, expectedHeight: height)
        }
    }

    /// The pixels of all defects together.
    var defectArea: Int { defects.reduce(0) { $0 + $1.region.area } }
}

/// One picture of ground truth, as it lies on disk.
public struct Mask: Hashable, Sendable {
    public let width: Int
    public let height: Int

    /// The pixels that are not zero.
    public let region: PixelRegion

    /// The grey values that occur, without zero, in ascending order.
    public let values: [UInt8]

    /// - Parameter pixels: `[height, width]`, row-major, one grey value each.
    /// - Precondition: `pixels` has whole rows.
    public init(pixels: Span<UInt8>, width: Int) {
        self.width = width
        height = pixels.count / width
        region = PixelRegion(nonZeroPixelsOf: pixels, width: width)
        var occurs = [Bool](repeating: false, count: 256)
        for run in region.runs {
            for x in run.columns { occurs[Int(pixels[run.row * width + x])] = true }
        }
        values = (1...255).filter { occurs[Int($0)] }
    }
}

/// How much of a region has to be found before all of it counts as found (ALGORITHMS §5.5).
public enum SaturationThreshold: Hashable, Sendable {
    /// So many pixels, or the whole region where it is smaller.
    case pixels(Int)

    /// This share of the region's area, above 0 and at most 1.
    case share(Double)

    /// s, in pixels; a share is truncated, as in the data set's own evaluation.
    func saturation(ofArea area: Int) -> Int {
        switch self {
        case .pixels(let pixels): min(pixels, area)
        case .share(let share): Int(share * Double(area))
        }
    }
}

/// Why a mask is no ground truth.
public enum GroundTruthError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A defective part's mask marks no pixel.
    case emptyMask

    /// A mask does not have the size of its picture or of the picture's other masks.
    case wrongSize(width: Int, height: Int, expectedWidth: Int, expectedHeight: Int)

    /// More than one grey value in a mask that belongs to one defect.
    case severalValues([UInt8])

    /// A grey value without a line in `defects_config.json`.
    case unknownValue(UInt8, known: [UInt8])

    /// The saturation threshold's share of so small a region is less than a pixel.
    case nothingToFind(UInt8, area: Int)

    public var description: String {
        switch self {
        case .emptyMask:
            "the mask marks no pixel, but the picture lies among the defective ones; mark the defect or move the picture"
        case .wrongSize(let width, let height, let expectedWidth, let expectedHeight):
            """
            the mask has \(width)×\(height) pixels, but its picture and the picture's other masks have \
            \(expectedWidth)×\(expectedHeight); resize mask and picture alike
            """
        case .severalValues(let values):
            """
            the mask has the grey values \(Self.list(values)) beside 0; each defect has a mask of its own with one value
            """
        case .unknownValue(let value, let known):
            """
            the mask has the grey value \(value), which defects_config.json does not define (it has \
            \(Self.list(known))); add it there or correct the mask
            """
        case .nothingToFind(let value, let area):
            """
            of the region with grey value \(value), \(area) pixels large, the saturation threshold asks for less than \
            one pixel; raise the threshold or draw the mask at full size
            """
        }
    }

    private static func list(_ values: [UInt8]) -> String { values.map(String.init).joined(separator: ", ") }
}
