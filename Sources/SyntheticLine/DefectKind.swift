/// What can be wrong with a part on the line.
public enum DefectKind: String, CaseIterable, Codable, Hashable, Sendable {
    case missing
    case extra
    case swapped
    case misplaced
    case scratch
    case dent
    case stain
    case brokenEdge = "broken_edge"

    /// The kinds that break the kit's rule while every single part is sound.
    public static let logical: [DefectKind] = [.missing, .extra, .swapped, .misplaced]

    /// The kinds that damage a surface while the kit's rule holds.
    public static let structural: [DefectKind] = [.scratch, .dent, .stain, .brokenEdge]

    public var isLogical: Bool { Self.logical.contains(self) }
}

/// One row of `defects_config.json` (ALGORITHMS §5.5): what a grey value of the ground truth means and how much of the
/// region has to be found.
public struct DefectDefinition: Hashable, Sendable, Codable {
    /// How much found area counts as all of it.
    public enum Saturation: Hashable, Sendable {
        /// The area of one part: a missing nut could be anywhere on the floor, so finding a nut's worth is enough.
        case pixels(Int)
        /// The whole region.
        case wholeRegion
    }

    public let name: String

    /// The grey value of the region's mask, `1...255`.
    public let pixelValue: UInt8

    public let saturation: Saturation

    private enum CodingKeys: String, CodingKey {
        case name = "defect_name"
        case pixelValue = "pixel_value"
        case threshold = "saturation_threshold"
        case isRelative = "relative_saturation"
    }

    init(name: String, pixelValue: UInt8, saturation: Saturation) {
        self.name = name
        self.pixelValue = pixelValue
        self.saturation = saturation
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        name = try container.decode(String.self, forKey: .name)
        pixelValue = try container.decode(UInt8.self, forKey: .pixelValue)
        let isRelative = try container.decode(Bool.self, forKey: .isRelative)
        saturation = isRelative ? .wholeRegion : .pixels(try container.decode(Int.self, forKey: .threshold))
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(name, forKey: .name)
        try container.encode(pixelValue, forKey: .pixelValue)
        switch saturation {
        case .pixels(let area):
            try container.encode(area, forKey: .threshold)
            try container.encode(false, forKey: .isRelative)
        case .wholeRegion:
            try container.encode(1.0, forKey: .threshold)
            try container.encode(true, forKey: .isRelative)
        }
    }

    /// Every definition, for `defects_config.json`.
    public static let all: [DefectDefinition] =
        PartKind.allCases.map(missing) + PartKind.allCases.map(extra)
        + [.swapped, .misplaced, .scratch, .dent, .stain, .brokenEdge].map(wholeRegion)

    static func missing(_ part: PartKind) -> DefectDefinition {
        DefectDefinition(
            name: "missing_\(part.rawValue)", pixelValue: 255 - UInt8(part.ordinal), saturation: .pixels(part.area))
    }

    static func extra(_ part: PartKind) -> DefectDefinition {
        DefectDefinition(
            name: "extra_\(part.rawValue)", pixelValue: 245 - UInt8(part.ordinal), saturation: .pixels(part.area))
    }

    static func wholeRegion(_ kind: DefectKind) -> DefectDefinition {
        let ordinal = DefectKind.allCases.firstIndex(of: kind) ?? 0
        return DefectDefinition(name: kind.rawValue, pixelValue: 235 - UInt8(ordinal), saturation: .wholeRegion)
    }
}

extension PartKind {
    /// Position in `allCases`.
    var ordinal: Int { Self.allCases.firstIndex(of: self) ?? 0 }

    /// The silhouette's area in pixels, counted on the pixel grid.
    var area: Int {
        (-45...45).reduce(0) { sum, y in
            sum + (-45...45).count { silhouette(Vector(Float($0), Float(y))) <= 0 }
        }
    }
}
