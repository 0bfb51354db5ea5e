import InspectionProtocol

/// One of each message, with values that are easy to find again in its JSON.
enum Samples {
    static func envelope(sequence: SequenceNumber = 7) throws -> Envelope {
        Envelope(
            station: try StationName("line-1"), session: 12, sequence: sequence,
            sentAt: UTCTimestamp(microsecondsSince1970: 1_000_000), sentMonotonicMicroseconds: 5_000_000)
    }

    /// An accepted part, scored in replay.
    static var accepted: Verdict {
        Verdict(
            partID: 18_446_744_073_709_551_615, triggerID: 9_007_199_254_740_993, triggerSource: .everyFrame,
            capturedAt: UTCTimestamp(microsecondsSince1970: 0), capturedMonotonicMicroseconds: 4_000_000,
            timestampQuality: .file, disposition: .accept, reason: .none, inspected: true, score: 0.1, threshold: 2.5,
            deadlineMonotonicMicroseconds: nil, latencyMicroseconds: 12_345, deadlineMarginMicroseconds: nil,
            framesUsed: 1, recipe: "bottle", recipeRevision: 3, modelSHA256: "ab12", mode: .replay, simulated: true,
            consecutiveRejects: 0)
    }

    /// A part of which no usable frame exists, for an external trigger.
    static var uninspected: Verdict {
        Verdict(
            partID: 1, triggerID: 2, triggerSource: .external, plcToken: 3, encoder: -4, capturedAt: nil,
            capturedMonotonicMicroseconds: nil, timestampQuality: nil, disposition: .reject, reason: .uninspected,
            inspected: false, score: nil, threshold: nil, deadlineMonotonicMicroseconds: 10,
            gateDueMonotonicMicroseconds: 20, latencyMicroseconds: nil, deadlineMarginMicroseconds: -5, framesUsed: 0,
            recipe: "bottle", recipeRevision: 3, modelSHA256: nil, mode: .production, simulated: false,
            consecutiveRejects: 4)
    }

    static var result: PartResult {
        PartResult(
            verdict: accepted,
            details: PartResult.Details(
                picturable: BranchReport(raw: 0.25, mean: 0.125, deviation: 0.5, z: 0.25), unpicturable: nil,
                responsibleBranch: .picturable,
                regions: [AnomalousRegion(x: 1, y: 2, width: 3, height: 4, areaInPixels: 9, peak: 0.5, mean: 0.375)],
                stageDurations: StageDurations(preprocess: 800), frameIDs: [41, 42], evidence: .off, late: false))
    }

    static var heartbeat: Heartbeat {
        Heartbeat(
            count: 30, periodMilliseconds: 100, state: .starved, ready: true, running: true, lineStopRequest: false,
            lastPartID: 99, lastSequence: LastSequences(verdict: 99, result: 98), partsInFlight: 0,
            oldestInFlightMilliseconds: nil, lastFrameAgeMilliseconds: 17)
    }

    static var state: StateReport {
        StateReport(
            state: .running, ready: false, flags: [.replay],
            since: UTCTimestamp(microsecondsSince1970: 951_782_400_000_000),
            reason: nil, recipe: "bottle", modelSHA256: "ab12", configurationSHA256: nil, version: "0.1.0")
    }

    static var event: StationEvent {
        StationEvent(
            .evidenceStored, .info, "pictures stored", partID: 99, peer: nil, details: ["path": "evidence/12/99"])
    }

    static var health: HealthReport {
        var parts = PartCounts()
        for disposition in [Disposition.accept, .accept, .accept, .reject, .reject] { parts.count(disposition) }
        return HealthReport(
            frames: FrameTally(
                received: 9, gap: 1, notTriggered: 2, scored: 4, dropped: 1, corrupt: 1, stale: 0, unhealthy: 1,
                failed: 0),
            parts: PartTally(parts, rejectedByReason: [.late: 1, .anomaly: 1]),
            latency: LatencyReport(p50: 100, p90: 200, p99: 300, p999: 400, longest: 500, worstPartID: 98),
            queues: [QueueReport(name: "beltwatch.score", depth: 1, capacity: 4, processed: 4, dropped: 1)],
            camera: CameraReport(state: .streaming, reconnects: 2, lastError: nil),
            bus: BusReport(answered: 7, malformed: 1, denied: 2, replays: 30, dropped: 3),
            journal: JournalReport(written: 15, lost: [.result: 2], slowestCommitMicroseconds: 9000),
            evidence: EvidenceTally(stored: 2, dropped: 1), residentBytes: 1_000_000, openFiles: 20, freeDiskBytes: nil)
    }

    static var everyBody: [MessageBody] {
        [
            .verdict(accepted), .reject(uninspected), .result(result), .heartbeat(heartbeat), .state(state),
            .event(event), .health(health),
        ]
    }
}
