import InspectionProtocol
import Testing

@testable import InspectionClient

/// PROTOCOL §6, duties 1 to 4, with a clock that the test turns.
@Suite struct RejectGateTests {
    /// A gate and a station on the same boot, ten heartbeats a second.
    private struct Scene {
        let station: StationName
        var gate: RejectGate
        var now = MonotonicMoment(microseconds: 1_000_000)
        var session: SessionNumber = 4

        init(greeted: Bool = true) throws {
            station = try StationName("a")
            gate = RejectGate(of: station, start: now)
            if greeted {
                greet()
                gate.note(.snapshot(Samples.snapshot(session: session, station: station)), at: now)
            }
            beat()
        }

        /// From another machine, the answer took this long.
        mutating func greet(boot: String = "boot", roundTrip: Duration = .zero) {
            let greeting = Samples.greeting(boot: boot, at: now.microseconds, session: session, station: station)
            let asked = now.advanced(by: .zero - roundTrip)
            gate.note(
                .greeted(greeting, StationClock(greeting, askedAt: asked, heardAt: now, bootID: "boot")), at: now)
        }

        mutating func message(_ body: MessageBody, session: SessionNumber? = nil) -> Message {
            Message(
                envelope: Envelope(
                    station: station, session: session ?? self.session, sequence: 1,
                    sentAt: UTCTimestamp(microsecondsSince1970: 0), sentMonotonicMicroseconds: now.microseconds),
                body: body)
        }

        mutating func beat(session: SessionNumber? = nil) {
            gate.note(.message(message(.heartbeat(Samples.heartbeat(LastSequences())), session: session)), at: now)
        }

        /// Time goes on, with heartbeats.
        mutating func wait(_ duration: Duration) {
            let end = now.advanced(by: duration)
            while now < end {
                now = min(end, now.advanced(by: .milliseconds(100)))
                beat()
            }
        }

        mutating func expect(_ part: PartName = .token(7)) {
            gate.expect(part, gateAt: now.advanced(by: .milliseconds(300)), at: now)
        }

        mutating func hear(_ verdict: Verdict, session: SessionNumber? = nil) {
            gate.note(.message(message(.verdict(verdict), session: session)), at: now)
        }

        mutating func decide(_ part: PartName = .token(7)) -> PartDecision { gate.decide(part, at: now) }

        /// Accepted, with a deadline in 200 ms, at the gate in 300 ms.
        var accept: Verdict {
            var verdict = Samples.verdict
            verdict.partID = 70
            verdict.plcToken = 7
            verdict.disposition = .accept
            verdict.reason = .none
            verdict.deadlineMonotonicMicroseconds = now.advanced(by: .milliseconds(200)).microseconds
            return verdict
        }
    }

    @Test func anAcceptInTimeOpensTheGateByTokenAndByPart() throws {
        for name in [PartName.token(7), .part(70)] {
            var scene = try Scene()
            scene.expect(name)
            scene.hear(scene.accept)
            scene.wait(.milliseconds(300))
            let (first, second) = (scene.decide(name), scene.decide(name))
            #expect(first == .accept)
            #expect(second == .reject(.notExpected), "it opens once")
        }
    }

    @Test func withoutAVerdictEveryPartRejects() throws {
        var scene = try Scene()
        scene.expect(.token(1))
        scene.expect(.token(2))
        scene.hear(scene.accept)
        scene.wait(.milliseconds(300))
        let decisions = [1, 2, 7].map { scene.decide(.token(PLCToken($0))) }
        #expect(decisions == [.reject(.noVerdict), .reject(.noVerdict), .reject(.notExpected)])
    }

    private static let notAccepted: [(String, RejectCause, @Sendable (inout Verdict) -> Void)] = [
        ("review", .disposition(.review, .none), { $0.disposition = .review }),
        ("reject", .disposition(.reject, .anomaly), { ($0.disposition, $0.reason) = (.reject, .anomaly) }),
        ("simulated", .simulated, { $0.simulated = true }),
        ("challenge", .mode(.challenge), { $0.mode = .challenge }),
        ("shadow", .mode(.shadow), { $0.mode = .shadow }),
        ("replay", .mode(.replay), { $0.mode = .replay }),
        ("no deadline", .noDeadline, { $0.deadlineMonotonicMicroseconds = nil }),
        ("1 µs late", .late(by: .microseconds(1)), { $0.deadlineMonotonicMicroseconds = 999_999 }),
        ("gate past", .late(by: .microseconds(3)), { $0.gateDueMonotonicMicroseconds = 999_997 }),
    ]

    @Test(arguments: notAccepted)
    func anythingButAnAcceptInTimeRejects(
        name: String, cause: RejectCause, change: @Sendable (inout Verdict) -> Void
    ) throws {
        var scene = try Scene()
        scene.expect()
        var verdict = scene.accept
        change(&verdict)
        scene.hear(verdict)
        let decision = scene.decide()
        #expect(decision == .reject(cause), "\(name)")
    }

    @Test func exactlyAtTheDeadlineIsInTime() throws {
        var scene = try Scene()
        scene.expect()
        var verdict = scene.accept
        verdict.deadlineMonotonicMicroseconds = scene.now.microseconds
        scene.hear(verdict)
        let decision = scene.decide()
        #expect(decision == .accept)
    }

    @Test func aVerdictAfterTheGateTimeOpensNothingEvenBeforeItsDeadline() throws {
        var scene = try Scene()
        scene.gate.expect(.token(7), gateAt: scene.now, at: scene.now)
        scene.wait(.milliseconds(1))
        scene.hear(scene.accept)
        let decision = scene.decide()
        #expect(decision == .reject(.late(by: .milliseconds(1))))
    }

    @Test func aRejectMessageNeverAccepts() throws {
        var scene = try Scene()
        scene.expect()
        let accept = scene.accept
        scene.gate.note(.message(scene.message(.reject(accept))), at: scene.now)
        let decision = scene.decide()
        #expect(decision == .reject(.disposition(.reject, .none)))
    }

    @Test func twoAnswersThatDifferReject() throws {
        for acceptFirst in [true, false] {
            var scene = try Scene()
            scene.expect()
            var reject = scene.accept
            (reject.disposition, reject.reason) = (.reject, .anomaly)
            for verdict in acceptFirst ? [scene.accept, reject] : [reject, scene.accept] { scene.hear(verdict) }
            let decision = scene.decide()
            #expect(decision == .reject(acceptFirst ? .contradiction : .disposition(.reject, .anomaly)))
        }
    }

    @Test func oneAnswerTwiceIsOneAnswer() throws {
        var scene = try Scene()
        scene.expect()
        scene.hear(scene.accept)
        scene.hear(scene.accept)
        let decision = scene.decide()
        #expect(decision == .accept)
    }

    @Test func twoPartsOfOneNameReject() throws {
        var scene = try Scene()
        scene.expect()
        scene.hear(scene.accept)
        scene.expect()
        scene.hear(scene.accept)
        let decision = scene.decide()
        #expect(decision == .reject(.ambiguousName))
    }

    @Test func moreThanTheGateKeepsReject() throws {
        var scene = try Scene()
        var configuration = RejectGate.Configuration()
        configuration.capacity = 1
        scene.gate = RejectGate(of: scene.station, configuration: configuration, start: scene.now)
        scene.greet()
        scene.beat()
        scene.expect(.token(6))
        scene.expect()
        scene.hear(scene.accept)
        let decision = scene.decide()
        #expect(decision == .reject(.notExpected) && scene.gate.pendingCount == 1)
    }

    // MARK: The station's clock

    @Test func beforeTheStationToldItsClockNothingIsAccepted() throws {
        var scene = try Scene(greeted: false)
        scene.expect()
        scene.hear(scene.accept)
        let decision = scene.decide()
        #expect(decision == .reject(.unknownClock))
    }

    /// The other machine's clock is known to ± (round trip / 2 + 2 µs), and the margin is 5 ms.
    @Test func anotherMachinesClockMustBeKnownWellEnough() throws {
        var scene = try Scene()
        scene.greet(boot: "other", roundTrip: .microseconds(9996))
        scene.expect()
        scene.hear(scene.accept)
        let good = scene.decide()
        #expect(good == .accept)
        scene.greet(boot: "other", roundTrip: .microseconds(9998))
        scene.expect()
        scene.hear(scene.accept)
        let poor = scene.decide()
        #expect(poor == .reject(.uncertainClock(.microseconds(5001))))
        let isReady = scene.gate.isReady(at: scene.now)
        #expect(!isReady)
    }

    @Test func whatMayBeLateByTheUncertaintyIsLate() throws {
        var scene = try Scene()
        scene.greet(boot: "other", roundTrip: .milliseconds(4))
        scene.expect()
        var verdict = scene.accept
        // The station's clock is 2 ms ahead at the best guess, and by 2.002 ms more at worst.
        verdict.deadlineMonotonicMicroseconds = scene.now.microseconds + 4001
        scene.hear(verdict)
        let decision = scene.decide()
        #expect(decision == .reject(.late(by: .microseconds(1))))
    }

    // MARK: Silence

    @Test func silenceRejectsEveryPartOnItsWayAlsoTheAccepted() throws {
        var scene = try Scene()
        scene.expect()
        scene.hear(scene.accept)
        scene.now = scene.now.advanced(by: .milliseconds(350))
        let ready = scene.gate.isReady(at: scene.now)
        scene.now = scene.now.advanced(by: .microseconds(1))
        let stillReady = scene.gate.isReady(at: scene.now)
        #expect(ready && !stillReady)
        scene.beat()
        let again = scene.gate.isReady(at: scene.now)
        let decision = scene.decide()
        #expect(again && decision == .reject(.silence), "heartbeats do not bring it back")
    }

    /// The loop was asleep, and asks before it has read anything.
    @Test func aGateThatWasAskedFirstKnowsOfTheSilence() throws {
        var scene = try Scene()
        scene.expect()
        scene.hear(scene.accept)
        scene.now = scene.now.advanced(by: .seconds(1))
        let decision = scene.decide()
        #expect(decision == .reject(.silence))
    }

    @Test func heartbeatsThatWaitedInAQueueAreAsOldAsTheyAre() throws {
        var scene = try Scene()
        let old = scene.message(.heartbeat(Samples.heartbeat(LastSequences())))
        scene.now = scene.now.advanced(by: .seconds(10))
        scene.gate.note(.message(old), at: scene.now)
        let ready = scene.gate.isReady(at: scene.now)
        #expect(!ready)
    }

    @Test func aPartThatSetsOutDuringASilenceRejects() throws {
        var scene = try Scene()
        scene.now = scene.now.advanced(by: .seconds(1))
        scene.expect()
        scene.beat()
        scene.hear(scene.accept)
        let decision = scene.decide()
        #expect(decision == .reject(.silence))
    }

    @Test func twoSecondsOfSilenceStopTheLineUntilTheStationIsHeard() throws {
        var scene = try Scene()
        let start = scene.now
        let stops = [2000, 2001].map {
            scene.gate.requestsLineStop(at: start.advanced(by: .milliseconds($0)))
        }
        scene.now = start.advanced(by: .seconds(3))
        scene.beat()
        let after = scene.gate.requestsLineStop(at: scene.now)
        #expect(stops == [false, true] && !after)
    }

    @Test func theStationsOwnWishStopsTheLine() throws {
        var scene = try Scene()
        var heartbeat = Samples.heartbeat(LastSequences())
        heartbeat.lineStopRequest = true
        scene.gate.note(.message(scene.message(.heartbeat(heartbeat))), at: scene.now)
        let stop = scene.gate.requestsLineStop(at: scene.now)
        #expect(stop)
    }

    @Test func readyTakesASnapshotAClockAndAReadyStation() throws {
        var ungreeted = try Scene(greeted: false)
        let without = ungreeted.gate.isReady(at: ungreeted.now)
        ungreeted.greet()
        let withoutSnapshot = ungreeted.gate.isReady(at: ungreeted.now)
        var scene = try Scene()
        let withAll = scene.gate.isReady(at: scene.now)
        var heartbeat = Samples.heartbeat(LastSequences())
        heartbeat.ready = false
        scene.gate.note(.message(scene.message(.heartbeat(heartbeat))), at: scene.now)
        let held = scene.gate.isReady(at: scene.now)
        #expect([without, withoutSnapshot, withAll, held] == [false, false, true, false])
    }

    // MARK: Sessions

    @Test func aNewSessionRejectsThePartsOfTheOldOne() throws {
        for event in ["heartbeat", "verdict", "snapshot"] {
            var scene = try Scene()
            scene.expect()
            scene.hear(scene.accept)
            switch event {
            case "heartbeat": scene.beat(session: 5)
            case "verdict": scene.hear(scene.accept, session: 5)
            default: scene.gate.note(.snapshot(Samples.snapshot(session: 5, station: scene.station)), at: scene.now)
            }
            let decision = scene.decide()
            #expect(decision == .reject(.newSession), "\(event)")
        }
    }

    @Test func whatAnOlderSessionSaysCountsNoMore() throws {
        var scene = try Scene()
        scene.expect()
        scene.hear(scene.accept, session: 3)
        let decision = scene.decide()
        #expect(decision == .reject(.noVerdict))
        scene.now = scene.now.advanced(by: .milliseconds(400))
        scene.beat(session: 3)
        let ready = scene.gate.isReady(at: scene.now)
        #expect(!ready, "its heartbeats neither")
    }

    @Test func anotherStationSaysNothingHere() throws {
        var scene = try Scene()
        scene.expect()
        let envelope = Envelope(
            station: try StationName("b"), session: 4, sequence: 1, sentAt: UTCTimestamp(microsecondsSince1970: 0),
            sentMonotonicMicroseconds: 0)
        scene.gate.note(.message(Message(envelope: envelope, body: .verdict(scene.accept))), at: scene.now)
        let decision = scene.decide()
        #expect(decision == .reject(.noVerdict))
    }

    // MARK: Recovered verdicts

    @Test func aRecoveredVerdictInTimeCountsAndOneAfterTheGateIsOnlyTold() throws {
        var scene = try Scene()
        scene.expect()
        let verdict = scene.accept
        let recovered = FeedEvent.recovered(scene.message(.verdict(verdict)))
        let inTime = scene.gate.note(recovered, at: scene.now)
        let accepted = scene.decide()
        #expect(inTime == nil && accepted == .accept)

        scene.expect()
        scene.wait(.milliseconds(301))
        let late = scene.gate.note(recovered, at: scene.now)
        let rejected = scene.decide()
        #expect(late == verdict && rejected == .reject(.noVerdict), "past its gate and still there")
        let gone = scene.gate.note(recovered, at: scene.now)
        #expect(gone == verdict, "decided and gone")
    }

    @Test func aRecoveredVerdictOfAnOldSessionIsOnlyTold() throws {
        var scene = try Scene()
        scene.expect()
        let verdict = scene.accept
        let old = scene.message(.verdict(verdict), session: 3)
        let told = scene.gate.note(.recovered(old), at: scene.now)
        let decision = scene.decide()
        #expect(told == verdict && decision == .reject(.noVerdict))
    }

    @Test func aReplayedRejectRejects() throws {
        var scene = try Scene()
        scene.expect()
        scene.hear(scene.accept)
        var reject = scene.accept
        (reject.disposition, reject.reason) = (.reject, .late)
        scene.gate.note(.recovered(scene.message(.verdict(reject))), at: scene.now)
        let decision = scene.decide()
        #expect(decision == .reject(.contradiction))
    }
}
