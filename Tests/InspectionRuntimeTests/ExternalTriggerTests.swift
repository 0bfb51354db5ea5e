import Imaging
import InspectionProtocol
import Locking
import Logging
import Testing

@testable import InspectionRuntime

/// A whole line whose parts come by command.
@Suite struct ExternalTriggerTests {
    private let source = PushedSource()

    /// A line that runs, because a frame came before any trigger.
    private func runningLine(
        _ scorer: StandInScorer = StandInScorer { _ in 1 }, budget: Duration = .seconds(30),
        configure: (inout InspectionPipeline.Configuration) -> Void = { _ in }
    ) throws -> TestLine {
        let line = try TestLine(
            scorer, trigger: .external, pace: .live(budget: budget, capacity: 64), configure: configure)
        line.start(source)
        source.push(greyFrame(0))
        #expect(line.log.wait { $0.contains { $0.state == .running } })
        return line
    }

    private func end(_ line: TestLine) throws -> RunSummary {
        source.stop()
        let summary = try line.result().get()
        line.pipeline.shutDown()
        return summary
    }

    private func trigger(_ line: TestLine, _ token: UInt64, encoder: Int64? = nil) -> CommandAnswer {
        line.pipeline.perform(.trigger(ExternalTrigger(plcToken: PLCToken(token), encoder: encoder)))
    }

    @Test func tokenAndEncoderComeBackInVerdictRejectAndResult() throws {
        let line = try runningLine(StandInScorer { _ in 9 })
        source.push(greyFrame(1))
        #expect(trigger(line, 88, encoder: 120_034) == .accepted)
        source.push(greyFrame(2))
        source.push(greyFrame(3))
        #expect(line.log.wait { $0.contains { $0.result != nil } })
        let summary = try end(line)
        let said = line.log.all.compactMap { message in
            switch message.body {
            case .verdict(let verdict), .reject(let verdict): verdict
            case .result(let result): result.verdict
            default: nil
            }
        }
        #expect(said.count == 3)
        #expect(said.allSatisfy { $0.plcToken == 88 && $0.encoder == 120_034 && $0.triggerID == 88 })
        #expect(said.allSatisfy { $0.partID == 1 && $0.triggerSource == .external && $0.reason == .anomaly })
        #expect(line.log.results.map(\.details.frameIDs) == [[2]])
        #expect(summary.frames.received == 4 && summary.frames.notTriggered == 3 && summary.frames.scored == 1)
    }

    @Test func theDeadlineTimerAnswersATriggerThatNoFrameFollows() throws {
        let line = try runningLine(budget: .milliseconds(60))
        #expect(trigger(line, 5) == .accepted)
        #expect(line.log.wait { $0.contains { $0.result != nil } })
        let verdict = try #require(line.log.verdicts.first)
        #expect(verdict.reason == .uninspected && verdict.plcToken == 5 && verdict.framesUsed == 0)
        let margin = try #require(verdict.deadlineMarginMicroseconds)
        #expect(margin <= 0 && margin > -20_000, "the timer was \(-margin) µs late")
        source.push(greyFrame(1))
        _ = try end(line)
        #expect(line.log.verdicts.count == 1 && line.log.results.count == 1)
    }

    @Test func aTriggerBeforeTheFirstFrameIsNotReadyAtOnce() throws {
        let line = try TestLine(StandInScorer(), trigger: .external, pace: .live(budget: .seconds(30)))
        line.start(source)
        #expect(trigger(line, 5) == .accepted)
        #expect(line.log.verdicts.map(\.reason) == [.notReady], "answered before the command is")
        #expect(line.log.results.count == 1)
        source.push(greyFrame(0))
        let summary = try end(line)
        #expect(summary.parts.seen == 1 && summary.frames.notTriggered == 1)
    }

    @Test func twoTriggersBeforeOneFrameAreBothAmbiguous() throws {
        let line = try runningLine()
        for token: UInt64 in [1, 2] { #expect(trigger(line, token) == .accepted) }
        source.push(greyFrame(1))
        #expect(line.log.wait { $0.count { $0.result != nil } == 2 })
        #expect(trigger(line, 3) == .accepted)
        source.push(greyFrame(2))
        #expect(line.log.wait { $0.count { $0.result != nil } == 3 })
        let summary = try end(line)
        #expect(line.log.verdicts.map(\.reason) == [.ambiguousPart, .ambiguousPart, .none])
        #expect(summary.frames.notTriggered == 2)
    }

    @Test func aTokenThatIsBeingAnsweredIsRefusedWithoutAVerdict() throws {
        let scorer = StandInScorer(held: true)
        let line = try runningLine(scorer)
        #expect(trigger(line, 7) == .accepted)
        source.push(greyFrame(1))
        #expect(scorer.waitUntilEntered(1))
        guard case .refused(let refusal) = trigger(line, 7) else {
            Issue.record("the same token was taken twice")
            return
        }
        #expect(refusal.reason == .duplicateToken)
        scorer.release()
        #expect(line.log.wait { $0.contains { $0.result != nil } })
        #expect(try end(line).parts.seen == 1)
    }

    @Test func aFrameThatTheCameraLostWasThePictureOfTheTriggerBeforeIt() throws {
        let line = try runningLine()
        #expect(trigger(line, 1) == .accepted)
        source.push(greyFrame(3))
        #expect(line.log.wait { $0.contains { $0.result != nil } })
        let summary = try end(line)
        #expect(line.log.verdicts.map(\.reason) == [.uninspected])
        #expect(summary.frames.lost == 2)
    }

    @Test func aFrameThatOurOwnMailboxGaveUpIsAnOverload() throws {
        var gate = PartGate(trigger: .external, partIDs: ConsecutivePartIDs())
        for number in 0...3 as ClosedRange<UInt64> { gate.expect(number) }
        guard case .triggered(after: nil)? = try gate.see(greyFrame(0)).shows,
            case .triggered(after: .overload)? = try gate.see(greyFrame(3)).shows
        else {
            Issue.record("the frames that were given up are not the loss before the one that came")
            return
        }
        #expect(try gate.end(before: 9).isEmpty)
    }

    @Test func triggersThatWaitWhenTheStationStopsAreAnswered() throws {
        let line = try runningLine()
        #expect(trigger(line, 1) == .accepted)
        let summary = try end(line)
        #expect(line.log.verdicts.map(\.reason) == [.uninspected])
        #expect(summary.parts.seen == 1)
        // Nothing is published any more, so this cannot be a part.
        guard case .refused(let refusal) = trigger(line, 2) else {
            Issue.record("a trigger was accepted that nobody will answer")
            return
        }
        #expect(refusal.reason == .wrongState)
        #expect(line.log.verdicts.map(\.reason) == [.uninspected])
    }

    @Test func triggersThatWaitWhenTheCameraFailsAreAnsweredAndLaterOnesAreNotReady() throws {
        let line = try TestLine(StandInScorer(), trigger: .external, pace: .live(budget: .seconds(30)))
        let opened = Lock(0)
        let source = source
        line.keepRunning {
            let attempt = opened.withLock { opened in
                opened += 1
                return opened
            }
            if attempt > 1 { throw GeneratorSource.Failure() }
            return source
        }
        source.push(greyFrame(0))
        #expect(line.log.wait { $0.contains { $0.state == .running } })
        #expect(trigger(line, 1) == .accepted)
        source.stop()
        #expect(line.log.wait { $0.contains { $0.state == .error } })
        #expect(trigger(line, 2) == .accepted)
        #expect(line.log.verdicts.map(\.reason) == [.uninspected, .notReady])
        line.pipeline.stop()
        _ = try line.result()
        line.pipeline.shutDown()
    }

    @Test func aCameraThatIsTriggeredWithThePartsMayBeSilent() throws {
        let line = try runningLine {
            $0.stallLimit = .milliseconds(50)
            $0.starvedAfter = .milliseconds(100)
        }
        // By then it has given nothing for longer than any camera that runs by itself may.
        #expect(line.log.wait { $0.contains { $0.state == .starved } })
        #expect(trigger(line, 1) == .accepted)
        source.push(greyFrame(1))
        #expect(line.log.wait { $0.contains { $0.verdict != nil } })
        _ = try end(line)
        #expect(line.log.verdicts.map(\.reason) == [.none])
        #expect(!line.log.states.contains(.error))
    }

    @Test func aStaleFrameIsThePictureOfItsTriggerAndRejectsIt() throws {
        let line = try runningLine { $0.staleAfter = .milliseconds(20) }
        #expect(trigger(line, 1) == .accepted)
        // Captured after the trigger, and held back on its way.
        let frame = greyFrame(1)
        let clock = SystemMonotonicClock()
        #expect(line.log.wait { _ in frame.capturedAt.duration(to: clock.now) > .milliseconds(20) })
        source.push(frame)
        source.push(greyFrame(2))
        #expect(line.log.wait { $0.contains { $0.result != nil } })
        let summary = try end(line)
        #expect(line.log.verdicts.map(\.reason) == [.staleFrame])
        #expect(summary.frames.stale == 1 && summary.frames.scored == 0)
    }

    @Test func aTriggeredPartOfSeveralViewsTakesTheFramesAfterTheFirst() throws {
        let line = try runningLine { $0.views = 3 }
        #expect(trigger(line, 1) == .accepted)
        for number in 1...4 { source.push(greyFrame(number)) }
        #expect(line.log.wait { $0.contains { $0.result != nil } })
        #expect(trigger(line, 2) == .accepted)
        source.push(greyFrame(5))
        // The second view never comes.
        let summary = try end(line)
        #expect(line.log.verdicts.map(\.reason) == [.none, .incompleteViews])
        #expect(line.log.results.map(\.details.frameIDs) == [[1, 2, 3], [5]])
        #expect(summary.frames.notTriggered == 2)
    }

    @Test func aStationSaysWhichCommandsItTakes() throws {
        for (mode, commands) in [
            (TriggerMode.external, [StationCommand.Name.trigger, .reset]), (.everyFrame, [.reset]),
        ] {
            let line = try TestLine(StandInScorer(), trigger: mode, pace: .live(budget: .seconds(1)))
            #expect(line.pipeline.commands == commands)
            line.pipeline.shutDown()
        }
    }

    @Test func aRecordingHasNobodyWhoTriggers() throws {
        let configuration = ReplayRun.Configuration(
            station: try StationName("replay"), trigger: .external, version: "1")
        let error = #expect(throws: ReplayError.self) {
            try ReplayRun(
                configuration, model: InspectionPipeline.Model(scorer: StandInScorer(), fusion: .plain), outputs: [],
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        }
        #expect(error == .externalTrigger)
    }

    /// Triggers and frames from two threads that know nothing of each other, with every fault that a frame can have.
    @Test func aStormOfTriggersAndFaultyFramesEndsInOneVerdictEach() throws {
        let scorer = StandInScorer { image in
            switch UInt8((image.values[0] * 0.229 + 0.485) * 255 + 0.5) % 10 {
            case 0: throw StandInScorer.Refusal()
            case 1: .nan
            case 2: 9
            default: 1
            }
        }
        let line = try TestLine(scorer, trigger: .external, pace: .live(budget: .milliseconds(20), capacity: 2))
        line.start(
            FreeRunningSource { number in
                number % 23 == 22 ? nil : greyFrame(number, flags: number % 17 == 0 ? .corrupt : [])
            })
        #expect(line.log.wait { $0.contains { $0.state == .running } })
        var random = SeededRandom(seed: 1)
        var (accepted, refused) = ([PLCToken](), 0)
        while accepted.count < 1000 {
            // A token in twenty comes again while it may still be on its way.
            let token = PLCToken(UInt64(accepted.count) + (Int.random(in: 0..<20, using: &random) == 0 ? 0 : 1))
            let answer = line.pipeline.perform(.trigger(ExternalTrigger(plcToken: token)))
            if answer == .accepted { accepted.append(token) } else { refused += 1 }
            // Most wait for their verdict, some come in a bunch.
            if Int.random(in: 0..<3, using: &random) > 0 {
                let count = accepted.count
                #expect(line.log.wait { $0.count { $0.verdict != nil } >= count })
            }
        }
        line.pipeline.stop()
        let summary = try line.result().get()
        line.pipeline.shutDown()

        #expect(line.log.verdicts.compactMap(\.plcToken).sorted() == accepted.sorted())
        #expect(line.log.results.compactMap(\.verdict.plcToken).sorted() == accepted.sorted())
        #expect(line.log.verdicts.map(\.partID).sorted() == line.log.results.map(\.verdict.partID).sorted())
        #expect(Set(line.log.verdicts.map(\.partID)).count == 1000)
        #expect(summary.parts.seen == 1000 && summary.parts.accepted + summary.parts.rejected == 1000)
        #expect(summary.rejectionsByReason.values.reduce(0, +) == summary.parts.rejected)
        for verdict in line.log.verdicts where verdict.disposition == .accept {
            #expect(verdict.score == 1 && (verdict.deadlineMarginMicroseconds ?? 0) > 0)
        }
        let frames = summary.frames
        #expect(
            frames.received
                == frames.notTriggered + frames.scored + frames.discarded + frames.corrupt + frames.unhealthy
                + frames.failed, "\(frames)")
        for reason in [Reason.ambiguousPart, .anomaly, .modelOrRecipeInvalid, .uninspected] {
            #expect(summary.rejectionsByReason[reason] ?? 0 > 0, "\(reason.text) did not occur: \(summary)")
        }
    }
}
