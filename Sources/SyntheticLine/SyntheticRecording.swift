/// Trays passing under the camera at constant pitch.
///
/// The belt moves the same distance from frame to frame, lamp and lens drift slowly, and every part comes to stand in
/// the middle of the picture, as in `SyntheticDataset`, in its trigger frame. At other frames a tray is cut by the
/// picture's edge or two trays share it.
public struct SyntheticRecording: Sendable {
    public struct Configuration: Hashable, Sendable {
        /// Another seed gives another recording of the same kind.
        public var seed: UInt64 = 1
        /// Parts without defect.
        public var goodCount = 70
        /// Parts with a logical defect, the four kinds in equal numbers as far as they go.
        public var logicalCount = 35
        /// Parts with a structural defect, the four kinds in equal numbers as far as they go.
        public var structuralCount = 15
        /// More frames show more of the way and make the recording longer.
        public var framesPerPart = 8
        public var framesPerSecond = 30

        public init() {}
    }

    /// From one tray's middle to the next, in pixels: no other tray is in view in a trigger frame.
    static let pitch: Float = 336

    public let configuration: Configuration
    public let manifest: RecordingManifest
    private let specimens: [Specimen]

    /// - Precondition: No count is negative, `framesPerPart` and `framesPerSecond` are at least 1.
    public init(_ configuration: Configuration = Configuration()) {
        precondition(configuration.framesPerPart >= 1, "a part needs at least one frame")
        precondition(configuration.framesPerSecond >= 1, "a recording needs at least one frame a second")
        self.configuration = configuration
        let source = RandomSource(seed: configuration.seed).stream(101)

        let inOrder: [DefectKind?] =
            Array(repeating: nil, count: configuration.goodCount)
            + (0..<configuration.logicalCount).map { DefectKind.logical[$0 % DefectKind.logical.count] }
            + (0..<configuration.structuralCount).map { DefectKind.structural[$0 % DefectKind.structural.count] }
        var shuffling = source.stream(1)
        let defects = shuffling.shuffled(inOrder)

        let every = configuration.framesPerPart
        let offset = every / 2
        specimens = defects.enumerated().map { index, defect in
            var own = source.stream(2).stream(UInt64(index))
            return Specimen(seed: own.next(), defect: defect)
        }
        let parts = zip(defects, specimens).enumerated().map { index, pair in
            let (defect, specimen) = pair
            return RecordingManifest.Part(
                part: index, triggerFrame: offset + index * every,
                label: defect.map { $0.isLogical ? .logical : .structural } ?? .good, defect: defect,
                regions: specimen.findings.map(\.definition.name))
        }
        manifest = RecordingManifest(
            width: SceneRenderer.side, height: SceneRenderer.side, framesPerSecond: configuration.framesPerSecond,
            frameCount: every * defects.count, seed: configuration.seed,
            trigger: RecordingManifest.Trigger(every: every, offset: offset), parts: parts)
    }

    /// Draws one frame.
    ///
    /// - Parameter number: In `0..<manifest.frameCount`.
    public func frame(_ number: Int) -> RenderedImage {
        SceneRenderer.photograph(scene(at: number))
    }

    /// When a frame is shown, from the start of the recording.
    public func presentationTime(ofFrame number: Int) -> Duration {
        .nanoseconds(Int64(number) * 1_000_000_000 / Int64(configuration.framesPerSecond))
    }

    /// Draws a part's trigger frame with its ground truth.
    ///
    /// - Parameter part: In `0..<manifest.parts.count`.
    public func triggerFrame(ofPart part: Int) -> LabelledImage {
        let number = manifest.parts[part].triggerFrame
        let scene = scene(at: number)
        let canvas = SceneRenderer.draw(scene)
        guard let tray = scene.trays.first(where: { $0.specimen == specimens[part] }) else {
            preconditionFailure("part \(part) is not in its trigger frame")
        }
        return LabelledImage(
            image: SceneRenderer.expose(canvas, light: scene.light, noiseSeed: scene.noiseSeed),
            masks: SceneRenderer.masks(of: tray, on: canvas))
    }

    func scene(at number: Int) -> Scene {
        precondition((0..<manifest.frameCount).contains(number), "frame \(number) is outside the recording")
        let step = Self.pitch / Float(configuration.framesPerPart)
        let side = Float(SceneRenderer.side)
        let inView = side / 2 + KitTray.halfSize.length + 16
        let trays = specimens.indices.compactMap { index -> Scene.Tray? in
            let travelled = Float(number - manifest.parts[index].triggerFrame) * step
            let middle = Vector(side / 2 + travelled, side / 2) + specimens[index].pose.origin
            guard abs(middle.x - side / 2) < inView else { return nil }
            return Scene.Tray(
                specimen: specimens[index], pose: Pose(origin: middle, direction: specimens[index].pose.direction))
        }
        let source = RandomSource(seed: configuration.seed).stream(102)
        var lamp = source.stream(1)
        var sensor = source.stream(2).stream(UInt64(number))
        let light = Light.drifting(at: Float(number) / Float(configuration.framesPerPart), seed: lamp.next())
        return Scene(
            beltTravel: Float(number) * step, trays: trays, light: light, noiseSeed: sensor.next())
    }
}
