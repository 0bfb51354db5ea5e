import InspectionProtocol
import Journal

extension StationEvent {
    /// What a new session has to say, also about the one before.
    ///
    /// - Parameters:
    ///   - modelSHA256: Of the model's file, as `configurationSHA256` of the station's, hexadecimal.
    ///   - previous: As the journal knows it.
    static func atStart(
        modelSHA256: String?, configurationSHA256: String?, after previous: JournalSession?
    ) -> [StationEvent] {
        var events: [StationEvent] = []
        if let previous, previous.endedAt == nil {
            events.append(
                StationEvent(
                    .sessionLost, .warning,
                    "session \(previous.number) did not end in order; parts that were in flight then have no verdict",
                    details: ["session": "\(previous.number)"]))
        }
        func note(_ name: Name, _ what: String, from before: String?, to now: String?) {
            guard let before, let now, before != now else { return }
            events.append(
                StationEvent(
                    name, .info, "\(what) changed from \(before.prefix(12))… to \(now.prefix(12))…",
                    details: ["from": before, "to": now]))
        }
        note(.modelChanged, "model", from: previous?.modelSHA256, to: modelSHA256)
        note(
            .configurationChanged, "configuration", from: previous?.configurationSHA256, to: configurationSHA256)
        var details = ["version": SoftwareVersion.current]
        details["model_sha256"] = modelSHA256
        details["config_sha256"] = configurationSHA256
        events.append(
            StationEvent(.sessionStarted, .info, "Beltwatch \(SoftwareVersion.current) starts", details: details))
        return events
    }
}
