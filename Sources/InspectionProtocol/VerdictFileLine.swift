/// One part in the verdict file of a replay: what must not change when the replay is repeated.
///
/// The same recording, model and configuration give the same bytes (DESIGN §3). So there is no session, clock or latency
/// in it, keys are sorted, and a number is the shortest text that reads back as the same `Double`.
public struct VerdictFileLine: Hashable, Sendable, Codable {
    /// One branch's part in the score.
    public struct Branch: Hashable, Sendable, Codable {
        public let raw: Double
        public let z: Double
    }

    public let partID: PartID
    public let triggerID: TriggerID
    public let triggerSource: TriggerSource
    public let frameIDs: [FrameID]
    public let disposition: Disposition
    private let reasonText: String
    private let reasonCode: Int
    @ExplicitNull public private(set) var score: Double?
    @ExplicitNull public private(set) var threshold: Double?
    @ExplicitNull public private(set) var picturable: Branch?
    @ExplicitNull public private(set) var unpicturable: Branch?
    public let simulated: Bool
    public let recipe: String
    @ExplicitNull public private(set) var modelSHA256: String?

    /// What the result says, less what differs from run to run.
    public init(_ result: PartResult) {
        let verdict = result.verdict
        partID = verdict.partID
        triggerID = verdict.triggerID
        triggerSource = verdict.triggerSource
        frameIDs = result.details.frameIDs
        disposition = verdict.disposition
        reasonText = verdict.reason.text
        reasonCode = verdict.reason.code
        score = verdict.score
        threshold = verdict.threshold
        picturable = result.details.picturable.map { Branch(raw: $0.raw, z: $0.z) }
        unpicturable = result.details.unpicturable.map { Branch(raw: $0.raw, z: $0.z) }
        simulated = verdict.simulated
        recipe = verdict.recipe
        modelSHA256 = verdict.modelSHA256
    }

    public var reason: Reason { Reason(code: reasonCode, text: reasonText) }

    /// UTF-8 JSON without the line's end.
    ///
    /// - Throws: `MessageError.notFinite` where a number is NaN or infinite.
    public func encoded() throws(MessageError) -> [UInt8] {
        try JSONBytes.encode(self)
    }

    enum CodingKeys: String, CodingKey {
        case partID = "part_id"
        case triggerID = "trigger_id"
        case triggerSource = "trigger_source"
        case frameIDs = "frame_ids"
        case disposition
        case reasonText = "reason"
        case reasonCode = "reason_code"
        case score
        case threshold
        case picturable
        case unpicturable
        case simulated
        case recipe
        case modelSHA256 = "model_sha256"
    }
}
