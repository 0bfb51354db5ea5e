import InspectionProtocol

/// What a station's surroundings say about it: the process, the disk, the recovery endpoint, the journal.
///
/// Measured elsewhere, because asking a disk or `/proc` may take its time; what is not known is nil.
public struct StationVitals: Hashable, Sendable {
    public var residentBytes: Int?
    public var openFiles: Int?
    public var freeDiskBytes: Int?
    public var bus = BusReport()
    public var journal: JournalReport?
    public var evidence: EvidenceTally?

    public init() {}
}

extension HealthReport {
    /// - Parameter worstPart: The part of the longest latency.
    init(
        frames: FrameCounts, parts: PartCounts, rejections: [Reason: Int], latencies: LatencyHistogram,
        worstPart: PartID?, stages: [StageProgress], camera: CameraReport, vitals: StationVitals
    ) {
        self.init(
            frames: FrameTally(
                received: frames.received, gap: frames.lost, notTriggered: frames.notTriggered, scored: frames.scored,
                dropped: frames.discarded, corrupt: frames.corrupt, stale: frames.stale, unhealthy: frames.unhealthy,
                failed: frames.failed),
            parts: PartTally(parts, rejectedByReason: rejections),
            latency: LatencyReport(
                p50: latencies.percentile(0.5)?.microseconds, p90: latencies.percentile(0.9)?.microseconds,
                p99: latencies.percentile(0.99)?.microseconds, p999: latencies.percentile(0.999)?.microseconds,
                longest: latencies.count == 0 ? nil : latencies.longest.microseconds, worstPartID: worstPart),
            queues: stages.map {
                QueueReport(
                    name: $0.name, depth: $0.waiting, capacity: $0.capacity, processed: $0.processed,
                    dropped: $0.discarded)
            },
            camera: camera, bus: vitals.bus, journal: vitals.journal, evidence: vitals.evidence,
            residentBytes: vitals.residentBytes,
            openFiles: vitals.openFiles, freeDiskBytes: vitals.freeDiskBytes)
    }
}
