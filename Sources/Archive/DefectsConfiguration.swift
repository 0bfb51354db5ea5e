import Glibc

/// `defects_config.json` of a data set in MVTec LOCO AD layout: what each grey value of the masks means (ALGORITHMS §5.5).
public struct DefectsConfiguration: Hashable, Sendable {
    /// One kind of defect.
    public struct Defect: Hashable, Sendable {
        public let name: String

        /// The grey value of its masks, `1...255`, its own.
        public let pixelValue: UInt8

        /// How much has to be found before all of it counts as found: pixels, a whole number from 1 on, or a share of the
        /// region's area, above 0 and at most 1.
        public let saturationThreshold: Double

        /// Whether the threshold is a share.
        public let isRelative: Bool
    }

    /// In the file's order; at least one.
    public let defects: [Defect]

    /// - Throws: `DatasetError.file` where it cannot be read, `.defects` where it says something else.
    public init(path: String) throws(DatasetError) {
        let text: String
        do {
            let file = try OpenFile(path, O_RDONLY | O_NONBLOCK)
            // The data set's own have some 3 kB; the limit keeps a foreign file out of memory.
            text = String(decoding: try file.read(min(file.regularFileSize(), 1 << 20)), as: UTF8.self)
        } catch {
            throw .file(error)
        }
        do {
            try self.init(json: text)
        } catch {
            throw .defects(path: path, error)
        }
    }

    init(json: String) throws(DefectsConfigurationError) {
        let entries: [Entry]
        do { entries = try CanonicalJSON.value([Entry].self, from: json) } catch {
            throw .notAList(reason: error.description)
        }
        guard !entries.isEmpty else { throw .empty }
        var seen: Set<Int> = []
        var defects: [Defect] = []
        for entry in entries {
            guard let value = UInt8(exactly: entry.pixelValue), value > 0 else {
                throw .pixelValueOutOfRange(entry.pixelValue, defect: entry.name)
            }
            guard seen.insert(entry.pixelValue).inserted else { throw .repeatedPixelValue(value, defect: entry.name) }
            let threshold = entry.saturationThreshold
            let isUsable = entry.isRelative ? threshold > 0 && threshold <= 1 : (Int(exactly: threshold) ?? 0) >= 1
            guard isUsable else {
                throw .unusableThreshold(threshold, isRelative: entry.isRelative, defect: entry.name)
            }
            defects.append(
                Defect(
                    name: entry.name, pixelValue: value, saturationThreshold: threshold, isRelative: entry.isRelative))
        }
        self.defects = defects
    }

    private struct Entry: Decodable {
        var name: String
        var pixelValue: Int
        var saturationThreshold: Double
        var isRelative: Bool

        enum CodingKeys: String, CodingKey {
            case name = "defect_name"
            case pixelValue = "pixel_value"
            case saturationThreshold = "saturation_threshold"
            case isRelative = "relative_saturation"
        }
    }
}

/// Why a `defects_config.json` cannot be used.
public enum DefectsConfigurationError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Not JSON, or not a list of defects with the four keys.
    case notAList(reason: String)
    case empty
    case pixelValueOutOfRange(Int, defect: String)
    case repeatedPixelValue(UInt8, defect: String)
    case unusableThreshold(Double, isRelative: Bool, defect: String)

    public var description: String {
        switch self {
        case .notAList(let reason):
            """
            it is no list of objects with 'defect_name', 'pixel_value', 'saturation_threshold' and \
            'relative_saturation': \(reason)
            """
        case .empty:
            "it lists no defect; each grey value of the masks needs one"
        case .pixelValueOutOfRange(let value, let defect):
            "'pixel_value' of '\(defect)' is \(value); masks hold 1 to 255"
        case .repeatedPixelValue(let value, let defect):
            "'pixel_value' of '\(defect)', \(value), belongs to another defect already; each needs its own"
        case .unusableThreshold(let threshold, let isRelative, let defect):
            """
            'saturation_threshold' of '\(defect)' is \(threshold); with 'relative_saturation' \(isRelative) it must be \
            \(isRelative ? "above 0 and at most 1, a share of the area" : "a whole number of pixels from 1 on")
            """
        }
    }
}
