import Imaging
import InspectionProtocol
import TensorKernels

/// What can be shown of a part that was looked at.
public struct PartPicture: Sendable {
    /// Holds a token of its pool for as long as the picture is kept in memory.
    public var frame: Frame

    /// The canonical anomaly map, `[1, 256, 256]`; nil where nothing was scored.
    public var map: Tensor?

    public init(frame: Frame, map: Tensor? = nil) {
        self.frame = frame
        self.map = map
    }
}

/// What keeps the pictures of parts, as the decision path sees it.
public protocol EvidenceKeeper: Sendable {
    /// Takes over the pictures of a part that is not accepted.
    ///
    /// Called on `beltwatch.decide`, and must not wait: whatever takes time moves to a queue of its own.
    ///
    /// - Parameters:
    ///   - pictures: One for every frame that shows the part, at least one.
    ///   - result: The `result/` message that is about to be published.
    /// - Returns: The same message, which now says where the pictures are going, or that they were dropped.
    func keep(_ pictures: [PartPicture], with result: Message) -> Message

    /// Whether pictures are being lost, asked as often as `RecordKeeper.recordCondition` is: the flag `degraded_evidence`.
    var isDegraded: Bool { get }
}
