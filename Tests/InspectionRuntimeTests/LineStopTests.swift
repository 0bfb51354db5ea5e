import InspectionProtocol
import Testing

@testable import InspectionRuntime

/// When the line should stop, and what happens then.
@Suite struct LineStopTests {
    private let source = PushedSource()

    /// A line whose parts get these scores; 5 and above are rejects.
    private func line(
        _ scores: [Double], limits: StationConfiguration.LineStop
    ) throws -> TestLine {
        let line = try TestLine(
            StandInScorer { image in scores[Int((image.values[0] * 0.229 + 0.485) * 255 + 0.5)] },
            pace: .live(budget: .seconds(30), capacity: 64)
        ) { $0.lineStop = limits }
        line.start(source)
        for number in scores.indices {
            source.push(greyFrame(number))
            #expect(line.log.wait { $0.compactMap(\.verdict).count == number + 1 })
        }
        return line
    }

    private func end(_ line: TestLine) throws {
        source.stop()
        _ = try line.result()
        line.pipeline.shutDown()
    }

    @Test func rejectsInARowStopTheLineUntilItIsReset() throws {
        let line = try line([9, 9, 0, 9, 9, 9, 0], limits: .init(consecutiveRejects: 3))
        // Two, one good part between, three: then nothing is judged any more.
        #expect(
            line.log.verdicts.map(\.reason)
                == [.anomaly, .anomaly, .none, .anomaly, .anomaly, .anomaly, .notReady])
        #expect(line.log.states.last == .held)
        #expect(
            line.log.wait {
                $0.contains { if case .heartbeat(let beat) = $0.body { beat.lineStopRequest } else { false } }
            })
        #expect(line.pipeline.perform(.reset) == .accepted)
        #expect(line.log.states.last == .running)
        guard case .refused(let refusal) = line.pipeline.perform(.reset) else {
            Issue.record("nothing was reset twice")
            return
        }
        #expect(refusal.reason == .wrongState)

        source.push(greyFrame(7, grey: 0))
        #expect(line.log.wait { $0.compactMap(\.verdict).count == 8 })
        #expect(line.log.verdicts.last?.reason == .anomaly)
        try end(line)
    }

    @Test func partsThatNothingLookedAtStopTheLine() throws {
        let line = try line([0, .nan, .nan, 0, .nan, .nan, .nan], limits: .init(uninspected: 3))
        // The state follows the verdict that is too much.
        #expect(line.log.wait { $0.contains { $0.state == .held } })
        #expect(line.log.verdicts.map(\.inspected) == [true, false, false, true, false, false, false])
        try end(line)
    }

    @Test func withoutLimitsNothingStopsTheLine() throws {
        let line = try line(Array(repeating: 9, count: 40), limits: .init())
        #expect(!line.log.states.contains(.held))
        try end(line)
    }

    @Test func otherCommandsAreNotForThisStation() throws {
        let line = try line([0], limits: .init())
        for command in [StationCommand.arm, .trigger(ExternalTrigger(plcToken: 1))] {
            guard case .refused(let refusal) = line.pipeline.perform(command) else {
                Issue.record("\(command) was carried out")
                continue
            }
            #expect(refusal.reason == .notConfigured)
        }
        try end(line)
    }
}
