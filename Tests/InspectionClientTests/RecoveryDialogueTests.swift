import InspectionProtocol
import Messaging
import Testing

@testable import InspectionClient

@Suite struct RecoveryDialogueTests {
    /// A dialogue and a station that answers what the test says.
    private struct Scene {
        let station: StationName
        var dialogue = RecoveryDialogue(bootID: "boot")
        var now = MonotonicMoment(microseconds: 1_000_000)
        private var lastID: RequestID = 0

        init() throws { station = try StationName("a") }

        /// Past the greeting and the snapshot.
        static func ready() throws -> Scene {
            var scene = try Scene()
            _ = scene.ask()
            _ = scene.answer(.hello(Samples.greeting(at: 1_000_000, station: scene.station)))
            _ = scene.ask()
            _ = scene.answer(.snapshot(Samples.snapshot(station: scene.station)))
            return scene
        }

        /// Sends what is to be sent.
        mutating func ask() -> RecoveryRequest.Verb? {
            guard let verb = dialogue.nextRequest(at: now) else { return nil }
            lastID = RequestID(lastID.value + 1)
            dialogue.sent(verb, id: lastID, at: now)
            return verb
        }

        mutating func answer(
            _ body: RecoveryReply.Body, _ messages: [Message] = [], to id: RequestID? = nil
        ) -> [RecoveryDialogue.Outcome] {
            let answer = RecoveryAnswer(
                reply: RecoveryReply(id: id ?? lastID, body: body), messages: messages.map { .success($0) })
            return dialogue.take(answer, at: now)
        }

        func message(_ sequence: SequenceNumber, session: SessionNumber = 1) -> Message {
            Message(
                envelope: Envelope(
                    station: station, session: session, sequence: sequence,
                    sentAt: UTCTimestamp(microsecondsSince1970: 0), sentMonotonicMicroseconds: 0),
                body: .verdict(Samples.verdict))
        }

        func messages(_ sequences: ClosedRange<UInt64>) -> [Message] {
            sequences.map { message(SequenceNumber($0)) }
        }

        func hole(_ missing: ClosedRange<SequenceNumber>, session: SessionNumber = 1) -> SequenceMonitor.Hole {
            SequenceMonitor.Hole(station: station, session: session, kind: .verdict, missing: missing)
        }
    }

    private func replay(_ sequences: ClosedRange<SequenceNumber>, session: SessionNumber = 1) -> RecoveryRequest.Verb {
        .replay(ReplayRange(session: session, kind: .verdict, sequences: sequences))
    }

    private let gone = "the station no longer has them"

    @Test func greetsTakesASnapshotAndThenReplaysOneThingAtATime() throws {
        var scene = try Scene()
        _ = scene.dialogue.want(scene.hole(2...3))
        let (hello, nothing) = (scene.ask(), scene.ask())
        #expect(hello == .hello && nothing == nil)
        let greeting = Samples.greeting(at: 1_000_000, station: scene.station)
        let clock = StationClock(greeting, askedAt: scene.now, heardAt: scene.now, bootID: "boot")
        let greeted = scene.answer(.hello(greeting))
        #expect(greeted == [.greeted(greeting, clock)] && clock.isShared)
        #expect(scene.ask() == .snapshot)
        let snapshot = Samples.snapshot(station: scene.station)
        let told = scene.answer(.snapshot(snapshot))
        #expect(told == [.snapshot(snapshot)])
        #expect(scene.ask() == replay(2...3))
        let outcomes = scene.answer(.end(next: 4), scene.messages(2...3))
        #expect(outcomes == [.recovered(scene.message(2)), .recovered(scene.message(3))])
        #expect(scene.ask() == nil)
        #expect(scene.dialogue.firstOpen(.verdict, of: 1, at: scene.station) == nil)
    }

    @Test func goesOnWhereAnAnswerEnded() throws {
        var scene = try Scene.ready()
        _ = scene.dialogue.want(scene.hole(5...9))
        _ = scene.ask()
        let first = scene.answer(.end(next: 7), scene.messages(5...6))
        #expect(first.count == 2)
        #expect(scene.dialogue.firstOpen(.verdict, of: 1, at: scene.station) == 7)
        #expect(scene.ask() == replay(7...9))
        let second = scene.answer(.end(next: 10), scene.messages(7...9))
        #expect(second.count == 3 && scene.ask() == nil)
    }

    @Test func whatAnAnswerCoversAndDoesNotHoldIsLost() throws {
        var scene = try Scene.ready()
        _ = scene.dialogue.want(scene.hole(5...12))
        _ = scene.ask()
        let outcomes = scene.answer(.end(next: 11), scene.messages(7...7) + scene.messages(9...9))
        #expect(
            outcomes == [
                .recovered(scene.message(7)), .recovered(scene.message(9)),
                .lost(scene.hole(5...6), reason: gone), .lost(scene.hole(8...8), reason: gone),
                .lost(scene.hole(10...10), reason: gone),
            ])
        #expect(scene.ask() == replay(11...12))
    }

    @Test func whatNobodyAskedForIsNotBelieved() throws {
        var scene = try Scene.ready()
        _ = scene.dialogue.want(scene.hole(5...6))
        _ = scene.ask()
        let stray =
            [scene.message(4), scene.message(7), scene.message(5, session: 2)]
            + [scene.message(6), scene.message(5)]
        let outcomes = scene.answer(.end(next: 7), stray)
        #expect(outcomes == [.recovered(scene.message(6)), .lost(scene.hole(5...5), reason: gone)])
        #expect(scene.ask() == nil)
    }

    @Test func everyNumberOfAHoleIsRecoveredLostOrOpenWhateverIsAnswered() throws {
        var generator = SplitMix(state: 11)
        for round in 0..<2000 {
            let scene = try Scene()
            let lower = UInt64.random(in: 1...5, using: &generator)
            let upper = lower + UInt64.random(in: 0...8, using: &generator)
            let hole = scene.hole(SequenceNumber(lower)...SequenceNumber(upper))
            let messages = (0..<Int.random(in: 0...8, using: &generator)).map { _ in
                scene.message(SequenceNumber(UInt64.random(in: 0...16, using: &generator)))
            }
            let next = SequenceNumber(UInt64.random(in: 0...18, using: &generator))
            let page = ReplayedPage(messages.map { .success($0) }, next: next, of: hole)
            var seen: [UInt64] = page.recovered.map(\.envelope.sequence.value)
            for part in page.lost + [page.rest].compactMap({ $0 }) {
                seen += part.missing.lowerBound.value...part.missing.upperBound.value
            }
            #expect(seen.sorted() == Array(lower...upper), "round \(round)")
        }
    }

    @Test func whatIsGoneIsLostAndTheRestAskedForAgain() throws {
        var scene = try Scene.ready()
        _ = scene.dialogue.want(scene.hole(5...9))
        _ = scene.ask()
        let partly = scene.answer(.error(RecoveryFailure(.gone, "old", oldest: 8)))
        #expect(partly == [.lost(scene.hole(5...7), reason: "old")])
        #expect(scene.ask() == replay(8...9))
        let wholly = scene.answer(.error(RecoveryFailure(.gone, "older", oldest: 100)))
        #expect(wholly == [.lost(scene.hole(8...9), reason: "older")])
        #expect(scene.ask() == nil)
    }

    @Test func aSessionThatNobodyKnowsIsLost() throws {
        var scene = try Scene.ready()
        _ = scene.dialogue.want(scene.hole(5...9, session: 3))
        _ = scene.ask()
        let outcomes = scene.answer(.error(.unknownSession(3, current: 1)))
        guard case .lost(let hole, _) = outcomes.first else {
            Issue.record("\(outcomes)")
            return
        }
        #expect(hole == scene.hole(5...9, session: 3) && scene.ask() == nil)
    }

    @Test func anOpenEndIsReadUntilNothingMoreComesAndNothingIsLostThere() throws {
        var scene = try Scene.ready()
        _ = scene.dialogue.want(scene.hole(5...SequenceNumber(.max)))
        _ = scene.ask()
        let some = scene.answer(.end(next: 7), scene.messages(5...6))
        #expect(some.count == 2)
        #expect(scene.ask() == replay(7...SequenceNumber(.max)))
        let none = scene.answer(.end(next: 7))
        #expect(none == [] && scene.ask() == nil)
    }

    @Test func whatWasPublishedAndIsNotKeptYetIsAskedForAgainAfterAPause() throws {
        var scene = try Scene.ready()
        _ = scene.dialogue.want(scene.hole(5...5))
        _ = scene.dialogue.want(scene.hole(8...8))
        _ = scene.ask()
        let none = scene.answer(.end(next: 5))
        #expect(none == [] && scene.ask() == nil)
        let wait = try #require(scene.dialogue.timeToNextStep(at: scene.now))
        scene.now = scene.now.advanced(by: wait)
        #expect(scene.ask() == replay(8...8), "the other has its turn")
        _ = scene.answer(.end(next: 9), [scene.message(8)])
        #expect(scene.ask() == replay(5...5))
    }

    @Test func startingAnewBeginsWithASnapshotAndForgetsNothing() throws {
        var scene = try Scene.ready()
        _ = scene.dialogue.want(scene.hole(5...5))
        _ = scene.ask()
        let none = scene.answer(.error(RecoveryFailure(.startAnew, "slow")))
        #expect(none == [] && scene.ask() == .snapshot)
        _ = scene.answer(.snapshot(Samples.snapshot(station: scene.station)))
        #expect(scene.ask() == replay(5...5))
    }

    @Test func anAnswerToAnotherRequestSaysNothing() throws {
        var scene = try Scene.ready()
        _ = scene.dialogue.want(scene.hole(5...5))
        _ = scene.ask()
        let stale = scene.answer(.end(next: 6), [], to: 999)
        #expect(stale == [] && scene.ask() == nil, "still waiting for its own")
        let own = scene.answer(.end(next: 6), [scene.message(5)])
        #expect(own == [.recovered(scene.message(5))])
    }

    @Test func anEndpointThatIsAwayIsToldOnceAndAskedEverMoreRarely() throws {
        var scene = try Scene.ready()
        _ = scene.dialogue.want(scene.hole(5...5))
        var told: [RecoveryDialogue.Outcome] = []
        var pauses: [Duration] = []
        for _ in 0..<7 {
            #expect(scene.ask() == replay(5...5))
            let within = scene.dialogue.isOverdue(at: scene.now.advanced(by: .seconds(1)))
            scene.now = scene.now.advanced(by: .microseconds(1_000_001))
            let overdue = scene.dialogue.isOverdue(at: scene.now)
            #expect(!within && overdue)
            told += [scene.dialogue.failed("away", at: scene.now)].compactMap { $0 }
            #expect(scene.ask() == nil)
            let pause = try #require(scene.dialogue.timeToNextStep(at: scene.now))
            pauses.append(pause)
            scene.now = scene.now.advanced(by: pause)
        }
        #expect(told == [.unavailable(reason: "away")])
        #expect(
            pauses == [
                .milliseconds(200), .milliseconds(500), .seconds(1), .seconds(2), .seconds(5), .seconds(5), .seconds(5),
            ])
        _ = scene.ask()
        let outcomes = scene.answer(.end(next: 6), [scene.message(5)])
        #expect(outcomes == [.recovered(scene.message(5))], "and nothing was forgotten")
    }

    @Test func theClockOfAnotherMachineIsAskedForAgainAndAgainEvenWhileHolesAreOpen() throws {
        var scene = try Scene()
        _ = scene.ask()
        _ = scene.answer(.hello(Samples.greeting(boot: "other", at: 5, station: scene.station)))
        _ = scene.ask()
        _ = scene.answer(.snapshot(Samples.snapshot(station: scene.station)))
        _ = scene.dialogue.want(scene.hole(5...5))
        #expect(scene.dialogue.timeToNextStep(at: scene.now) == .seconds(10))
        scene.now = scene.now.advanced(by: .seconds(10))
        #expect(scene.ask() == .hello)
    }

    @Test func aHoleOfAnotherStationIsLostAtOnceAndWithTheGreeting() throws {
        var scene = try Scene()
        let other = SequenceMonitor.Hole(
            station: try StationName("b"), session: 1, kind: .verdict, missing: 1...2)
        #expect(scene.dialogue.want(other) == nil, "nobody knows yet whose endpoint it is")
        _ = scene.ask()
        let outcomes = scene.answer(.hello(Samples.greeting(station: scene.station)))
        #expect(outcomes.last == .lost(other, reason: "the recovery endpoint is not that of b"))
        #expect(scene.dialogue.want(other) == "the recovery endpoint is not that of b")
    }

    @Test func aStationThatStartedAnewIsGreetedAgain() throws {
        var scene = try Scene.ready()
        scene.dialogue.beginAnew()
        #expect(scene.ask() == .hello)
    }
}

/// The same numbers on every run.
private struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
