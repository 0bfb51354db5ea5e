import InspectionProtocol

enum Samples {
    static let verdict = Verdict(
        partID: 3, triggerID: 4, triggerSource: .interval, capturedAt: nil, capturedMonotonicMicroseconds: nil,
        timestampQuality: nil, disposition: .reject, reason: .uninspected, inspected: false, score: nil,
        threshold: 2.5, deadlineMonotonicMicroseconds: 9, latencyMicroseconds: nil, deadlineMarginMicroseconds: 6,
        framesUsed: 0, recipe: "bottle", recipeRevision: 1, modelSHA256: "ab", mode: .production, simulated: false,
        consecutiveRejects: 1)

    static let result = PartResult(
        verdict: verdict,
        details: PartResult.Details(
            picturable: nil, unpicturable: nil, responsibleBranch: nil, regions: nil,
            stageDurations: StageDurations(), frameIDs: [], evidence: .off, late: false))

    static func heartbeat(_ last: LastSequences) -> Heartbeat {
        Heartbeat(
            count: 1, periodMilliseconds: 100, state: .running, ready: true, running: true, lineStopRequest: false,
            lastPartID: nil, lastSequence: last, partsInFlight: 0, oldestInFlightMilliseconds: nil,
            lastFrameAgeMilliseconds: nil)
    }

    static func snapshot(
        _ last: LastSequences = LastSequences(), session: SessionNumber = 1, station: StationName
    ) -> StationSnapshot {
        StationSnapshot(
            station: station, session: session,
            state: StateReport(
                state: .running, ready: true, flags: [], since: UTCTimestamp(microsecondsSince1970: 0), reason: nil,
                recipe: "bottle", modelSHA256: nil, configurationSHA256: nil, version: "1"),
            lastPartID: nil, lastSequence: last, replayable: [:])
    }

    static func greeting(
        boot: String = "boot", at microseconds: UInt64 = 0, session: SessionNumber = 1, station: StationName
    ) -> StationGreeting {
        StationGreeting(
            bootID: boot, station: station, session: session, monotonicMicroseconds: microseconds,
            sentAt: UTCTimestamp(microsecondsSince1970: 0))
    }
}

/// A station that numbers what it says; its clock stands still unless it is moved.
struct TestStation {
    let name: StationName
    var monotonicMicroseconds: UInt64 = 1_000_000
    private var writer: MessageWriter

    init(session: SessionNumber = 1) {
        guard let name = try? StationName("line-1") else { preconditionFailure("line-1 names a station") }
        self.name = name
        writer = MessageWriter(station: name, session: session)
    }

    mutating func write(_ body: MessageBody) throws -> EncodedMessage {
        try writer.write(body, sentAt: .now(), monotonicMicroseconds: monotonicMicroseconds)
    }

    mutating func heartbeat() throws -> EncodedMessage {
        try write(
            .heartbeat(
                Samples.heartbeat(
                    LastSequences(verdict: writer.lastSequence(of: .verdict), reject: writer.lastSequence(of: .reject)))
            ))
    }
}
