/// Labelled pictures of single trays, laid out like MVTec LOCO AD (ALGORITHMS §5.1).
///
/// A value: the list of items is made at once, each picture when it is asked for, and always the same for the same
/// configuration. Items are independent of each other's number, so a longer training split begins like a shorter one.
public struct SyntheticDataset: Sendable {
    public struct Configuration: Hashable, Sendable {
        /// Another seed gives other pictures of the same kind.
        public var seed: UInt64 = 1
        /// Good pictures to train on.
        public var trainingCount = 360
        /// Good pictures to calibrate on.
        public var validationCount = 60
        /// Good pictures of the test split.
        public var goodCount = 120
        /// Pictures with a logical defect, the four kinds in turn.
        public var logicalCount = 240
        /// Pictures with a structural defect, the four kinds in turn.
        public var structuralCount = 120

        public init() {}
    }

    public let configuration: Configuration

    /// All pictures, split after split.
    public let items: [SyntheticItem]

    /// - Precondition: No count is negative.
    public init(_ configuration: Configuration = Configuration()) {
        self.configuration = configuration
        let counts: [(SyntheticItem.Split, Int)] = [
            (.trainingGood, configuration.trainingCount), (.validationGood, configuration.validationCount),
            (.testGood, configuration.goodCount), (.testLogical, configuration.logicalCount),
            (.testStructural, configuration.structuralCount),
        ]
        items = counts.flatMap { split, count in
            (0..<count).map { SyntheticItem(seed: configuration.seed, split: split, index: $0) }
        }
    }

    /// The contents of `defects_config.json`.
    public static var defectDefinitions: [DefectDefinition] { DefectDefinition.all }
}

/// One picture of the data set, to be rendered on demand.
public struct SyntheticItem: Hashable, Sendable {
    /// The folder a picture goes into.
    public enum Split: String, CaseIterable, Hashable, Sendable {
        case trainingGood = "train/good"
        case validationGood = "validation/good"
        case testGood = "test/good"
        case testLogical = "test/logical_anomalies"
        case testStructural = "test/structural_anomalies"

        /// The kinds of defect that its pictures take turns with; none for good ones.
        var defects: [DefectKind] {
            switch self {
            case .trainingGood, .validationGood, .testGood: []
            case .testLogical: DefectKind.logical
            case .testStructural: DefectKind.structural
            }
        }
    }

    public let split: Split
    public let index: Int
    /// What is wrong; nil for a good part.
    public let defect: DefectKind?
    let seed: UInt64

    init(seed: UInt64, split: Split, index: Int) {
        self.split = split
        self.index = index
        defect = split.defects.isEmpty ? nil : split.defects[index % split.defects.count]
        let ordinal = Split.allCases.firstIndex(of: split) ?? 0
        var source = RandomSource(seed: seed).stream(UInt64(ordinal)).stream(UInt64(index))
        self.seed = source.next()
    }

    /// The number as file names carry it: at least three digits.
    public var identifier: String {
        Self.threeDigits(index)
    }

    /// Where the picture goes, from the data set's root.
    public var imagePath: String { "\(split.rawValue)/\(identifier).png" }

    /// Where the mask of one region goes, from the data set's root; nil for good parts.
    public func maskPath(region: Int) -> String? {
        guard defect != nil else { return nil }
        let folder = split.rawValue.dropFirst("test/".count)
        return "ground_truth/\(folder)/\(identifier)/\(Self.threeDigits(region)).png"
    }

    private static func threeDigits(_ number: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, 3 - digits.count)) + digits
    }

    /// Draws the picture and its ground truth.
    public func render() -> LabelledImage {
        let scene = scene(soundTwin: false)
        let canvas = SceneRenderer.draw(scene)
        return LabelledImage(
            image: SceneRenderer.expose(canvas, light: scene.light, noiseSeed: scene.noiseSeed),
            masks: SceneRenderer.masks(of: scene.trays[0], on: canvas))
    }

    /// The scene; the sound twin is the same one without the defect.
    func scene(soundTwin: Bool) -> Scene {
        let source = RandomSource(seed: seed)
        let specimen = Specimen(seed: seed, defect: defect, soundTwin: soundTwin)
        var belt = source.stream(11)
        var lamp = source.stream(12)
        var sensor = source.stream(13)
        let middle = Vector(Float(SceneRenderer.side), Float(SceneRenderer.side)) / 2
        let tray = Scene.Tray(
            specimen: specimen,
            pose: Pose(origin: middle + specimen.pose.origin, direction: specimen.pose.direction))
        return Scene(
            beltTravel: belt.uniform(0...65_536).rounded(), trays: [tray], light: .random(using: &lamp),
            noiseSeed: sensor.next())
    }
}

/// A picture with its ground truth.
public struct LabelledImage: Hashable, Sendable {
    public let image: RenderedImage
    /// One per region; empty for a good part.
    public let masks: [DefectMask]
}
