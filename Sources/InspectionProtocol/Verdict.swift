/// What a station says about one part, published once per part on `verdict/` and, unless accepted, on `reject/`.
///
/// Times on the monotonic clock compare with each other on the same boot only. A field without a value is `null` in the
/// message, never NaN.
public struct Verdict: Hashable, Sendable {
    public var partID: PartID
    public var triggerID: TriggerID
    public var triggerSource: TriggerSource

    /// The controller's token, for external triggers.
    @ExplicitNull public var plcToken: PLCToken?

    /// The belt encoder's count at the trigger, for external triggers.
    @ExplicitNull public var encoder: Int64?

    /// When the shutter closed, for people; nil where no frame exists.
    @ExplicitNull public var capturedAt: UTCTimestamp?

    /// When the shutter closed, on the monotonic clock; nil where no frame exists.
    @ExplicitNull public var capturedMonotonicMicroseconds: UInt64?

    /// Who measured the capture time; nil where no frame exists.
    @ExplicitNull public var timestampQuality: TimestampQuality?
    public var disposition: Disposition

    // The reason is one idea but two fields of the message.
    private var reasonText: String
    private var reasonCode: Int

    /// Why the part was not accepted; `.none` where it was.
    public var reason: Reason {
        get { Reason(code: reasonCode, text: reasonText) }
        set { (reasonCode, reasonText) = (newValue.code, newValue.text) }
    }

    /// Whether a score was computed and decided.
    public var inspected: Bool

    /// The fused z; nil where none was computed in time. Must be finite to be sent.
    @ExplicitNull public var score: Double?

    /// The fused z above which a part is rejected; nil while no model is loaded.
    @ExplicitNull public var threshold: Double?

    /// Capture time, or for external triggers the time of the trigger, plus latency budget; nil in replay, which waits.
    @ExplicitNull public var deadlineMonotonicMicroseconds: UInt64?

    /// When the part reaches the gate; nil where the station does not know.
    @ExplicitNull public var gateDueMonotonicMicroseconds: UInt64?

    /// From capture to this verdict; nil where no frame exists.
    @ExplicitNull public var latencyMicroseconds: Int64?

    /// From this verdict to the deadline, negative when it was missed; nil without a deadline.
    @ExplicitNull public var deadlineMarginMicroseconds: Int64?
    public var framesUsed: Int
    public var recipe: String
    public var recipeRevision: Int

    /// Digest of the model that scored, hexadecimal; nil while no model is loaded.
    @ExplicitNull public var modelSHA256: String?
    public var mode: Mode

    /// Whether the frames are not happening now; a bridge never actuates on such a verdict.
    public var simulated: Bool

    /// How many parts in a row were rejected, this one included.
    public var consecutiveRejects: Int

    public init(
        partID: PartID, triggerID: TriggerID, triggerSource: TriggerSource, plcToken: PLCToken? = nil,
        encoder: Int64? = nil, capturedAt: UTCTimestamp?, capturedMonotonicMicroseconds: UInt64?,
        timestampQuality: TimestampQuality?, disposition: Disposition, reason: Reason, inspected: Bool, score: Double?,
        threshold: Double?, deadlineMonotonicMicroseconds: UInt64?, gateDueMonotonicMicroseconds: UInt64? = nil,
        latencyMicroseconds: Int64?, deadlineMarginMicroseconds: Int64?, framesUsed: Int, recipe: String,
        recipeRevision: Int, modelSHA256: String?, mode: Mode, simulated: Bool, consecutiveRejects: Int
    ) {
        self.partID = partID
        self.triggerID = triggerID
        self.triggerSource = triggerSource
        self.plcToken = plcToken
        self.encoder = encoder
        self.capturedAt = capturedAt
        self.capturedMonotonicMicroseconds = capturedMonotonicMicroseconds
        self.timestampQuality = timestampQuality
        self.disposition = disposition
        reasonText = reason.text
        reasonCode = reason.code
        self.inspected = inspected
        self.score = score
        self.threshold = threshold
        self.deadlineMonotonicMicroseconds = deadlineMonotonicMicroseconds
        self.gateDueMonotonicMicroseconds = gateDueMonotonicMicroseconds
        self.latencyMicroseconds = latencyMicroseconds
        self.deadlineMarginMicroseconds = deadlineMarginMicroseconds
        self.framesUsed = framesUsed
        self.recipe = recipe
        self.recipeRevision = recipeRevision
        self.modelSHA256 = modelSHA256
        self.mode = mode
        self.simulated = simulated
        self.consecutiveRejects = consecutiveRejects
    }
}

/// What made a part a part.
public enum TriggerSource: String, Codable, Hashable, Sendable, CaseIterable {
    case everyFrame = "every_frame"

    /// Every so many frames.
    case interval

    /// A part was seen in the picture.
    case presence

    /// A controller said so.
    case external

    /// The manifest of a recording said so.
    case replay
}

/// Who measured the capture time, best first.
public enum TimestampQuality: String, Codable, Hashable, Sendable, CaseIterable {
    case camera
    case rtpSender = "rtp_sender"
    case hostArrival = "host_arrival"
    case file
}

/// What a verdict is for.
public enum Mode: String, Codable, Hashable, Sendable, CaseIterable {
    case production

    /// A part with a known defect, sent through to prove the station.
    case challenge

    /// A model on trial beside the one that decides.
    case shadow
    case replay
}

extension Verdict: Codable {
    enum CodingKeys: String, CodingKey {
        case partID = "part_id"
        case triggerID = "trigger_id"
        case triggerSource = "trigger_source"
        case plcToken = "plc_token"
        case encoder
        case capturedAt = "captured_at"
        case capturedMonotonicMicroseconds = "captured_mono_us"
        case timestampQuality = "timestamp_quality"
        case disposition
        case reasonText = "reason"
        case reasonCode = "reason_code"
        case inspected
        case score
        case threshold
        case deadlineMonotonicMicroseconds = "deadline_mono_us"
        case gateDueMonotonicMicroseconds = "gate_due_mono_us"
        case latencyMicroseconds = "latency_us"
        case deadlineMarginMicroseconds = "deadline_margin_us"
        case framesUsed = "frames_used"
        case recipe
        case recipeRevision = "recipe_revision"
        case modelSHA256 = "model_sha256"
        case mode
        case simulated
        case consecutiveRejects = "consecutive_rejects"
    }
}
