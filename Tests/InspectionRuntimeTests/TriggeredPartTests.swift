import AnomalyScoring
import Imaging
import InspectionProtocol
import Testing

@testable import InspectionRuntime

/// Which frame shows which trigger's part, on made-up clocks: times are milliseconds after a start, the budget is 100.
@Suite struct TriggeredPartTests {
    private var table = PartTable(
        terms: PartTable.Terms(
            triggerSource: .external, timestampQuality: .hostArrival, recipe: "grey", recipeRevision: 3,
            modelSHA256: "ab", threshold: 5, mode: .production, simulated: false, latencyBudget: .milliseconds(100)))

    private func moment(_ milliseconds: Int) -> Moment {
        Moment(
            monotonic: MonotonicInstant(nanoseconds: UInt64(1_000_000_000 + milliseconds * 1_000_000)),
            wall: UTCTimestamp(microsecondsSince1970: Int64(milliseconds) * 1000))
    }

    /// Opens the part of a token, which is also its id; nil where the token is taken.
    private mutating func trigger(
        _ token: UInt64, at received: Int, openedAt opened: Int? = nil, refusal: Reason? = nil
    ) -> [MessageBody]? {
        let words = ExternalTrigger(plcToken: PLCToken(token), encoder: -7)
        let part = Part(
            id: PartID(token), external: ReceivedTrigger(words: words, receivedAt: moment(received).monotonic))
        return table.openTriggered(part, refusal: refusal, at: moment(opened ?? received))
    }

    private mutating func frame(
        capturedAt captured: Int, seenAt seen: Int? = nil, after loss: Reason? = nil
    ) -> (part: PartID?, messages: [MessageBody]) {
        let facts = FrameFacts(number: UInt64(captured), capturedAt: moment(captured).monotonic)
        let (view, messages) = table.claim(facts, after: loss, at: moment(seen ?? captured))
        return (view?.part, messages)
    }

    private func scored(_ z: Double) -> PartOutcome {
        let branch = BranchScore(raw: z, mean: 0, deviation: 1, z: z)
        let other = BranchScore(raw: 0, mean: 0, deviation: 1, z: 0)
        return .scored(FusedScore(picturable: branch, unpicturable: other, threshold: 5), regions: [])
    }

    private func verdicts(_ messages: [MessageBody]) -> [Verdict] {
        messages.compactMap { if case .verdict(let verdict) = $0 { verdict } else { nil } }
    }

    @Test mutating func theFirstFrameCapturedAtOrAfterTheTriggerIsItsPicture() throws {
        #expect(try #require(trigger(42, at: 10)).isEmpty)
        // On its way to us while the trigger came.
        #expect(frame(capturedAt: 9, seenAt: 11).part == nil)
        #expect(frame(capturedAt: 10, seenAt: 12).part == 42)
        #expect(frame(capturedAt: 13).part == nil, "one picture is enough")

        let messages = table.finish(42, scored(1), durations: StageDurations(), at: moment(60))
        #expect(messages.map(\.kind) == [.verdict, .result])
        let verdict = try #require(verdicts(messages).first)
        #expect(verdict.disposition == .accept)
        #expect(verdict.triggerSource == .external)
        #expect(verdict.plcToken == 42 && verdict.triggerID == 42 && verdict.encoder == -7)
        #expect(verdict.capturedMonotonicMicroseconds == 1_010_000)
        // The promise counts from the trigger, not from the frame.
        #expect(verdict.deadlineMonotonicMicroseconds == 1_110_000)
        #expect(verdict.deadlineMarginMicroseconds == 50_000)
    }

    @Test mutating func aTriggerWithoutAFrameIsUninspectedAtItsDeadlineOnce() throws {
        _ = trigger(1, at: 10)
        #expect(table.nextDeadline == moment(110).monotonic)
        #expect(table.oldestCapture == moment(10).monotonic)
        #expect(table.expire(at: moment(109)).isEmpty)
        let messages = table.expire(at: moment(110))
        #expect(messages.map(\.kind) == [.verdict, .reject, .result])
        let verdict = try #require(verdicts(messages).first)
        #expect(verdict.reason == .uninspected && verdict.plcToken == 1 && verdict.capturedAt == nil)
        #expect(table.inFlight == 0)
        // Captured in time, but too late on its way.
        #expect(frame(capturedAt: 20, seenAt: 111).part == nil)
        #expect(table.expire(at: moment(500)).isEmpty)
    }

    @Test mutating func aFrameThatOvertakesTheDeadlineTimerFindsThePartAnswered() {
        _ = trigger(1, at: 10)
        let (part, messages) = frame(capturedAt: 20, seenAt: 110)
        #expect(part == nil)
        #expect(messages.map(\.kind) == [.verdict, .reject, .result])
        #expect(verdicts(messages).map(\.reason) == [.uninspected])
    }

    @Test mutating func aFrameWithoutAScoreInTimeIsLateAfterTheTrigger() throws {
        _ = trigger(1, at: 10)
        #expect(frame(capturedAt: 90).part == 1)
        #expect(verdicts(table.expire(at: moment(110))).map(\.reason) == [.late])
        let messages = table.finish(1, scored(1), durations: StageDurations(), at: moment(130))
        guard case .result(let result)? = messages.first, messages.count == 1 else {
            Issue.record("\(messages)")
            return
        }
        #expect(result.details.late && result.verdict.plcToken == 1)
    }

    @Test(arguments: 2...5)
    mutating func aFrameAfterSeveralTriggersShowsNoneOfThem(count: Int) throws {
        for token in 1...count { _ = trigger(UInt64(token), at: 10 * token) }
        _ = trigger(99, at: 70)
        let (part, messages) = frame(capturedAt: 60, seenAt: 75)
        #expect(part == nil)
        #expect(verdicts(messages).map(\.reason) == Array(repeating: .ambiguousPart, count: count))
        #expect(verdicts(messages).map(\.plcToken) == (1...count).map { PLCToken(UInt64($0)) })
        #expect(messages.count { $0.kind == .result } == count)
        // The one that came after the frame has the next one to itself.
        #expect(frame(capturedAt: 80).part == 99)
    }

    @Test(arguments: [Reason.overload, .uninspected])
    mutating func aTriggerWhosePictureIsAmongLostFramesDoesNotGetTheNextOne(loss: Reason) {
        _ = trigger(1, at: 10)
        let (part, messages) = frame(capturedAt: 30, after: loss)
        #expect(part == nil)
        #expect(verdicts(messages).map(\.reason) == [loss])
        _ = trigger(2, at: 40)
        #expect(frame(capturedAt: 50).part == 2)
    }

    @Test mutating func aFrameThatWentByWhileThePartWasGivenItsIdIsNotReplacedByTheNext() throws {
        #expect(frame(capturedAt: 20).part == nil)
        let messages = try #require(trigger(1, at: 15, openedAt: 30))
        #expect(verdicts(messages).map(\.reason) == [.uninspected])
        #expect(table.inFlight == 0)
    }

    @Test mutating func aTokenThatIsBeingAnsweredIsTaken() throws {
        _ = trigger(1, at: 10)
        #expect(trigger(1, at: 11) == nil, "waits for its frame")
        #expect(frame(capturedAt: 20).part == 1)
        #expect(trigger(1, at: 21) == nil, "waits for its score")
        _ = table.expire(at: moment(110))
        #expect(trigger(1, at: 111) == nil, "waits for its result")
        _ = table.finish(1, scored(1), durations: StageDurations(), at: moment(130))
        #expect(trigger(1, at: 140) != nil, "controllers count round and round")
        #expect(table.counts.seen == 1)
    }

    @Test mutating func tooManyWaitingTriggersAreAnsweredWithOverload() throws {
        for token in 1...PartTable.waitingTriggerLimit {
            #expect(try #require(trigger(UInt64(token), at: 10)).isEmpty)
        }
        let messages = try #require(trigger(9999, at: 11))
        #expect(messages.map(\.kind) == [.verdict, .reject, .result])
        #expect(verdicts(messages).map(\.reason) == [.overload])
        #expect(table.inFlight == PartTable.waitingTriggerLimit)
    }

    @Test mutating func aRefusedTriggerIsAPartThatNoFrameFinds() throws {
        let messages = try #require(trigger(1, at: 10, refusal: .notReady))
        #expect(messages.map(\.kind) == [.verdict, .reject, .result])
        #expect(verdicts(messages).map(\.reason) == [.notReady])
        #expect(frame(capturedAt: 20).part == nil)
    }

    @Test mutating func triggersThatNoFrameWillAnswerAreUninspectedAndTheOthersGoOn() {
        _ = trigger(1, at: 10)
        #expect(frame(capturedAt: 20).part == 1)
        _ = trigger(2, at: 30)
        _ = trigger(3, at: 40)
        let messages = table.closeAll(at: moment(50))
        #expect(verdicts(messages).map(\.plcToken) == [2, 3])
        #expect(verdicts(messages).allSatisfy { $0.reason == .uninspected })
        #expect(table.inFlight == 1)
    }

    /// Against the definition, on histories that nobody chose: a trigger is judged only where it stands alone between two
    /// frames, nothing is missing there, and both frame and score are in time; and each gets one verdict and one result.
    @Test(arguments: 0..<200)
    mutating func everyHistoryEndsInExactlyOneVerdictPerTrigger(seed: Int) throws {
        var random = SeededRandom(seed: UInt64(seed))
        var said: [MessageBody] = []
        var now = 0
        var token: UInt64 = 0
        var opened: [(token: UInt64, at: Int)] = []
        var (onTheirWay, expected) = ([PartID](), Set<PartID>())
        for _ in 0..<300 {
            now += Int.random(in: 0...25, using: &random)
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<4:
                token += 1
                opened.append((token, now))
                said += try #require(trigger(token, at: now))
            case 4..<8:
                let loss: Reason? = Int.random(in: 0..<6, using: &random) == 0 ? .uninspected : nil
                now += 1
                let waiting = opened.filter { $0.at + 100 > now }
                opened.removeAll()
                let (part, messages) = frame(capturedAt: now, after: loss)
                said += messages
                #expect(part == (waiting.count == 1 && loss == nil ? PartID(waiting[0].token) : nil))
                now += 1
                if let part { onTheirWay.append(part) }
            case 8 where !onTheirWay.isEmpty:
                let part = onTheirWay.remove(at: Int.random(in: onTheirWay.indices, using: &random))
                let messages = table.finish(part, scored(1), durations: StageDurations(), at: moment(now))
                if verdicts(messages).first?.disposition == .accept { expected.insert(part) }
                said += messages
            default:
                said += table.expire(at: moment(now))
            }
        }
        for part in onTheirWay {
            said += table.finish(part, .unscored(.overload), durations: StageDurations(), at: moment(now))
        }
        said += table.closeAll(at: moment(now))
        let parts = (1...token).map { PartID($0) }
        #expect(verdicts(said).map(\.partID).sorted() == parts)
        let results = said.compactMap { if case .result(let result) = $0 { result.verdict } else { nil } }
        #expect(results.map(\.partID).sorted() == parts)
        #expect(Set(verdicts(said).filter { $0.disposition == .accept }.map(\.partID)) == expected)
        #expect(verdicts(said).allSatisfy { $0.disposition != .accept || ($0.deadlineMarginMicroseconds ?? 0) > 0 })
        #expect(table.inFlight == 0 && table.awaitingVerdict == 0)
    }
}
