import AnomalyScoring
import Imaging
import InspectionProtocol
import Locking
import Testing

@testable import InspectionRuntime

/// What a station says about itself beside its verdicts.
@Suite struct StationEventTests {
    private let source = PushedSource()

    private func line(
        _ scorer: any PartScorer = StandInScorer(), record: (any RecordKeeper)? = nil,
        configure: (inout InspectionPipeline.Configuration) -> Void = { _ in }
    ) throws -> TestLine {
        let line = try TestLine(
            scorer, pace: .live(budget: .seconds(30), capacity: 64), record: record, configure: configure)
        line.start(source)
        return line
    }

    private func end(_ line: TestLine) throws {
        source.stop()
        _ = try line.result()
        line.pipeline.shutDown()
    }

    private func judge(_ count: Int, on line: TestLine, from first: Int = 0) {
        for number in first..<first + count { source.push(greyFrame(number)) }
        #expect(line.log.wait { $0.compactMap(\.verdict).count == first + count })
    }

    @Test func everyChangeOfStateIsAnEvent() throws {
        let line = try line()
        judge(1, on: line)
        try end(line)
        let changes = line.log.events.filter { $0.name == .stateChanged }
        #expect(
            changes.map { "\($0.details["from"] ?? "") \($0.details["to"] ?? "")" } == [
                "preoperational initialized", "initialized ready", "ready running", "running halted",
            ])
        #expect(changes.allSatisfy { $0.severity == .info })
    }

    @Test func aLineStopIsAnAlarmAndItsResetNamesWhoDidIt() throws {
        let line = try line(StandInScorer { _ in 9 }) { $0.lineStop = .init(consecutiveRejects: 2) }
        judge(2, on: line)
        #expect(line.log.wait { $0.contains { $0.event?.name == .lineStop } })
        #expect(line.pipeline.perform(.reset, by: "night shift") == .accepted)
        try end(line)
        let stop = try #require(line.log.events.first { $0.name == .lineStop })
        #expect(stop.severity == .alarm && stop.partID == line.log.verdicts[1].partID)
        let reset = try #require(line.log.events.first { $0.name == .lineStopReset })
        #expect(reset.peer == "night shift")
        let command = try #require(line.log.events.first { $0.name == .command })
        #expect(command.peer == "night shift" && command.details == ["command": "Reset", "accepted": "true"])
    }

    @Test func aLineStopOfAnEarlierSessionHoldsThisOne() throws {
        let line = try line { $0.standingLineStop = "3 rejects in a row: line stop until it is reset" }
        judge(2, on: line)
        #expect(line.log.verdicts.map(\.reason) == [.notReady, .notReady])
        #expect(line.log.states.last == .held)
        // It was told when it happened.
        #expect(!line.log.events.contains { $0.name == .lineStop })
        #expect(line.pipeline.perform(.reset) == .accepted)
        judge(1, on: line, from: 2)
        #expect(line.log.verdicts.last?.disposition == .accept)
        try end(line)
    }

    @Test func withoutACommandAStationIsReadyAndJudgesNothing() throws {
        let line = try line { $0.armsItself = false }
        guard case .refused(let early) = line.pipeline.perform(.arm) else {
            Issue.record("armed without a frame")
            return
        }
        #expect(early.reason == .wrongState)
        judge(2, on: line)
        #expect(line.log.states.last == .ready)
        #expect(line.log.verdicts.map(\.reason) == [.notReady, .notReady])
        #expect(line.pipeline.perform(.arm) == .accepted)
        judge(1, on: line, from: 2)
        #expect(line.log.verdicts.last?.disposition == .accept && line.log.states.last == .running)
        guard case .refused(let again) = line.pipeline.perform(.arm) else {
            Issue.record("armed twice")
            return
        }
        #expect(again.reason == .wrongState)
        try end(line)
    }

    @Test func partsBeforeTheArmingStopNoLine() throws {
        let line = try line {
            $0.armsItself = false
            $0.lineStop = .init(consecutiveRejects: 2, uninspected: 2)
        }
        judge(5, on: line)
        #expect(line.log.states.last == .ready && !line.log.events.contains { $0.name == .lineStop })
        #expect(line.pipeline.perform(.arm) == .accepted)
        judge(1, on: line, from: 5)
        #expect(line.log.verdicts.last?.disposition == .accept)
        try end(line)
    }

    /// A scorer that hangs for longer than anybody waits: the part is answered all the same, and once.
    @Test func aLineThatEndsAnswersWhatHangs() throws {
        let scorer = StandInScorer(held: true)
        let line = try line(scorer)
        source.push(greyFrame(0))
        #expect(scorer.waitUntilEntered(1))
        line.pipeline.shutDown()
        #expect(line.log.verdicts.map(\.reason) == [.late])
        let count = line.log.all.count
        scorer.release()
        source.stop()
        _ = try line.result()
        #expect(line.log.all.count == count, "something was said after the end")
    }

    @Test func healthAddsUpAndNamesTheCauses() throws {
        let line = try line(
            StandInScorer { image in
                switch Int((image.values[0] * 0.229 + 0.485) * 255 + 0.5) {
                case 0..<3: 0
                case 3..<5: 9
                default: .nan
                }
            })
        judge(6, on: line)
        #expect(line.log.wait { $0.contains { $0.health?.parts.seen == 6 } })
        try end(line)
        let health = try #require(line.log.all.compactMap(\.health).last)
        #expect(health.parts.seen == 6 && health.parts.accepted == 3 && health.parts.rejected == 3)
        #expect(health.parts.rejectedByReason == ["anomaly": 2, "model_or_recipe_invalid": 1])
        #expect(health.frames.received == 6)
        // What could not be fused was not scored.
        #expect(health.frames.scored == 5 && health.frames.failed == 1)
        #expect(health.latency.worstPartID != nil && health.latency.p50 ?? -1 <= health.latency.longest ?? -1)
        #expect(
            health.queues.map(\.name) == [
                "beltwatch.gate", "beltwatch.preprocess", "beltwatch.score", "beltwatch.fuse",
            ])
        #expect(health.queues[0].processed == 6 && health.camera.state == .streaming)
    }

    /// The record's own news, such as a journal that was moved aside.
    @Test func whatHappensToTheRecordIsPublishedOnce() throws {
        let record = NewsyRecord()
        let line = try line(record: record)
        #expect(line.log.wait { $0.contains { $0.event?.name == .journalQuarantined } })
        judge(1, on: line)
        try end(line)
        #expect(line.log.events.count { $0.name == .journalQuarantined } == 1)
    }

    @Test func aFloodOfRefusedCommandsIsAFewEventsWithACount() throws {
        let line = try line()
        for _ in 0..<500 { _ = line.pipeline.perform(.reset, by: "10.0.0.7") }
        _ = line.pipeline.perform(.reset, by: "10.0.0.8")
        @Sendable func told(_ messages: [Message]) -> [Int] {
            messages.compactMap(\.event).filter { $0.peer == "10.0.0.7" }.map { Int($0.details["count"] ?? "1") ?? 0 }
        }
        #expect(line.log.wait { told($0).reduce(0, +) == 500 })
        try end(line)
        #expect(told(line.log.all).count <= 4)
        #expect(line.log.events.count { $0.peer == "10.0.0.8" } == 1)
    }

    @Test func whatWasHeldBackIsToldAtTheEnd() {
        var limiter = EventLimiter()
        let now = SystemMonotonicClock().now
        for _ in 0..<3 { _ = limiter.admit(StationEvent(.command, .warning, "refused"), key: "a", at: now) }
        _ = limiter.admit(StationEvent(.command, .warning, "refused too"), key: "b", at: now)
        #expect(limiter.rest().map { $0.details["count"] } == ["2"])
        #expect(limiter.rest().isEmpty)
    }

    @Test func repetitionsAreToldApartUpToACapacity() {
        var limiter = EventLimiter()
        let start = SystemMonotonicClock().now
        func event(_ peer: Int) -> StationEvent { StationEvent(.commandDenied, .warning, "denied", peer: "\(peer)") }
        let admitted = (0..<1000).count { limiter.admit(event($0), key: "\($0)", at: start) != nil }
        // Those beyond share a key: the first of them, and a count of the rest.
        #expect(admitted == EventLimiter.capacity + 1)
        #expect(limiter.due(at: start.advanced(by: .milliseconds(999))).isEmpty)
        let due = limiter.due(at: start.advanced(by: .seconds(1)))
        #expect(due.map { $0.details["count"] } == ["\(1000 - admitted)"])
        // Nothing more came, so everything is forgotten and the next goes out at once.
        #expect(limiter.due(at: start.advanced(by: .seconds(2))).isEmpty)
        #expect(limiter.admit(event(1), key: "1", at: start.advanced(by: .seconds(3))) != nil)
    }
}

private final class NewsyRecord: RecordKeeper {
    private let events = Lock([StationEvent(.journalQuarantined, .warning, "moved aside")])

    var recordCondition: RecordCondition { .complete }

    func takeEvents() -> [StationEvent] {
        events.withLock { events in
            defer { events.removeAll() }
            return events
        }
    }
}
