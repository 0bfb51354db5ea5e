import AnomalyScoring
import Imaging
import InspectionProtocol
import Testing

@testable import InspectionRuntime

/// Parts that several frames show: which frames those are, and what they say together.
@Suite struct PartViewsTests {
    private func score(_ z: Double) -> PartOutcome {
        let branch = BranchScore(raw: z, mean: 0, deviation: 1, z: z)
        let other = BranchScore(raw: 0, mean: 0, deviation: 1, z: 0)
        return .scored(FusedScore(picturable: branch, unpicturable: other, threshold: 5), regions: [])
    }

    private func facts(_ number: UInt64) -> FrameFacts {
        FrameFacts(number: number, capturedAt: MonotonicInstant(nanoseconds: 1_000_000_000 + number * 1_000_000))
    }

    private func moment(_ milliseconds: UInt64) -> Moment {
        Moment(
            monotonic: MonotonicInstant(nanoseconds: 1_000_000_000 + milliseconds * 1_000_000),
            wall: UTCTimestamp(microsecondsSince1970: 0))
    }

    private func table(_ source: TriggerSource = .interval, views: Int = 3) -> PartTable {
        var terms = PartTable.Terms(
            triggerSource: source, timestampQuality: .hostArrival, recipe: "grey", recipeRevision: 1, modelSHA256: nil,
            threshold: 5, mode: .production, simulated: false, latencyBudget: .milliseconds(100))
        terms.views = views
        return PartTable(terms: terms)
    }

    private func verdicts(_ messages: [MessageBody]) -> [Verdict] {
        messages.compactMap { if case .verdict(let verdict) = $0 { verdict } else { nil } }
    }

    private func results(_ messages: [MessageBody]) -> [PartResult] {
        messages.compactMap { if case .result(let result) = $0 { result } else { nil } }
    }

    private func open(_ table: inout PartTable, _ id: UInt64, frame: UInt64) -> [MessageBody] {
        table.open(Part(id: PartID(id), trigger: TriggerID(id), frame: facts(frame)), at: moment(frame))
    }

    /// Every order in which three views can come back from the stages.
    @Test(arguments: [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]])
    func theWorstViewSpeaksForThePart(order: [Int]) throws {
        var table = table()
        #expect(open(&table, 1, frame: 10).isEmpty)
        #expect(table.admit(facts(11), to: 1)?.index == 1)
        #expect(table.admit(facts(12), to: 1)?.index == 2)
        #expect(table.admit(facts(13), to: 1) == nil)
        var said: [MessageBody] = []
        for view in order {
            #expect(said.isEmpty, "nothing is said before all is known")
            said += table.finish(
                1, view: view, score([2, 6, 4][view]), durations: StageDurations(preprocess: 3, fuse: Int64(view)),
                at: moment(50))
        }
        #expect(said.map(\.kind) == [.verdict, .reject, .result])
        let verdict = try #require(verdicts(said).first)
        #expect(verdict.reason == .anomaly && verdict.score == 6 && verdict.framesUsed == 3)
        #expect(verdict.capturedMonotonicMicroseconds == 1_010_000, "the first view's")
        let result = try #require(results(said).first)
        #expect(result.details.frameIDs == [10, 11, 12])
        #expect(result.details.picturable?.z == 6)
        #expect(result.details.stageDurations == StageDurations(preprocess: 9, fuse: 3))
    }

    @Test func theFirstViewWithoutAScoreDecides() throws {
        var table = table()
        _ = open(&table, 1, frame: 10)
        for frame: UInt64 in [11, 12] { _ = table.admit(facts(frame), to: 1) }
        #expect(table.finish(1, view: 2, .unscored(.overload), durations: StageDurations(), at: moment(20)).isEmpty)
        #expect(table.finish(1, view: 1, .unscored(.corruptFrame), durations: StageDurations(), at: moment(20)).isEmpty)
        let said = table.finish(1, view: 0, score(9), durations: StageDurations(), at: moment(20))
        #expect(verdicts(said).map(\.reason) == [.corruptFrame])
        #expect(verdicts(said).map(\.framesUsed) == [0])
    }

    @Test(arguments: [Double.nan, .infinity, -.infinity])
    func aViewWhoseScoreIsNoNumberIsNeverOutvoted(z: Double) {
        var table = table(views: 2)
        _ = open(&table, 1, frame: 10)
        _ = table.admit(facts(11), to: 1)
        _ = table.finish(1, view: 0, score(1), durations: StageDurations(), at: moment(20))
        let said = table.finish(1, view: 1, score(z), durations: StageDurations(), at: moment(20))
        #expect(verdicts(said).map(\.reason) == [.modelOrRecipeInvalid])
    }

    @Test func aPartWhoseViewsEndEarlyIsIncompleteOnceTheOthersAreThrough() {
        var table = table()
        _ = open(&table, 1, frame: 10)
        #expect(table.close(1, .incompleteViews, at: moment(12)).isEmpty)
        #expect(table.admit(facts(12), to: 1) == nil)
        let said = table.finish(1, score(1), durations: StageDurations(), at: moment(20))
        #expect(said.map(\.kind) == [.verdict, .reject, .result])
        #expect(verdicts(said).map(\.reason) == [.incompleteViews])
        #expect(results(said).map(\.details.frameIDs) == [[10]])
    }

    @Test func atTheDeadlineAMissingViewIsSaidBeforeALateOne() {
        var table = table(views: 2)
        _ = open(&table, 1, frame: 10)
        _ = open(&table, 2, frame: 11)
        _ = table.admit(facts(12), to: 2)
        let said = table.expire(at: moment(111))
        #expect(verdicts(said).map(\.reason) == [.incompleteViews, .late])
        #expect(table.admit(facts(13), to: 1) == nil, "given up")
        #expect(results(table.finish(1, score(1), durations: StageDurations(), at: moment(120))).count == 1)
        _ = table.finish(2, view: 0, score(1), durations: StageDurations(), at: moment(120))
        let late = results(table.finish(2, view: 1, score(1), durations: StageDurations(), at: moment(120)))
        #expect(late.map(\.details.late) == [true])
        #expect(table.inFlight == 0)
    }

    @Test func aTriggerBeforeTheLastViewOfAnotherMakesBothAmbiguous() {
        var table = table(.external, views: 2)
        for token: UInt64 in [1, 2] {
            let words = ExternalTrigger(plcToken: PLCToken(token))
            let part = Part(
                id: PartID(token),
                external: ReceivedTrigger(words: words, receivedAt: moment(10 * token).monotonic))
            _ = table.openTriggered(part, refusal: nil, at: moment(10 * token))
            if token == 1 { #expect(table.claim(facts(15), after: nil, at: moment(15)).view?.part == 1) }
        }
        let (view, said) = table.claim(facts(25), after: nil, at: moment(25))
        #expect(view == nil)
        #expect(verdicts(said).map(\.plcToken) == [2], "the first one's view is still in the stages")
        let rest = table.finish(1, score(1), durations: StageDurations(), at: moment(30))
        #expect(verdicts(said + rest).map(\.reason) == [.ambiguousPart, .ambiguousPart])
    }

    @Test func aTriggeredPartTakesTheNextFramesAndAGapEndsIt() {
        var table = table(.external, views: 3)
        let words = ExternalTrigger(plcToken: 1)
        let part = Part(id: 1, external: ReceivedTrigger(words: words, receivedAt: moment(10).monotonic))
        _ = table.openTriggered(part, refusal: nil, at: moment(10))
        #expect(table.claim(facts(11), after: nil, at: moment(11)).view == PartView(part: 1, index: 0))
        #expect(table.claim(facts(12), after: nil, at: moment(12)).view == PartView(part: 1, index: 1))
        #expect(table.claim(facts(20), after: .uninspected, at: moment(20)).view == nil)
        _ = table.finish(1, view: 0, score(1), durations: StageDurations(), at: moment(21))
        let said = table.finish(1, view: 1, score(1), durations: StageDurations(), at: moment(21))
        #expect(verdicts(said).map(\.reason) == [.incompleteViews])
    }

    /// Against the definition: every subset of twelve frames, every number of views that fits.
    @Test func everyPartHasExactlyItsFramesOrIsIncomplete() throws {
        for (every, offset, views) in [(3, 0, 1), (3, 1, 2), (3, 0, 3), (4, 2, 3), (4, 0, 4), (6, 1, 4)] {
            for subset in 0..<4096 {
                let frames = (0..<12).filter { subset >> $0 & 1 == 1 }
                var gate = PartGate(
                    trigger: .frames(every: every, offset: offset), views: views, partIDs: ConsecutivePartIDs())
                var shown: [PartID: [Int]] = [:]
                var causes: [PartID: Reason] = [:]
                for number in frames {
                    let admission = try gate.see(greyFrame(number))
                    for (part, cause) in admission.framelessParts { causes[part.id] = cause }
                    if let (part, cause) = admission.ended { causes[part] = cause }
                    switch admission.shows {
                    case .newPart(let part): shown[part.id] = [number]
                    case .part(let part): shown[part, default: []].append(number)
                    case .triggered, nil: break
                    }
                }
                for (part, cause) in try gate.end(before: 12) { causes[part.id] = cause }
                let windows = stride(from: offset, to: 12, by: every).map { Array($0..<$0 + views) }
                for (index, window) in windows.enumerated() {
                    let part = PartID(UInt64(index + 1))
                    let seen = window.prefix { frames.contains($0) }
                    let situation = "every \(every) offset \(offset) views \(views) of \(frames), part \(part)"
                    #expect(shown[part] ?? [] == Array(seen), "\(situation)")
                    // What ends with the stream is ended by the desk, which knows what it waits for.
                    let next = frames.first { $0 > (seen.last ?? window[0] - 1) }
                    let cause: Reason? =
                        if seen.count == views { nil } else if seen.isEmpty {
                            window.contains(where: frames.contains) ? .incompleteViews : .uninspected
                        } else { next == nil ? nil : .incompleteViews }
                    #expect(causes[part] == cause, "\(situation)")
                }
            }
        }
    }

    @Test func anIntervalInTimeThatCutsAPartShortLeavesBothAmbiguous() throws {
        var gate = PartGate(
            trigger: .presentationTime(every: .milliseconds(50), offset: .zero), views: 3,
            partIDs: ConsecutivePartIDs())
        var ended: [Reason] = []
        var frameless: [Reason] = []
        for number in 0..<4 {
            let admission = try gate.see(greyFrame(number, at: .milliseconds(30 * number)))
            ended += admission.ended.map { [$0.cause] } ?? []
            frameless += admission.framelessParts.map(\.cause)
        }
        #expect(ended == [.ambiguousPart] && frameless == [.ambiguousPart])
    }
}
