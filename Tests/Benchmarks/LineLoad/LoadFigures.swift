import InspectionProtocol

/// What was measured over all runs before one audience.
struct LoadFigures: Codable, Sendable {
    var audience: Audience

    /// From the scheduled moment of capture to the verdict's arrival at the healthy subscriber, decoded.
    var captureToArrival: Distribution?

    /// The same, less what the scorer took for that part.
    var captureToArrivalWithoutScoring: Distribution?

    /// From the scheduled moment of capture to the verdict, `latency_us`.
    var captureToVerdict: Distribution?

    /// Parts of the above: until the generator had handed the frame over, in preprocessing, and in the scorer.
    var generator: Distribution?
    var preprocessing: Distribution?
    var scoring: Distribution?
    var counts = Counts()

    /// From handing a message over to the end of its sync, milliseconds.
    var slowestCommit: Double

    /// Physical memory of the station's process before the first part of the first run, and after the last of the last.
    var memoryBegin: Int
    var memoryEnd: Int

    /// What does not agree between plan, journal and subscribers.
    var disagreements: [String] = []

    struct Counts: Codable, Hashable, Sendable {
        var triggers = 0
        var verdictsInJournal = 0
        var resultsInJournal = 0
        var rejectsInJournal = 0

        /// Of the rejects, those that the machine was too slow for.
        var overloaded = 0
        var verdictsAtHealthy = 0

        /// Of these, those that came by REPLAY.
        var recoveredAtHealthy = 0
        var verdictsAtStopped: Int?
        var verdictsAtStoppedBeforeReplay: Int?
        var resultsAtStopped: Int?
        var resultsAtStoppedBeforeReplay: Int?
        var requestsAnswered: UInt64 = 0
        var requestsMalformed: UInt64 = 0
        var flood: FloodReport?

        enum CodingKeys: String, CodingKey {
            case triggers, overloaded, flood
            case verdictsInJournal = "verdicts_in_journal"
            case resultsInJournal = "results_in_journal"
            case rejectsInJournal = "rejects_in_journal"
            case verdictsAtHealthy = "verdicts_at_healthy"
            case recoveredAtHealthy = "recovered_at_healthy"
            case verdictsAtStopped = "verdicts_at_stopped"
            case verdictsAtStoppedBeforeReplay = "verdicts_at_stopped_before_replay"
            case resultsAtStopped = "results_at_stopped"
            case resultsAtStoppedBeforeReplay = "results_at_stopped_before_replay"
            case requestsAnswered = "requests_answered"
            case requestsMalformed = "requests_malformed"
        }
    }

    enum CodingKeys: String, CodingKey {
        case audience, counts, disagreements
        case captureToArrival = "capture_to_arrival_us"
        case captureToArrivalWithoutScoring = "capture_to_arrival_without_scoring_us"
        case captureToVerdict = "capture_to_verdict_us"
        case generator = "generator_us"
        case preprocessing = "preprocessing_us"
        case scoring = "scoring_us"
        case slowestCommit = "slowest_commit_ms"
        case memoryBegin = "rss_begin_bytes"
        case memoryEnd = "rss_end_bytes"
    }

    /// - Parameter records: Of one audience, at least one.
    init(_ records: [LoadRecord]) {
        typealias Samples = [(part: Int, microseconds: Int64)]
        var (arrivals, withoutScoring, verdicts): (Samples, Samples, Samples) = ([], [], [])
        var (generator, preprocessing, scoring): (Samples, Samples, Samples) = ([], [], [])
        var first = 0
        for record in records {
            let parts = Dictionary(
                record.kept.results.map { ($0.result.verdict.partID.value, $0.result) },
                uniquingKeysWith: { first, _ in first })
            for (number, late) in record.lateness.enumerated() {
                generator.append((first + number + 1, late.microseconds))
            }
            for arrival in record.healthy.verdicts {
                guard let part = parts[arrival.partID], let captured = part.verdict.capturedMonotonicMicroseconds
                else { continue }
                let number = first + Int(clamping: part.verdict.triggerID.value)
                let latency = Int64(clamping: arrival.arrivedMicroseconds) - Int64(clamping: captured)
                let stages = part.details.stageDurations
                arrivals.append((number, latency))
                withoutScoring.append((number, latency - (stages.picturable ?? 0)))
                if let made = arrival.latencyMicroseconds { verdicts.append((number, made)) }
                if let time = stages.preprocess { preprocessing.append((number, time)) }
                if let time = stages.picturable { scoring.append((number, time)) }
            }
            first += record.plan.parts
        }
        audience = records[0].audience
        captureToArrival = Distribution(arrivals)
        captureToArrivalWithoutScoring = Distribution(withoutScoring)
        captureToVerdict = Distribution(verdicts)
        self.generator = Distribution(generator)
        self.preprocessing = Distribution(preprocessing)
        self.scoring = Distribution(scoring)
        slowestCommit = records.map { $0.journal.slowestCommit / .milliseconds(1) }.max() ?? 0
        memoryBegin = records[0].memory.begin
        memoryEnd = records[records.count - 1].memory.end
        for record in records {
            counts.add(record)
            disagreements +=
                LoadCheck(
                    plan: record.plan, start: record.start, kept: record.kept, healthy: record.healthy,
                    stopped: record.stopped
                ).disagreements
        }
    }
}

extension LoadFigures.Counts {
    fileprivate mutating func add(_ record: LoadRecord) {
        triggers += record.plan.parts
        verdictsInJournal += record.kept.verdicts.count
        resultsInJournal += record.kept.results.count
        rejectsInJournal += record.kept.rejects.count
        overloaded += record.kept.results.count { LoadPlan.overloadReasons.contains($0.result.verdict.reason) }
        verdictsAtHealthy += record.healthy.verdicts.count
        recoveredAtHealthy += record.healthy.verdicts.count(where: \.isRecovered)
        requestsAnswered += record.recovery.answered
        requestsMalformed += record.recovery.malformed
        if let stopped = record.stopped {
            verdictsAtStopped = (verdictsAtStopped ?? 0) + stopped.verdicts.count
            resultsAtStopped = (resultsAtStopped ?? 0) + stopped.results.count
            verdictsAtStoppedBeforeReplay =
                (verdictsAtStoppedBeforeReplay ?? 0) + stopped.verdicts.count { !$0.isRecovered }
            resultsAtStoppedBeforeReplay =
                (resultsAtStoppedBeforeReplay ?? 0) + stopped.results.count { !$0.isRecovered }
        }
        if let flood = record.flood { self.flood = (self.flood ?? FloodReport()) + flood }
    }
}

extension FloodReport {
    static func + (left: Self, right: Self) -> Self {
        FloodReport(
            messages: left.messages + right.messages, requests: left.requests + right.requests,
            answers: left.answers + right.answers, garbage: left.garbage + right.garbage,
            connections: left.connections + right.connections)
    }
}
