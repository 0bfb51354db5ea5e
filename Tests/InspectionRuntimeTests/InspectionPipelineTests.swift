import AnomalyScoring
import Imaging
import InspectionProtocol
import Locking
import Testing

@testable import InspectionRuntime

@Suite struct InspectionPipelineTests {
    @Test(arguments: OverflowPolicy.allCases)
    func everyPartGetsExactlyOneVerdictUnderOverload(policy: OverflowPolicy) throws {
        let line = try TestLine(StandInScorer(), pace: .live(budget: .seconds(30), capacity: 2, policy))
        line.start(GeneratorSource(greyFrames(0..<500)))
        let summary = try line.result().get()
        line.pipeline.shutDown()

        #expect(line.log.verdicts.map(\.partID.value).sorted() == Array(1...500))
        #expect(line.log.results.map(\.verdict.partID.value).sorted() == Array(1...500))
        #expect(summary.parts.seen == 500)
        #expect(line.log.verdicts.allSatisfy { $0.reason == .none || $0.reason == .overload })
        let frames = summary.frames
        #expect(frames.received == 500)
        #expect(frames.scored + frames.discarded == 500, "\(frames)")
        #expect(policy != .wait || frames.discarded == 0)
        #expect(summary.rejectionsByReason[.overload] ?? 0 == frames.discarded)
    }

    @Test func aHeldUpScorerMakesThePartLateAndItsScoreRevisesNothing() throws {
        let scorer = StandInScorer(held: true) { _ in 1 }
        let line = try TestLine(scorer, pace: .live(budget: .milliseconds(80)))
        line.start(GeneratorSource([greyFrame(0)], staysOpen: true))
        #expect(line.log.wait { $0.contains { $0.verdict != nil } })
        let verdict = try #require(line.log.verdicts.first)
        #expect(verdict.disposition == .reject)
        #expect(verdict.reason == .late)
        #expect(!verdict.inspected)
        #expect(line.log.results.isEmpty)

        scorer.release()
        #expect(line.log.wait { $0.contains { $0.result != nil } })
        let result = try #require(line.log.results.first)
        #expect(result.details.late)
        #expect(result.details.picturable?.z == 1)
        #expect(result.verdict == verdict)
        line.pipeline.stop()
        let summary = try line.result().get()
        line.pipeline.shutDown()
        #expect(summary.parts.seen == 1)
        #expect(summary.rejectionsByReason == [.late: 1])
    }

    @Test func lateIsNeverAcceptEvenWhenTheScoreComesBeforeTheTimer() throws {
        // Captured so long ago that the deadline has passed before the part is opened.
        let old = MonotonicInstant(nanoseconds: 1)
        let line = try TestLine(StandInScorer(), pace: .live(budget: .milliseconds(1)))
        line.start(GeneratorSource((0..<20).map { greyFrame($0, capturedAt: old) }))
        _ = try line.result().get()
        line.pipeline.shutDown()
        #expect(line.log.verdicts.count == 20)
        #expect(line.log.verdicts.allSatisfy { $0.disposition == .reject })
    }

    @Test(arguments: [Double.nan, .infinity, -.infinity])
    func aScoreThatIsNoNumberIsRejected(score: Double) throws {
        let line = try TestLine(StandInScorer { _ in score }, pace: .live(budget: .seconds(30)))
        line.start(GeneratorSource([greyFrame(0)]))
        let summary = try line.result().get()
        line.pipeline.shutDown()
        #expect(line.log.verdicts.map(\.reason) == [.modelOrRecipeInvalid])
        #expect(line.log.verdicts.map(\.score) == [nil])
        #expect(summary.frames.failed == 1)
    }

    @Test func aScorerThatThrowsRejectsThePartAndTheLineGoesOn() throws {
        let scorer = StandInScorer { image in
            if image.values[0] > -1 { throw StandInScorer.Refusal() }
            return 0
        }
        let line = try TestLine(scorer, pace: .live(budget: .seconds(30), capacity: 8))
        line.start(GeneratorSource([greyFrame(0, grey: 100), greyFrame(1, grey: 5)]))
        _ = try line.result().get()
        line.pipeline.shutDown()
        #expect(line.log.verdicts.map(\.reason) == [.modelOrRecipeInvalid, .none])
    }

    @Test func aCorruptFrameIsRejectedUnseen() throws {
        let line = try TestLine(StandInScorer(), pace: .live(budget: .seconds(30)))
        line.start(GeneratorSource([greyFrame(0, flags: .corrupt)]))
        let summary = try line.result().get()
        line.pipeline.shutDown()
        #expect(line.log.verdicts.map(\.reason) == [.corruptFrame])
        #expect(summary.frames.corrupt == 1)
    }

    @Test func aPictureThatShowsNothingIsRejectedUnseen() throws {
        let line = try TestLine(StandInScorer(), pace: .live(budget: .seconds(30)))
        let black = PixelBuffer(count: 8 * 8 * 3) { _ in }
        line.start(
            GeneratorSource([
                Frame(number: 0, width: 8, height: 8, capturedAt: SystemMonotonicClock().now, pixels: black)
            ]))
        let summary = try line.result().get()
        line.pipeline.shutDown()
        #expect(line.log.verdicts.map(\.reason) == [.imageHealth])
        #expect(summary.frames.unhealthy == 1)
    }

    @Test func aFrameThatTheCameraLostIsAnUninspectedPart() throws {
        let line = try TestLine(StandInScorer(), pace: .live(budget: .seconds(30), capacity: 8))
        line.start(GeneratorSource([0, 1, 4].map { greyFrame($0) }))
        let summary = try line.result().get()
        line.pipeline.shutDown()
        let byPart = line.log.verdicts.sorted { $0.partID < $1.partID }
        #expect(byPart.map(\.reason) == [.none, .none, .uninspected, .uninspected, .none])
        #expect(byPart[2].capturedMonotonicMicroseconds == nil)
        #expect(summary.frames.lost == 2)
        #expect(summary.frames.received == 3)
    }

    /// As a network camera does that was frozen and sends what it had: captured in time, here too late.
    @Test func aStaleFrameRejectsItsPartUnseen() throws {
        let line = try TestLine(StandInScorer(), pace: .live(budget: .seconds(30), capacity: 8)) {
            $0.staleAfter = .milliseconds(500)
        }
        let now = SystemMonotonicClock().now
        let old = now.advanced(by: .milliseconds(-600))
        line.start(GeneratorSource([greyFrame(0, capturedAt: old), greyFrame(1, capturedAt: now)]))
        let summary = try line.result().get()
        line.pipeline.shutDown()
        #expect(line.log.verdicts.map(\.reason) == [.staleFrame, .none])
        #expect(line.log.verdicts[0].capturedMonotonicMicroseconds == old.microseconds)
        #expect(line.log.results.map(\.details.frameIDs) == [[0], [1]])
        #expect(summary.frames.stale == 1 && summary.frames.scored == 1)
    }

    /// Even where its deadline has passed as well: what happened first on its way is said.
    @Test func aFrameThatIsStaleBeforeItIsLateIsCalledStale() throws {
        let line = try TestLine(StandInScorer(), pace: .live(budget: .milliseconds(500))) {
            $0.staleAfter = .milliseconds(500)
        }
        line.start(GeneratorSource([greyFrame(0, capturedAt: MonotonicInstant(nanoseconds: 1))]))
        _ = try line.result().get()
        line.pipeline.shutDown()
        #expect(line.log.verdicts.map(\.reason) == [.staleFrame])
    }

    @Test func aRecordingIsNeverStale() throws {
        let line = try TestLine(StandInScorer(), pace: .lossless, isLive: false) { $0.staleAfter = .milliseconds(1) }
        line.start(GeneratorSource([greyFrame(0, capturedAt: MonotonicInstant(nanoseconds: 1))], isLive: false))
        #expect(try line.result().get().parts.accepted == 1)
        line.pipeline.shutDown()
    }

    @Test func aPartOfSeveralViewsIsJudgedByItsWorst() throws {
        let scorer = StandInScorer { image in
            UInt8((image.values[0] * 0.229 + 0.485) * 255 + 0.5) == 11 ? 9 : 1
        }
        let line = try TestLine(
            scorer, trigger: .frames(every: 5, offset: 0), pace: .lossless, isLive: false
        ) { $0.views = 3 }
        line.start(GeneratorSource(greyFrames(0..<20), isLive: false))
        let summary = try line.result().get()
        line.pipeline.shutDown()
        #expect(line.log.results.map(\.details.frameIDs) == [[0, 1, 2], [5, 6, 7], [10, 11, 12], [15, 16, 17]])
        #expect(line.log.verdicts.map(\.reason) == [.none, .none, .anomaly, .none])
        #expect(line.log.verdicts.map(\.framesUsed) == [3, 3, 3, 3])
        #expect(summary.frames.scored == 12 && summary.frames.notTriggered == 8)
    }

    /// Frames that the camera loses and a recording that ends: the first, a middle and the last view of a part are missing.
    @Test(arguments: [InspectionPipeline.Pace.lossless, .live(budget: .seconds(30), capacity: 64)])
    func aPartWithoutAllItsViewsIsRejected(pace: InspectionPipeline.Pace) throws {
        let line = try TestLine(StandInScorer(), trigger: .frames(every: 4, offset: 0), pace: pace, isLive: false) {
            $0.views = 3
        }
        // Parts 0 1 2, 4 5 6, 8 9 10, 12 13 14 and 16 17 18.
        let frames = (0..<18).filter { ![4, 9, 12, 13, 14].contains($0) }
        line.start(GeneratorSource(frames.map { greyFrame($0) }, isLive: false))
        let summary = try line.result().get()
        line.pipeline.shutDown()
        let reasons = line.log.verdicts.sorted { $0.partID < $1.partID }.map(\.reason)
        #expect(reasons == [.none, .incompleteViews, .incompleteViews, .uninspected, .incompleteViews])
        #expect(line.log.results.count == 5)
        #expect(summary.frames.received == summary.frames.notTriggered + summary.frames.scored)
    }

    @Test func anIntervalCountedInFramesPicksItsFrames() throws {
        let line = try TestLine(
            StandInScorer(), trigger: .frames(every: 30, offset: 12), pace: .lossless, isLive: false)
        line.start(GeneratorSource(greyFrames(0..<100), isLive: false))
        let summary = try line.result().get()
        line.pipeline.shutDown()
        #expect(line.log.results.map(\.details.frameIDs) == [[12], [42], [72]])
        #expect(line.log.verdicts.allSatisfy { $0.triggerSource == .interval })
        #expect(summary.frames.notTriggered == 97)
    }

    @Test func stoppingAnswersThePartsInFlight() throws {
        let scorer = StandInScorer(held: true)
        let line = try TestLine(scorer, pace: .live(budget: .seconds(30), capacity: 8))
        line.start(GeneratorSource(greyFrames(0..<5), staysOpen: true))
        #expect(scorer.waitUntilEntered(1))
        line.pipeline.stop()
        scorer.release()
        let summary = try line.result().get()
        line.pipeline.shutDown()
        #expect(summary.parts.seen == summary.frames.received)
        #expect(summary.parts.accepted == summary.parts.seen)
        #expect(line.log.states.last == .halted)
    }

    @Test func aSourceThatFailsLeavesAnErrorAndAllPartsAnswered() throws {
        let line = try TestLine(StandInScorer(), pace: .live(budget: .seconds(30), capacity: 8))
        line.start(GeneratorSource(greyFrames(0..<3), failure: GeneratorSource.Failure()))
        guard case .failure(let failure) = try line.result() else {
            Issue.record("a failing source ended the run as if all were well")
            return
        }
        line.pipeline.shutDown()
        #expect(failure.reason == "the camera was unplugged")
        #expect(failure.summary.parts.seen == 3)
        #expect(line.log.states.last == .error)
    }

    @Test(arguments: OverflowPolicy.allCases)
    func aSourceThatFailsUnderOverloadLeavesNoPartUnanswered(policy: OverflowPolicy) throws {
        let line = try TestLine(StandInScorer(), pace: .live(budget: .seconds(30), capacity: 1, policy))
        line.start(GeneratorSource(greyFrames(0..<300), failure: GeneratorSource.Failure()))
        guard case .failure(let failure) = try line.result() else {
            Issue.record("a failing source ended the run as if all were well")
            return
        }
        line.pipeline.shutDown()
        #expect(failure.summary.parts.seen == 300)
        #expect(line.log.verdicts.map(\.partID.value).sorted() == Array(1...300))
    }

    @Test func aCameraThatRunsByItselfAndFallsSilentIsAnErrorAndOpenedAgain() throws {
        let line = try TestLine(
            StandInScorer(), trigger: .frames(every: 2, offset: 0), pace: .live(budget: .seconds(30), capacity: 8)
        ) {
            $0.stallLimit = .milliseconds(100)
        }
        line.keepRunning { GeneratorSource(greyFrames(0..<2), staysOpen: true) }
        #expect(line.log.wait { $0.count { $0.verdict != nil } >= 2 })
        line.pipeline.stop()
        _ = try line.result()
        line.pipeline.shutDown()
        let reasons = line.log.all.compactMap { message in
            if case .state(let report) = message.body, report.state == .error { report.reason } else { nil }
        }
        #expect(reasons.contains("the source gave no frame for over 100ms"), "\(reasons)")
    }

    @Test func aCameraThatFailsIsOpenedAgainAndThePartsGoOn() throws {
        let line = try TestLine(StandInScorer(), pace: .live(budget: .seconds(30), capacity: 8))
        let opened = Lock(0)
        line.keepRunning {
            let attempt = opened.withLock { opened in
                opened += 1
                return opened
            }
            switch attempt {
            case 1: return GeneratorSource(greyFrames(0..<3), failure: GeneratorSource.Failure())
            case 2: throw GeneratorSource.Failure()
            default: return GeneratorSource(greyFrames(0..<2), staysOpen: true)
            }
        }
        #expect(line.log.wait { $0.count { $0.verdict != nil } == 5 })
        line.pipeline.stop()
        let summary = try line.result().get()
        line.pipeline.shutDown()
        #expect(line.log.verdicts.map(\.partID.value) == Array(1...5))
        #expect(line.log.verdicts.allSatisfy { $0.disposition == .accept })
        #expect(summary.frames.received == 5)
        let changes = line.log.states.reduce(into: [InspectionState]()) { if $0.last != $1 { $0.append($1) } }
        #expect(changes == [.preoperational, .initialized, .ready, .running, .error, .ready, .running, .halted])
    }

    @Test func statesRiseToRunningAndFallToHalted() throws {
        let line = try TestLine(StandInScorer(), pace: .live(budget: .seconds(30)))
        line.start(GeneratorSource([greyFrame(0)]))
        _ = try line.result()
        line.pipeline.shutDown()
        let changes = line.log.states.reduce(into: [InspectionState]()) { if $0.last != $1 { $0.append($1) } }
        #expect(changes == [.preoperational, .initialized, .ready, .running, .halted])
    }

    @Test func withoutPartsForAWhileTheStationIsStarvedAndHealthy() throws {
        let line = try TestLine(StandInScorer(), pace: .live(budget: .seconds(30))) {
            $0.starvedAfter = .milliseconds(100)
        }
        line.start(GeneratorSource([greyFrame(0)], staysOpen: true))
        #expect(
            line.log.wait {
                $0.contains {
                    if case .heartbeat(let beat) = $0.body { beat.state == .starved && beat.ready } else { false }
                }
            })
        line.pipeline.stop()
        _ = try line.result()
        line.pipeline.shutDown()
    }

    @Test func aStageThatDoesNotMoveIsAnErrorAndPartsAreNotReadyUntilItMovesAgain() throws {
        let scorer = StandInScorer(held: true)
        let line = try TestLine(scorer, pace: .live(budget: .milliseconds(50), capacity: 64)) {
            $0.stallLimit = .milliseconds(100)
        }
        let source = PushedSource()
        line.start(source)
        source.push(greyFrame(0))
        #expect(line.log.wait { $0.contains { $0.state == .error } })
        source.push(greyFrame(1))
        #expect(line.log.wait { $0.count { $0.verdict != nil } == 2 })
        #expect(line.log.verdicts.map(\.reason) == [.late, .notReady])

        scorer.release()
        #expect(line.log.wait { $0.last { $0.state != nil }?.state == .running })
        source.stop()
        _ = try line.result()
        line.pipeline.shutDown()
    }

    @Test func framesThatAreNotHappeningNowAreSimulatedAndNeverReady() throws {
        let line = try TestLine(StandInScorer(), pace: .live(budget: .seconds(30)), isLive: false)
        line.start(GeneratorSource(greyFrames(0..<3), isLive: false, staysOpen: true))
        #expect(
            line.log.wait { $0.contains { if case .heartbeat(let beat) = $0.body { beat.running } else { false } } })
        line.pipeline.stop()
        _ = try line.result()
        line.pipeline.shutDown()
        #expect(line.log.verdicts.allSatisfy { $0.simulated && $0.mode == .replay })
        for message in line.log.all {
            if case .heartbeat(let beat) = message.body { #expect(!beat.ready) }
            if case .state(let report) = message.body { #expect(!report.ready && report.flags == [.replay]) }
        }
    }

    @Test func sequenceNumbersHaveNoHolesAndTheHeartbeatKnowsTheLast() throws {
        let line = try TestLine(StandInScorer { _ in 9 }, pace: .live(budget: .seconds(30), capacity: 64))
        line.start(GeneratorSource(greyFrames(0..<20), staysOpen: true))
        #expect(
            line.log.wait {
                $0.contains { message in
                    if case .heartbeat(let beat) = message.body { beat.lastSequence.result == 20 } else { false }
                }
            })
        line.pipeline.stop()
        _ = try line.result()
        line.pipeline.shutDown()
        for kind in MessageKind.allCases {
            let numbers = line.log.all.filter { $0.body.kind == kind }.map(\.envelope.sequence.value)
            #expect(numbers == (0..<numbers.count).map { UInt64($0) + 1 }, "\(kind)")
        }
        #expect(line.log.all.count { $0.body.kind == .reject } == 20)
    }

    @Test func aReplayGivesTheSameVerdictsInTheSameOrderWhateverTheTiming() throws {
        var frames = greyFrames(0..<60)
        frames[7] = greyFrame(7, flags: .corrupt)
        frames[8] = greyFrame(8, flags: .corrupt)
        frames.remove(at: 30)
        let runs = try (0..<3).map { run in
            let scorer = StandInScorer { image in
                // A different rhythm in every run.
                if (Int(image.values[0] * 100) + run) % 3 == 0 { _ = (0..<50_000).reduce(0, &+) }
                return Double(image.values[0]) * 6
            }
            let line = try TestLine(scorer, pace: .lossless, isLive: false)
            line.start(GeneratorSource(frames, isLive: false))
            _ = try line.result().get()
            line.pipeline.shutDown()
            return try line.log.results.map { try VerdictFileLine($0).encoded() }
        }
        #expect(runs[0].count == 60)
        #expect(runs[0] == runs[1])
        #expect(runs[1] == runs[2])
    }

    @Test func aReplayIsNeverLateAndHasNoDeadline() throws {
        let line = try TestLine(StandInScorer(), pace: .lossless, isLive: false)
        let old = MonotonicInstant(nanoseconds: 1)
        line.start(GeneratorSource((0..<50).map { greyFrame($0, capturedAt: old) }, isLive: false))
        let summary = try line.result().get()
        line.pipeline.shutDown()
        #expect(summary.parts.accepted == 50)
        #expect(line.log.verdicts.allSatisfy { $0.deadlineMonotonicMicroseconds == nil })
        #expect(line.log.results.allSatisfy { !$0.details.late })
    }
}
