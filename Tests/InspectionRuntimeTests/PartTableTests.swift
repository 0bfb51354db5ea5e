import AnomalyScoring
import Imaging
import InspectionProtocol
import Testing

@testable import InspectionRuntime

/// The deadline contract on made-up clocks: times are milliseconds after a start.
@Suite struct PartTableTests {
    private func table(budget: Duration? = .milliseconds(100)) -> PartTable {
        PartTable(
            terms: PartTable.Terms(
                triggerSource: .everyFrame, timestampQuality: .hostArrival, recipe: "grey", recipeRevision: 3,
                modelSHA256: "ab", threshold: 5, mode: .production, simulated: false, latencyBudget: budget))
    }

    private func moment(_ milliseconds: Int) -> Moment {
        Moment(
            monotonic: MonotonicInstant(nanoseconds: UInt64(1_000_000_000 + milliseconds * 1_000_000)),
            wall: UTCTimestamp(microsecondsSince1970: Int64(milliseconds) * 1000))
    }

    private func part(_ id: UInt64, capturedAt milliseconds: Int = 0) -> Part {
        Part(
            id: PartID(id), trigger: TriggerID(id),
            frame: FrameFacts(number: id, capturedAt: moment(milliseconds).monotonic))
    }

    private func scored(_ z: Double) -> PartOutcome {
        let branch = BranchScore(raw: z, mean: 0, deviation: 1, z: z)
        let other = BranchScore(raw: 0, mean: 0, deviation: 1, z: 0)
        return .scored(FusedScore(picturable: branch, unpicturable: other, threshold: 5), regions: [])
    }

    private func kinds(_ messages: [MessageBody]) -> [MessageKind] { messages.map(\.kind) }

    private func firstVerdict(in messages: [MessageBody]) -> Verdict? {
        messages.lazy.compactMap { if case .verdict(let verdict) = $0 { verdict } else { nil } }.first
    }

    @Test func aScoreBelowTheThresholdAccepts() throws {
        var table = table()
        #expect(table.open(part(1), at: moment(10)).isEmpty)
        let messages = table.finish(1, scored(2), durations: StageDurations(), at: moment(40))
        #expect(kinds(messages) == [.verdict, .result])
        let verdict = try #require(firstVerdict(in: messages))
        #expect(verdict.disposition == .accept)
        #expect(verdict.reason == .none)
        #expect(verdict.inspected)
        #expect(verdict.score == 2)
        #expect(verdict.latencyMicroseconds == 40_000)
        #expect(verdict.deadlineMarginMicroseconds == 60_000)
        #expect(verdict.capturedAt == UTCTimestamp(microsecondsSince1970: 0))
        #expect(table.inFlight == 0)
    }

    @Test func aScoreAboveTheThresholdRejectsTwiceOverAndIsCounted() throws {
        var table = table()
        for id in 1...3 as ClosedRange<UInt64> {
            _ = table.open(part(id), at: moment(1))
            let messages = table.finish(PartID(id), scored(id == 3 ? 1 : 6), durations: StageDurations(), at: moment(2))
            #expect(kinds(messages) == (id == 3 ? [.verdict, .result] : [.verdict, .reject, .result]))
            #expect(firstVerdict(in: messages)?.consecutiveRejects == (id == 3 ? 0 : Int(id)))
        }
        #expect(table.rejectionsByReason == [.anomaly: 2])
        #expect(table.counts.seen == 3 && table.counts.accepted == 1)
    }

    @Test func atTheDeadlineThePartIsLateAndItsScoreRevisesNothing() throws {
        var table = table()
        _ = table.open(part(1), at: moment(10))
        #expect(table.nextDeadline == moment(100).monotonic)
        #expect(table.expire(at: moment(99)).isEmpty)
        let late = table.expire(at: moment(100))
        #expect(kinds(late) == [.verdict, .reject])
        #expect(firstVerdict(in: late)?.reason == .late)
        #expect(table.expire(at: moment(200)).isEmpty, "one verdict is enough")
        #expect(table.awaitingVerdict == 0)
        #expect(table.inFlight == 1)

        let after = table.finish(1, scored(2), durations: StageDurations(), at: moment(300))
        guard case .result(let result)? = after.first, after.count == 1 else {
            Issue.record("after the verdict only a result may follow, not \(kinds(after))")
            return
        }
        #expect(result.details.late)
        #expect(result.verdict.reason == .late)
        #expect(result.details.picturable?.z == 2)
        #expect(table.counts.seen == 1)
    }

    @Test func aScoreThatOvertakesTheTimerIsLateAllTheSame() throws {
        var table = table()
        _ = table.open(part(1), at: moment(10))
        let messages = table.finish(1, scored(2), durations: StageDurations(), at: moment(101))
        #expect(firstVerdict(in: messages)?.reason == .late)
        #expect(firstVerdict(in: messages)?.disposition == .reject)
        guard case .result(let result)? = messages.last else {
            Issue.record("no result")
            return
        }
        #expect(result.details.late)
    }

    @Test(arguments: [
        Reason.uninspected, .corruptFrame, .overload, .modelOrRecipeInvalid, .imageHealth,
    ])
    func aPartWithoutAScoreIsRejectedWithItsCause(cause: Reason) throws {
        var table = table()
        _ = table.open(part(1), at: moment(10))
        let messages = table.finish(1, .unscored(cause), durations: StageDurations(), at: moment(20))
        #expect(kinds(messages) == [.verdict, .reject, .result])
        let verdict = try #require(firstVerdict(in: messages))
        #expect(verdict.disposition == .reject)
        #expect(verdict.reason == cause)
        #expect(!verdict.inspected && verdict.score == nil && verdict.framesUsed == 0)
    }

    @Test(arguments: [Double.nan, .infinity, -.infinity])
    func aScoreThatIsNoNumberIsNeverAnAccept(z: Double) throws {
        var table = table()
        _ = table.open(part(1), at: moment(10))
        let messages = table.finish(1, scored(z), durations: StageDurations(), at: moment(20))
        let verdict = try #require(firstVerdict(in: messages))
        #expect(verdict.disposition == .reject)
        #expect(verdict.reason == .modelOrRecipeInvalid)
        #expect(verdict.score == nil)
    }

    @Test func aRefusedPartIsAnsweredAtOnce() throws {
        var table = table()
        let messages = table.open(part(1), refusal: .notReady, at: moment(10))
        #expect(firstVerdict(in: messages)?.reason == .notReady)
        #expect(kinds(table.finish(1, scored(0), durations: StageDurations(), at: moment(20))) == [.result])
    }

    @Test func aPartThatNoFrameShowsIsAnsweredAtOnceAndForgotten() throws {
        var table = table()
        var lost = part(1)
        lost.frame = nil
        let messages = table.open(lost, outcome: .unscored(.uninspected), at: moment(10))
        #expect(kinds(messages) == [.verdict, .reject, .result])
        let verdict = try #require(firstVerdict(in: messages))
        #expect(verdict.capturedAt == nil && verdict.latencyMicroseconds == nil && verdict.timestampQuality == nil)
        #expect(table.inFlight == 0)
    }

    @Test func withoutABudgetVerdictsKeepTheOrderOfTheParts() {
        var table = table(budget: nil)
        for id in 1...3 as ClosedRange<UInt64> { _ = table.open(part(id), at: moment(0)) }
        #expect(table.nextDeadline == nil)
        #expect(table.finish(3, .unscored(.corruptFrame), durations: StageDurations(), at: moment(1)).isEmpty)
        #expect(table.finish(2, scored(9), durations: StageDurations(), at: moment(2)).isEmpty)
        let messages = table.finish(1, scored(0), durations: StageDurations(), at: moment(1_000_000))
        let verdicts = messages.compactMap { if case .verdict(let verdict) = $0 { verdict } else { nil } }
        #expect(verdicts.map(\.partID) == [1, 2, 3])
        #expect(verdicts.map(\.reason) == [.none, .anomaly, .corruptFrame])
        #expect(verdicts.map(\.consecutiveRejects) == [0, 1, 2])
    }
}

@Suite struct LatencyHistogramTests {
    @Test func percentilesAreWithinASixteenth() throws {
        var histogram = LatencyHistogram()
        #expect(histogram.percentile(0.5) == nil)
        for microseconds in 1...100_000 { histogram.record(.microseconds(microseconds)) }
        for (rank, truth) in [(0.5, 50_000.0), (0.9, 90_000), (0.99, 99_000), (0.0001, 10)] {
            let measured = Double(try #require(histogram.percentile(rank)).nanoseconds) / 1000
            #expect(measured >= truth && measured <= truth * 17 / 16 + 1, "\(rank): \(measured)")
        }
        #expect(histogram.percentile(1) == .microseconds(100_000))
        #expect(histogram.longest == .microseconds(100_000))
    }

    @Test func extremesHaveAPlace() {
        var histogram = LatencyHistogram()
        histogram.record(.microseconds(-5))
        histogram.record(.seconds(1_000_000_000))
        #expect(histogram.count == 2)
        #expect(histogram.percentile(0.1) == .microseconds(1))
    }
}

@Suite struct StationConditionTests {
    @Test func theStateIsTheHighestThatTheFactsAllow() {
        var condition = StationCondition()
        #expect(condition.state == .preoperational)
        condition.isStarted = true
        #expect(condition.state == .initialized)
        condition.hasFrames = true
        #expect(condition.state == .running)
        condition.isStarved = true
        #expect(condition.state == .starved)
        condition.stall = "beltwatch.score has not moved"
        #expect(condition.state == .error)
        #expect(condition.reason == "beltwatch.score has not moved")
        condition.stall = nil
        #expect(condition.state == .starved)
        condition.sourceFailure = "unplugged"
        #expect(condition.state == .error)
        condition.ending = .stopped
        #expect(condition.state == .halted)
        condition.ending = .failed("unplugged")
        #expect(condition.state == .error)
        #expect(condition.reason == "unplugged")
    }
}
