import InspectionProtocol
import Locking
import Testing

@testable import InspectionRuntime

/// A record whose condition a test decides.
private final class StandInRecord: RecordKeeper {
    private let condition = Lock(RecordCondition.complete)

    var recordCondition: RecordCondition { condition.withLock { $0 } }

    func become(_ new: RecordCondition) { condition.withLock { $0 = new } }
}

@Suite struct RecordKeeperTests {
    private let record = StandInRecord()
    private let source = PushedSource()

    private func startedLine() throws -> TestLine {
        let line = try TestLine(StandInScorer(), pace: .live(budget: .seconds(30), capacity: 64), record: record)
        line.start(source)
        source.push(greyFrame(0))
        #expect(line.log.wait { $0.contains { $0.state == .running } && $0.contains { $0.verdict != nil } })
        return line
    }

    private func flags(_ message: Message) -> [String]? {
        if case .state(let report) = message.body { report.flags.map(\.text) } else { nil }
    }

    @Test func whatIsNotKeptIsAFlagAndNoReasonToReject() throws {
        let line = try startedLine()
        #expect(line.log.all.compactMap(flags).allSatisfy { $0.isEmpty })
        record.become(.degraded)
        #expect(line.log.wait { $0.contains { flags($0) == ["degraded_evidence"] } })
        source.push(greyFrame(1))
        #expect(line.log.wait { $0.compactMap(\.verdict).count == 2 })
        #expect(line.log.verdicts.allSatisfy { $0.disposition == .accept })
        record.become(.complete)
        #expect(line.log.wait { $0.compactMap(flags).last == [] })
        source.stop()
        _ = try line.result()
        line.pipeline.shutDown()
    }

    @Test func withoutARecordEveryPartIsRejected() throws {
        let line = try startedLine()
        record.become(.failed(reason: "the disk is gone"))
        // The very next part, not the first after a tick.
        source.push(greyFrame(1))
        #expect(line.log.wait { $0.compactMap(\.verdict).count == 2 })
        let verdict = try #require(line.log.verdicts.last)
        #expect(verdict.disposition == .reject && verdict.reason == .notReady)
        #expect(line.log.states.last == .error)
        guard case .state(let report)? = line.log.all.last(where: { $0.state != nil })?.body else {
            Issue.record("no state")
            return
        }
        #expect(report.reason == "the disk is gone" && !report.ready)
        #expect(report.flags == [.degradedEvidence])
        source.stop()
        _ = try line.result()
        line.pipeline.shutDown()
    }
}
