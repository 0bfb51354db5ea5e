/// Why a part was not accepted, as the two fields `reason` and `reason_code` (PROTOCOL §3).
///
/// Where several reasons hold, the one that happened first on the frame's way wins. A reason that this version does
/// not know keeps its code and its text.
public struct Reason: Hashable, Sendable {
    public let code: Int
    public let text: String

    /// Accepted, nothing to explain.
    public static let none = Reason(code: 0, text: "none")

    /// The score lies above the threshold.
    public static let anomaly = Reason(code: 1, text: "anomaly")

    /// No usable frame exists.
    public static let uninspected = Reason(code: 2, text: "uninspected")
    public static let incompleteViews = Reason(code: 3, text: "incomplete_views")
    public static let corruptFrame = Reason(code: 4, text: "corrupt_frame")

    /// A usable frame was captured, but its score missed the deadline.
    public static let late = Reason(code: 5, text: "late")

    /// A full mailbox discarded the frame.
    public static let overload = Reason(code: 6, text: "overload")

    /// The station was neither running nor starved.
    public static let notReady = Reason(code: 7, text: "not_ready")
    public static let ambiguousPart = Reason(code: 8, text: "ambiguous_part")

    /// Also for a score that is NaN or infinite.
    public static let modelOrRecipeInvalid = Reason(code: 9, text: "model_or_recipe_invalid")
    public static let driftLockout = Reason(code: 10, text: "drift_lockout")
    public static let challengePart = Reason(code: 11, text: "challenge_part")
    public static let staleFrame = Reason(code: 12, text: "stale_frame")
    public static let imageHealth = Reason(code: 13, text: "image_health")

    /// Every reason of schema 1, each at the index of its code.
    public static let all: [Reason] = [
        none, anomaly, uninspected, incompleteViews, corruptFrame, late, overload, notReady, ambiguousPart,
        modelOrRecipeInvalid, driftLockout, challengePart, staleFrame, imageHealth,
    ]

    // Reasons come from the table or from a message.
    init(code: Int, text: String) {
        self.code = code
        self.text = text
    }
}
