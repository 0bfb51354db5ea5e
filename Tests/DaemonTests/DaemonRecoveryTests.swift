import Foundation
import Glibc
import InspectionProtocol
import Messaging
import Testing

/// What the daemon gives readers that missed something, and which commands it takes.
extension DaemonTests {
    private static let moving = "pipeline: videotestsrc is-live=true ! video/x-raw,width=320,height=240,framerate=10/1"

    /// Everything of one kind that can be replayed from the first message on, as bytes.
    private static func replay(
        _ kind: MessageKind, of session: SessionNumber, upTo last: SequenceNumber,
        from requester: inout RecoveryRequester
    ) throws -> [[UInt8]] {
        var found: [[UInt8]] = []
        var next: SequenceNumber = 1
        while next <= last {
            let range = ReplayRange(session: session, kind: kind, sequences: next...last)
            let answer = try requester.ask(.replay(range), timeout: .seconds(30))
            for message in answer.messages { found.append(try message.get().encoded()) }
            guard case .end(let end) = answer.reply.body else {
                Issue.record("\(answer.reply)")
                return found
            }
            next = end
        }
        return found
    }

    @Test func whatAReaderMissedIsReplayedAlsoAfterARestart() throws {
        let station = try StationFixture(
            source: [Self.moving, "live: false"], recovery: "tcp://127.0.0.1:*")
        let daemon = try RunningDaemon(["--config", station.configuration])
        var subscriber = try daemon.subscriber()
        var heard = try subscriber.receive { $0.count { $0.verdict != nil } >= 8 && $0.contains { $0.state != nil } }

        var requester = try RecoveryRequester(connecting: try daemon.endpoint(of: "recovery"), in: Context())
        guard case .hello(let greeting) = try requester.ask(.hello, timeout: .seconds(30)).reply.body,
            case .snapshot(let snapshot) = try requester.ask(.snapshot, timeout: .seconds(30)).reply.body
        else {
            Issue.record("no greeting or no snapshot")
            return
        }
        #expect(greeting.session == 1 && greeting.bootID == StationGreeting.bootIDOfThisMachine())
        let last = try #require(snapshot.lastSequence.verdict)
        #expect(snapshot.replayable[.verdict] == 1...last)
        #expect(try #require(snapshot.lastPartID).value >= last.value)

        // The very bytes, among them those from before anybody listened.
        let replayed = try Self.replay(.verdict, of: 1, upTo: last, from: &requester)
        #expect(replayed.count == Int(last.value))
        heard += try subscriber.receive { $0.contains { $0.verdict != nil && $0.envelope.sequence >= last } }
        for message in heard where message.verdict != nil && message.envelope.sequence <= last {
            #expect(try message.encoded() == replayed[Int(message.envelope.sequence.value) - 1])
        }

        let events = try Self.replay(
            .event, of: 1, upTo: #require(snapshot.lastSequence.event), from: &requester)
        let names = try events.map { json in
            try Message(topic: Topic(station: greeting.station, kind: .event), json: json).event?.name
        }
        #expect(names.contains(.sessionStarted) && names.contains(.stateChanged))

        daemon.signal(SIGTERM)
        #expect(try daemon.exitStatus() == 0, "\(daemon.errors)")
        let second = try RunningDaemon(["--config", station.configuration])
        var again = try RecoveryRequester(connecting: try second.endpoint(of: "recovery"), in: Context())
        #expect(try Self.replay(.verdict, of: 1, upTo: last, from: &again) == replayed)
        let foreign = ReplayRange(session: 7, kind: .verdict, sequences: 1...2)
        guard case .error(let failure) = try again.ask(.replay(foreign), timeout: .seconds(30)).reply.body else {
            Issue.record("a session that never was is replayed")
            return
        }
        #expect(failure.code == .unknownSession)
        second.signal(SIGTERM)
        #expect(try second.exitStatus() == 0, "\(second.errors)")
    }

    /// Black pictures cannot be inspected; three of them stop the line until somebody with access resets it.
    @Test func aLineStopHoldsTheStationUntilItIsReset() throws {
        let station = try StationFixture(
            source: [Self.moving.replacing("videotestsrc", with: "videotestsrc pattern=black"), "live: true"],
            recovery: "ipc", more: ["line_stop: {uninspected: 3}"])
        let daemon = try RunningDaemon(["--config", station.configuration])
        var subscriber = try daemon.subscriber()
        let held = try subscriber.receive { heard in
            heard.contains { $0.heartbeat?.lineStopRequest == true } && heard.last?.verdict?.reason == .notReady
        }
        let state = try #require(held.compactMap(\.state).last { $0.state == .held })
        #expect(!state.ready && state.reason == "3 parts in a row without inspection: line stop until it is reset")
        #expect(held.compactMap(\.verdict).count { $0.reason == .imageHealth } <= 3)

        var requester = try RecoveryRequester(connecting: try daemon.endpoint(of: "recovery"), in: Context())
        let answer = try requester.ask(.command(.reset), timeout: .seconds(30)).reply.body
        #expect(answer == .command(.reset, .accepted))
        let released = try subscriber.receive { $0.contains { $0.verdict?.reason == .imageHealth } }
        #expect(released.contains { $0.state?.state == .running })
        daemon.signal(SIGTERM)
        #expect(try daemon.exitStatus() == 0, "\(daemon.errors)")
    }

    @Test func commandsAreRefusedOverTCPAndWhereTheyMakeNoSense() throws {
        let source = [Self.moving, "live: false"]
        for (recovery, expected) in [
            ("tcp://127.0.0.1:*", CommandRefusal.Reason.notPermitted), ("ipc", .wrongState),
        ] {
            let station = try StationFixture(source: source, recovery: recovery)
            let daemon = try RunningDaemon(["--config", station.configuration])
            var requester = try RecoveryRequester(connecting: try daemon.endpoint(of: "recovery"), in: Context())
            guard
                case .command(.reset, .refused(let refusal)) = try requester.ask(
                    .command(.reset), timeout: .seconds(30)
                ).reply.body
            else {
                Issue.record("a reset without a line stop was carried out over \(recovery)")
                return
            }
            #expect(refusal.reason == expected)
            daemon.signal(SIGTERM)
            #expect(try daemon.exitStatus() == 0, "\(daemon.errors)")
        }
    }
}
