import InspectionProtocol

/// Messages as comma-separated values (RFC 4180): CRLF after every line, and quotes around what needs them.
enum JournalCSV {
    /// How a field is taken from a message, and from what it says about its part.
    private typealias Column = (name: String, value: @Sendable (Message, Verdict?, PartResult.Details?) -> String?)

    /// A new one goes to the end, where nobody's spreadsheet minds.
    private static let columns: [Column] = [
        ("kind", { message, _, _ in message.body.kind.rawValue }),
        ("session", { message, _, _ in "\(message.envelope.session)" }),
        ("seq", { message, _, _ in "\(message.envelope.sequence)" }),
        ("t_utc", { message, _, _ in "\(message.envelope.sentAt)" }),
        ("station", { message, _, _ in message.envelope.station.text }),
        ("part_id", { message, verdict, _ in (message.event?.partID ?? verdict?.partID).map { "\($0)" } }),
        ("trigger_id", { _, verdict, _ in (verdict?.triggerID).map { "\($0)" } }),
        ("captured_at", { _, verdict, _ in (verdict?.capturedAt).map { "\($0)" } }),
        ("disposition", { _, verdict, _ in verdict?.disposition.rawValue }),
        ("reason", { _, verdict, _ in verdict?.reason.text }),
        ("inspected", { _, verdict, _ in (verdict?.inspected).map { "\($0)" } }),
        ("score", { _, verdict, _ in (verdict?.score).map { "\($0)" } }),
        ("threshold", { _, verdict, _ in (verdict?.threshold).map { "\($0)" } }),
        ("latency_us", { _, verdict, _ in (verdict?.latencyMicroseconds).map { "\($0)" } }),
        ("deadline_margin_us", { _, verdict, _ in (verdict?.deadlineMarginMicroseconds).map { "\($0)" } }),
        ("recipe", { _, verdict, _ in verdict?.recipe }),
        ("recipe_revision", { _, verdict, _ in (verdict?.recipeRevision).map { "\($0)" } }),
        ("model_sha256", { _, verdict, _ in verdict?.modelSHA256 }),
        ("simulated", { _, verdict, _ in (verdict?.simulated).map { "\($0)" } }),
        ("picturable_z", { _, _, details in (details?.picturable?.z).map { "\($0)" } }),
        ("unpicturable_z", { _, _, details in (details?.unpicturable?.z).map { "\($0)" } }),
        ("branch_responsible", { _, _, details in details?.responsibleBranch?.rawValue }),
        ("late", { _, _, details in (details?.late).map { "\($0)" } }),
        ("event", { message, _, _ in message.event?.name.rawValue }),
        ("severity", { message, _, _ in message.event?.severity.rawValue }),
        ("message", { message, _, _ in message.event?.message }),
        ("peer", { message, _, _ in message.event?.peer }),
        ("evidence", { message, _, details in details?.evidence.path ?? message.evidenceEvent?.details["path"] }),
        ("evidence_state", { message, _, details in (details?.evidence.state ?? message.evidenceState)?.rawValue }),
        ("evidence_sha256", { message, _, _ in message.evidenceEvent?.details["sha256"] }),
        ("plc_token", { _, verdict, _ in (verdict?.plcToken).map { "\($0)" } }),
        ("encoder", { _, verdict, _ in (verdict?.encoder).map { "\($0)" } }),
    ]

    static var header: String { line(columns.map(\.name)) }

    static func line(of message: Message) -> String {
        var details: PartResult.Details?
        if case .result(let result) = message.body { details = result.details }
        return line(columns.map { $0.value(message, message.verdict, details) ?? "" })
    }

    static func line(_ fields: [String]) -> String { fields.map(quoted).joined(separator: ",") + "\r\n" }

    private static func quoted(_ field: String) -> String {
        // Scalars, because a carriage return and a line feed are one character.
        let needsQuotes = field.unicodeScalars.contains { ",\"\r\n".unicodeScalars.contains($0) }
        return needsQuotes ? "\"" + field.replacing("\"", with: "\"\"") + "\"" : field
    }
}

extension Message {
    fileprivate var event: StationEvent? { if case .event(let event) = body { event } else { nil } }

    /// What became of pictures that were queued.
    fileprivate var evidenceState: Evidence.State? {
        switch event?.name {
        case .evidenceStored?: .stored
        case .evidenceDropped?: .dropped
        default: nil
        }
    }

    fileprivate var evidenceEvent: StationEvent? { evidenceState == nil ? nil : event }
}
