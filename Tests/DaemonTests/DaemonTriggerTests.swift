import Foundation
import Glibc
import InspectionProtocol
import InspectionRuntime
import Journal
import Messaging
import Testing

/// Parts that a controller announces: commands over the recovery endpoint, frames from a pipeline, and one verdict each.
extension DaemonTests {
    private static let trigger = "trigger: {mode: external}"

    private static func camera(framesPerSecond: Int, _ pattern: String = "") -> [String] {
        [
            "pipeline: videotestsrc is-live=true \(pattern) ! video/x-raw,width=320,height=240,framerate=\(framesPerSecond)/1",
            "live: true",
        ]
    }

    private static func give(
        _ token: UInt64, encoder: Int64? = nil, to requester: inout RecoveryRequester
    ) throws -> CommandAnswer {
        let command = StationCommand.trigger(ExternalTrigger(plcToken: PLCToken(token), encoder: encoder))
        let answer = try requester.ask(.command(command), timeout: .seconds(30)).reply.body
        guard case .command(.trigger, let outcome) = answer else {
            Issue.record("\(answer)")
            return .accepted
        }
        return outcome
    }

    @Test func aTriggerComesBackWithTokenAndEncoder() throws {
        let station = try StationFixture(
            source: Self.camera(framesPerSecond: 10), recovery: "ipc", more: [Self.trigger])
        let daemon = try RunningDaemon(["--config", station.configuration])
        var subscriber = try daemon.subscriber()
        _ = try subscriber.receive { $0.contains { $0.heartbeat?.running == true } }
        var requester = try RecoveryRequester(connecting: try daemon.endpoint(of: "recovery"), in: Context())
        guard case .hello(let greeting) = try requester.ask(.hello, timeout: .seconds(30)).reply.body else {
            Issue.record("no greeting")
            return
        }
        #expect(greeting.commands == ["Trigger", "Reset"])

        let before = SystemMonotonicClock().now.microseconds
        #expect(try Self.give(88, encoder: -120_034, to: &requester) == .accepted)
        let heard = try subscriber.receive { $0.contains { $0.verdict != nil } && $0.contains { $0.result != nil } }
        let verdict = try #require(heard.compactMap(\.verdict).first)
        let result = try #require(heard.compactMap(\.result).first)
        #expect(verdict.plcToken == 88 && verdict.encoder == -120_034 && verdict.triggerID == 88)
        #expect(verdict.triggerSource == .external && verdict.disposition == .accept && verdict.inspected)
        #expect(try #require(verdict.capturedMonotonicMicroseconds) >= before, "captured before the trigger")
        #expect(result.verdict == verdict && result.details.frameIDs.count == 1)
        daemon.signal(SIGTERM)
        #expect(try daemon.exitStatus() == 0, "\(daemon.errors)")
        #expect(daemon.errors.contains("seen=1"), "\(daemon.errors)")
    }

    /// The camera gives a frame every ten seconds, the budget is a fifth of a second.
    @Test func aTriggerThatNoFrameFollowsIsUninspectedByItsDeadline() throws {
        let station = try StationFixture(
            source: [
                "pipeline: videotestsrc is-live=true ! video/x-raw,width=320,height=240,framerate=1/10", "live: true",
            ], budget: "200ms", recovery: "ipc", more: [Self.trigger])
        let daemon = try RunningDaemon(["--config", station.configuration])
        var subscriber = try daemon.subscriber()
        _ = try subscriber.receive { $0.contains { $0.heartbeat?.running == true } }
        var requester = try RecoveryRequester(connecting: try daemon.endpoint(of: "recovery"), in: Context())
        #expect(try Self.give(1, to: &requester) == .accepted)
        let heard = try subscriber.receive { $0.contains { $0.result != nil } && $0.contains { $0.verdict != nil } }
        let verdict = try #require(heard.compactMap(\.verdict).first)
        #expect(verdict.reason == .uninspected && verdict.plcToken == 1)
        // The timer needs no frame and no stage; the rest is a busy test machine.
        #expect(try #require(verdict.deadlineMarginMicroseconds) > -50_000)
        daemon.signal(SIGTERM)
        #expect(try daemon.exitStatus() == 0, "\(daemon.errors)")
    }

    @Test func triggersOfAStationThatCountsFramesAreRefused() throws {
        let station = try StationFixture(source: Self.camera(framesPerSecond: 2), recovery: "ipc")
        let daemon = try RunningDaemon(["--config", station.configuration])
        var requester = try RecoveryRequester(connecting: try daemon.endpoint(of: "recovery"), in: Context())
        guard case .hello(let greeting) = try requester.ask(.hello, timeout: .seconds(30)).reply.body,
            case .refused(let refusal) = try Self.give(1, to: &requester)
        else {
            Issue.record("no greeting, or the trigger was accepted")
            return
        }
        #expect(greeting.commands == ["Reset"] && refusal.reason == .notConfigured)
        daemon.signal(SIGTERM)
        #expect(try daemon.exitStatus() == 0, "\(daemon.errors)")
    }

    /// Triggers alone and in bursts, some with a token that is taken, while frames come or do not and a line stop holds the
    /// station now and then; the journal is the oracle.
    @Test func aThousandTriggersInAStormGetOneVerdictEach() throws {
        let station = try StationFixture(
            source: Self.camera(framesPerSecond: 100, "! identity drop-probability=0.93"), budget: "150ms",
            recovery: "ipc", more: [Self.trigger, "line_stop: {uninspected: 40}"], overflow: "drop_oldest")
        let daemon = try RunningDaemon(["--config", station.configuration])
        var subscriber = try daemon.subscriber()
        _ = try subscriber.receive { $0.contains { $0.heartbeat?.running == true } }
        var requester = try RecoveryRequester(connecting: try daemon.endpoint(of: "recovery"), in: Context())

        var random = SeededRandom(seed: 7)
        var (accepted, refused) = ([PLCToken](), [PLCToken]())
        var wasHeld = false
        // On a machine that stalls, ZeroMQ gives up a connection, and a command or its answer with it. The storm ends there.
        var unanswered: PLCToken?
        storm: while accepted.count < 1000 {
            let count = Int.random(in: 0..<50, using: &random) == 0 ? 80 : Int.random(in: 1...4, using: &random)
            for _ in 0..<min(count, 1000 - accepted.count) {
                let isRepeated = Int.random(in: 0..<10, using: &random) == 0
                let token = isRepeated ? accepted.last?.value ?? 1 : UInt64(accepted.count + refused.count + 1)
                let answer: CommandAnswer
                do {
                    answer = try Self.give(token, encoder: Int64(token), to: &requester)
                } catch RecoveryRequestFailure.noAnswer {
                    unanswered = PLCToken(token)
                    _ = try requester.ask(.hello, timeout: .seconds(30))
                    break storm
                }
                switch answer {
                case .accepted: accepted.append(PLCToken(token))
                case .refused(let refusal):
                    #expect(refusal.reason == .duplicateToken)
                    refused.append(PLCToken(token))
                }
            }
            // A reader may lose messages in a burst, so the heartbeat says how far the station is.
            let heard = try subscriber.receive { messages in
                messages.last?.heartbeat?.lastSequence.verdict == SequenceNumber(UInt64(accepted.count))
            }
            // Reset a while later than it could be, so that triggers find the station held.
            let isHeld = heard.last?.heartbeat?.lineStopRequest == true
            if wasHeld, isHeld { _ = try requester.ask(.command(.reset), timeout: .seconds(30)) }
            wasHeld = isHeld && !wasHeld
        }
        daemon.signal(SIGTERM)
        #expect(try daemon.exitStatus() == 0, "\(daemon.errors)")

        let reader = try JournalReader(path: JournalFiles(in: "\(station.directory)/state").database)
        let verdicts = try reader.messages(.verdict, of: 1, 1...10_000, limit: 10_000).map {
            try #require(try $0.message().verdict)
        }
        let known = verdicts.filter { $0.plcToken != unanswered || accepted.contains($0.plcToken ?? 0) }
        #expect(known.compactMap(\.plcToken).sorted() == accepted.sorted())
        #expect(Set(verdicts.map(\.partID)).count == verdicts.count)
        #expect(verdicts.allSatisfy { $0.encoder == $0.plcToken.map { Int64($0.value) } })
        let reasons = Dictionary(grouping: verdicts, by: \.reason).mapValues(\.count)
        print("a thousand triggers: \(reasons.map { "\($0.key.text) \($0.value)" }.sorted()), \(refused.count) refused")
        guard unanswered == nil else { return }
        for reason in [Reason.none, .uninspected, .ambiguousPart, .notReady] {
            #expect(reasons[reason] ?? 0 > 0, "\(reason.text) did not occur")
        }
        #expect(daemon.errors.contains("seen=1000"), "\(daemon.errors)")
    }
}

/// Marsaglia's 64-bit xorshift: the same numbers in every run.
private struct SeededRandom: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state
    }
}
