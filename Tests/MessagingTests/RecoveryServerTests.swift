import Foundation
import InspectionProtocol
import Locking
import Testing

@testable import Messaging

@Suite(.timeLimit(.minutes(2))) struct RecoveryServerTests {
    private static let limit = Duration.seconds(20)

    private func server(
        _ source: StationStandIn, at endpoint: Endpoint? = nil,
        permits: @escaping @Sendable (StationCommand, RecoveryPeer) -> Bool = { _, _ in true }
    ) throws -> RecoveryServer {
        try RecoveryServer(
            binding: endpoint ?? Endpoint("tcp://127.0.0.1:*"), in: Context(), source: source, permits: permits)
    }

    /// ZeroMQ gives an endpoint back some time after its socket was closed.
    private func server(_ source: StationStandIn, after closed: RecoveryServer) throws -> RecoveryServer {
        let deadline = SuspendingClock.now + Self.limit
        while true {
            if let server = try? server(source, at: closed.endpoint) { return server }
            try #require(SuspendingClock.now < deadline, "the endpoint stays in use")
        }
    }

    private func hello(
        _ requester: inout RecoveryRequester, timeout: Duration = limit
    ) throws -> StationGreeting {
        let answer = try requester.ask(.hello, timeout: timeout)
        guard case .hello(let greeting) = answer.reply.body else {
            throw RecoveryRequestFailure.noAnswer(.hello, requester.endpoint)
        }
        return greeting
    }

    /// Counts come just after the answers that they count.
    private func waitUntil(_ condition: () -> Bool) -> Bool {
        let deadline = SuspendingClock.now + Self.limit
        while !condition() {
            if SuspendingClock.now > deadline { return false }
            sched_yield()
        }
        return true
    }

    @Test func answersEveryVerbOverTCPAndIPC() throws {
        let directory = try PrivateDirectory()
        for endpoint in [try Endpoint("tcp://127.0.0.1:*"), try directory.endpoint("recovery")] {
            let station = StationStandIn(session: 7)
            for _ in 0..<5 { try station.say(.verdict(TestStation.verdict)) }
            let server = try server(station, at: endpoint)
            var requester = try RecoveryRequester(connecting: server.endpoint, in: Context())

            #expect(try hello(&requester).session == 7)
            let snapshot = try requester.ask(.snapshot, timeout: Self.limit)
            #expect(try snapshot.reply.body == .snapshot(station.snapshot()))
            let replay = try requester.ask(
                .replay(ReplayRange(session: 7, kind: .verdict, sequences: 2...4)), timeout: Self.limit)
            #expect(replay.reply.body == .end(next: 5))
            #expect(try replay.messages.map { try $0.get().envelope.sequence } == [2, 3, 4])
            let trigger = StationCommand.trigger(ExternalTrigger(plcToken: 9, encoder: 1))
            let done = try requester.ask(.command(trigger), timeout: Self.limit)
            #expect(done.reply.body == .command(.trigger, .accepted))
            let refused = try requester.ask(.command(.arm), timeout: Self.limit)
            #expect(refused.reply.body == .command(.arm, .refused(CommandRefusal(.wrongState, "already running"))))
            #expect(station.commands == [trigger, .arm])
            #expect(waitUntil { server.counts.answered == 5 && server.counts.replayed == 3 }, "\(server.counts)")
        }
    }

    @Test func replayedMessagesAreTheBytesThatWerePublished() throws {
        let station = StationStandIn()
        let sent = try (0..<3).map { _ in try station.say(TestStation.everyBody[2]) }
        let server = try server(station)
        let dealer = try dealer(server.endpoint)
        let verb = RecoveryRequest.Verb.replay(ReplayRange(session: 1, kind: .result, sequences: 1...3))
        let answer = try ask([RecoveryRequest(id: 1, verb: verb).encoded()], on: dealer)
        #expect(answer.dropLast() == sent.flatMap { [Array($0.topic.description.utf8), $0.json] }[...])
    }

    @Test func aRangeTooLargeForOneAnswerComesInSeveral() throws {
        let station = StationStandIn()
        for _ in 0..<600 { try station.say(.verdict(TestStation.verdict)) }
        let server = try server(station)
        var requester = try RecoveryRequester(connecting: server.endpoint, in: Context())
        var (next, found, answers): (SequenceNumber, [SequenceNumber], Int) = (1, [], 0)
        while next <= 600 {
            let answer = try requester.ask(
                .replay(ReplayRange(session: 1, kind: .verdict, sequences: next...600)), timeout: Self.limit)
            guard case .end(let end) = answer.reply.body else { throw RecoveryFailure(.malformed, "\(answer.reply)") }
            found += try answer.messages.map { try $0.get().envelope.sequence }
            next = end
            answers += 1
        }
        #expect(found.map(\.value) == Array(1...600))
        #expect(answers >= 3, "256 at once")
    }

    @Test func aCommandNeedsTheRoleAndIsNotCarriedOutWithoutIt() throws {
        let station = StationStandIn()
        let asked = Lock<[RecoveryPeer]>([])
        let server = try server(station) { command, peer in
            asked.withLock { $0.append(peer) }
            return command == .reset
        }
        var requester = try RecoveryRequester(connecting: server.endpoint, in: Context())
        let refused = try requester.ask(.command(.arm), timeout: Self.limit)
        guard case .command(.arm, .refused(let refusal)) = refused.reply.body else {
            Issue.record("\(refused)")
            return
        }
        #expect(refusal.reason == .notPermitted)
        #expect(waitUntil { server.counts.denied == 1 })
        #expect(station.commands == [])
        _ = try requester.ask(.command(.reset), timeout: Self.limit)
        #expect(station.commands == [.reset])
        #expect(asked.withLock { $0.map(\.address) } == ["127.0.0.1", "127.0.0.1"])
        #expect(asked.withLock { $0.allSatisfy { $0.userID == nil && $0.receivedAtNanoseconds != nil } })
    }

    // MARK: What is not a request

    private func dealer(_ endpoint: Endpoint) throws -> Socket {
        let socket = try Socket(.dealer, in: Context())
        try socket.connect(to: endpoint)
        return socket
    }

    private func ask(_ parts: [[UInt8]], on socket: Socket) throws -> [[UInt8]] {
        try #require(try socket.sendWithoutWaiting(parts) == .sent)
        return try #require(try socket.receive(timeout: Self.limit))
    }

    @Test func whateverIsNoRequestIsAnsweredWithAnErrorAndTheNextOneIsServed() throws {
        let server = try server(StationStandIn())
        let dealer = try dealer(server.endpoint)
        let good = RecoveryRequest(id: 3, verb: .hello).encoded()
        let cases: [([[UInt8]], RecoveryFailure.Code, RequestID?)] = [
            ([[0xFF, 0x00]], .malformed, nil),
            ([[]], .malformed, nil),
            ([good, good], .malformed, 3),
            ([[], good, good], .malformed, 3),
            ([good, [], [], [], [], []], .malformed, 3),
            ([Array(#"{"id":"8","request":"SING","schema":1}"#.utf8)], .unknownVerb, 8),
            ([Array(#"{"id":"8","request":"COMMAND","name":"Fly","schema":1}"#.utf8)], .unknownCommand, 8),
            ([Array(#"{"id":"8","request":"HELLO","schema":3}"#.utf8)], .unsupportedSchema, 8),
        ]
        for (parts, code, id) in cases {
            let reply = try RecoveryReply(json: #require(ask(parts, on: dealer).last))
            guard case .error(let failure) = reply.body else {
                Issue.record("\(reply) to \(parts)")
                continue
            }
            #expect(failure.code == code && reply.id == id, "\(reply) to \(parts)")
            #expect(try RecoveryReply(json: #require(ask([good], on: dealer).last)).id == 3)
        }
        #expect(waitUntil { server.counts.malformed == UInt64(cases.count) })
    }

    @Test func aREQSocketsEmptyPartComesBack() throws {
        let server = try server(StationStandIn())
        let answer = try ask([[], RecoveryRequest(id: 3, verb: .hello).encoded()], on: dealer(server.endpoint))
        try #require(answer.count == 2)
        #expect(answer[0] == [])
        #expect(try RecoveryReply(json: answer[1]).id == 3)
    }

    @Test func aRequestTooLargeCutsOffItsSenderOnly() throws {
        let server = try server(StationStandIn())
        var other = try RecoveryRequester(connecting: server.endpoint, in: Context())
        _ = try hello(&other)
        let dealer = try dealer(server.endpoint)
        _ = try ask([RecoveryRequest(id: 1, verb: .hello).encoded()], on: dealer)
        _ = try dealer.sendWithoutWaiting([[UInt8](repeating: 0x20, count: 64 * 1024 + 1)])
        for _ in 0..<20 { _ = try hello(&other) }
        #expect(try dealer.receive(timeout: .zero) == nil)
        #expect(server.counts.malformed == 0, "ZeroMQ did not even read it")
    }

    @Test func strangersAndHalfOpenConnectionsDisturbNobodyAndAreCutOff() throws {
        let server = try server(StationStandIn())
        guard case .tcp(_, let port?) = server.endpoint.transport else { throw EndpointError.noPort("") }
        var generator = SystemRandomNumberGenerator()
        let strangers = try (0..<40).map { index in
            let stranger = try Stranger(port: port)
            switch index % 4 {
            case 0: break
            // A greeting that never goes on.
            case 1: stranger.send([0xFF, 0, 0, 0, 0, 0, 0, 0, 1, 0x7F])
            case 2: stranger.send(Array("GET / HTTP/1.1\r\nHost: line1\r\n\r\n".utf8))
            default: stranger.send((0..<4096).map { _ in UInt8.random(in: 0...255, using: &generator) })
            }
            return stranger
        }
        var requester = try RecoveryRequester(connecting: server.endpoint, in: Context())
        for _ in 0..<200 { _ = try hello(&requester) }
        for (index, stranger) in strangers.enumerated() {
            #expect(stranger.isCutOff(within: Self.limit), "stranger \(index % 4) is still connected")
        }
        _ = try hello(&requester)
        #expect(waitUntil { server.counts.answered - server.counts.malformed == 201 }, "\(server.counts)")
        #expect(server.failure == nil)
    }

    /// libzmq 4.3 aborts the process when a connection breaks whose messages it has stopped to take (`RecoveryLoop`).
    @Test func peersThatFloodAStationThatHangsAndThenBreakOffDisturbNobody() throws {
        let station = HangingStation()
        let server = try RecoveryServer(
            binding: Endpoint("tcp://127.0.0.1:*"), in: Context(), source: station, permits: { _, _ in true })
        defer { station.goOn() }
        guard case .tcp(_, let port?) = server.endpoint.transport else { throw EndpointError.noPort("") }
        var requester = try RecoveryRequester(connecting: server.endpoint, in: Context())
        #expect(throws: RecoveryRequestFailure.noAnswer(.snapshot, server.endpoint)) {
            _ = try requester.ask(.snapshot, timeout: .milliseconds(200))
        }
        let request = Stranger.message(RecoveryRequest(id: 1, verb: .hello).encoded())
        let flood = Array(repeatElement(request, count: 100).joined())
        let strangers = try (0..<4).map { _ in try Stranger(port: port) }
        for stranger in strangers { try stranger.shakeHands(as: "DEALER") }
        // Beyond what may wait, requests are given up and not left lying.
        try #require(
            waitUntil {
                for stranger in strangers { stranger.flood(flood) }
                return server.counts.refused > 1000
            }, "\(server.counts)")
        for stranger in strangers { stranger.breakOff() }
        // Longer than the time between ZeroMQ's own heartbeats, at one of which it would end.
        #expect(throws: RecoveryRequestFailure.noAnswer(.hello, server.endpoint)) {
            _ = try requester.ask(.hello, timeout: .milliseconds(600))
        }
        station.goOn()
        _ = try hello(&requester)
        #expect(server.failure == nil)
    }

    // MARK: Peers that do not read

    /// A server without heartbeats, which would cut the peer off within a second.
    private func serve(_ station: StationStandIn) throws -> (RecoveryLoop, Endpoint) {
        let router = try Socket(.router, in: Context())
        try router.limitQueues(sending: 2, receiving: 0)
        try router.reportUndeliverable()
        let endpoint = try router.bind(to: Endpoint("tcp://127.0.0.1:*"))
        let loop = try RecoveryLoop(router, source: station, configuration: RecoveryServer.Configuration()) { _, _ in
            true
        }
        Thread.detachNewThread { loop.run() }
        return (loop, endpoint)
    }

    @Test func aPeerThatDoesNotReadLosesAnswersIsToldSoAndDelaysNobody() throws {
        let station = StationStandIn()
        for _ in 0..<300 { try station.say(TestStation.everyBody[2]) }
        let (loop, endpoint) = try serve(station)
        defer { loop.stop() }
        var other = try RecoveryRequester(connecting: endpoint, in: Context())
        _ = try hello(&other)

        let lazy = try Socket(.dealer, in: Context())
        try lazy.limitQueues(sending: 1000, receiving: 1)
        try lazy.connect(to: endpoint)
        let verb = RecoveryRequest.Verb.replay(ReplayRange(session: 1, kind: .result, sequences: 1...256))
        var (asked, slowest): (UInt64, Duration) = (0, .zero)
        while loop.counts.dropped < 20 {
            try #require(asked < 5000, "nothing is ever dropped: \(loop.counts)")
            asked += 1
            _ = try lazy.sendWithoutWaiting([RecoveryRequest(id: RequestID(asked), verb: verb).encoded()])
            let start = SuspendingClock.now
            _ = try hello(&other)
            slowest = max(slowest, start.duration(to: .now))
        }
        #expect(slowest < .seconds(2), "another peer waited \(slowest)")

        // It reads what is there, asks again, and hears that it has missed something; then it is served again.
        let hellos = asked + 1
        try #require(waitUntil { loop.counts.answered + loop.counts.dropped == hellos + asked })
        var answers: [RecoveryReply.Body] = []
        for _ in 0..<(loop.counts.answered - hellos) {
            let parts = try #require(try lazy.receive(timeout: Self.limit))
            answers.append(try RecoveryReply(json: #require(parts.last)).body)
        }
        let command = RecoveryRequest(id: 1_000_000, verb: .command(.reset)).encoded()
        let last = try RecoveryReply(json: #require(ask([command], on: lazy).last)).body
        // Where there was room in between, it has heard it there already.
        let wasTold = (answers + [last]).contains { body in
            if case .error(let failure) = body { failure.code == .startAnew } else { false }
        }
        #expect(wasTold, "never told to start anew")
        #expect(station.commands == (last == .command(.reset, .accepted) ? [.reset] : []))
        let snapshot = RecoveryRequest(id: 2_000_000, verb: .snapshot).encoded()
        guard case .snapshot = try RecoveryReply(json: #require(ask([snapshot], on: lazy).last)).body else {
            Issue.record("no snapshot after starting anew")
            return
        }
    }

    // MARK: The server goes and comes

    @Test func aRestartedStationAnswersOnTheSameEndpointWithItsNewSession() throws {
        let first = try server(StationStandIn(session: 1))
        var requester = try RecoveryRequester(connecting: first.endpoint, in: Context())
        #expect(try hello(&requester).session == 1)
        first.close()
        first.close()
        let second = try server(StationStandIn(session: 2), after: first)
        let deadline = SuspendingClock.now + Self.limit
        var session: SessionNumber?
        while session == nil {
            try #require(SuspendingClock.now < deadline, "the new station never answers")
            // One that was asked of the old station is never answered.
            session = try? hello(&requester, timeout: .milliseconds(500)).session
        }
        #expect(session == 2)
        #expect(second.endpoint == first.endpoint)
    }

    @Test func aCommandThatNobodyAnsweredIsNotCarriedOutLater() throws {
        let first = try server(StationStandIn())
        var requester = try RecoveryRequester(connecting: first.endpoint, in: Context())
        _ = try hello(&requester)
        first.close()
        #expect(throws: RecoveryRequestFailure.noAnswer(.command, first.endpoint)) {
            _ = try requester.ask(.command(.reset), timeout: .milliseconds(300))
        }
        let station = StationStandIn(session: 2)
        let second = try server(station, after: first)
        #expect(try hello(&requester).session == 2)
        #expect(waitUntil { second.counts.answered == 1 })
        #expect(station.commands == [])
    }

    @Test func anEndpointThatOtherMachinesMightReachIsRefused() throws {
        let endpoint = try Endpoint("tcp://0.0.0.0:5555")
        #expect(throws: SocketError.notLocal(endpoint)) { try server(StationStandIn(), at: endpoint) }
        let bound = try server(StationStandIn())
        #expect(throws: SocketError.addressInUse(bound.endpoint)) {
            try server(StationStandIn(), at: bound.endpoint)
        }
    }
}

/// A station whose disk does not answer a SNAPSHOT for a while.
private final class HangingStation: RecoverySource {
    private let station = StationStandIn()
    private let isHanging = Monitor(true)

    func goOn() { isHanging.withLock { $0 = false } }

    func greeting() -> StationGreeting { station.greeting() }

    func snapshot() throws(RecoveryFailure) -> StationSnapshot {
        _ = isHanging.wait(atMost: .seconds(60)) { $0 ? nil : true }
        return try station.snapshot()
    }

    func messages(_ range: ReplayRange, limit: ReplayLimit) throws(RecoveryFailure) -> ReplayPage {
        try station.messages(range, limit: limit)
    }

    func perform(_ command: StationCommand, from peer: RecoveryPeer) -> CommandAnswer {
        station.perform(command, from: peer)
    }
}
