import InspectionClient
import InspectionProtocol
import Messaging
import Testing

/// A feed with a recovery endpoint, over real sockets, compared with what the station said.
@Suite(.timeLimit(.minutes(2))) struct StationFeedRecoveryTests {
    private static let limit = Duration.seconds(30)
    private let context = Context()

    private func station(
        _ endpoint: Endpoint? = nil, session: SessionNumber = 1, queueing highWaterMark: Int = 200
    ) throws -> RecoverableStation {
        try RecoverableStation(
            at: endpoint ?? Endpoint("tcp://127.0.0.1:*"), session: session, queueing: highWaterMark, in: context)
    }

    private func server(_ station: RecoverableStation, _ endpoint: Endpoint? = nil) throws -> RecoveryServer {
        try RecoveryServer(
            binding: endpoint ?? Endpoint("tcp://127.0.0.1:*"), in: context, source: station,
            permits: { _, _ in false })
    }

    /// Everything that the feed tells while the station goes on beating, until `isEnough`.
    private func read(
        _ feed: inout StationFeed, from station: RecoverableStation, until isEnough: ([FeedEvent]) -> Bool
    ) throws -> [FeedEvent] {
        var events: [FeedEvent] = []
        let deadline = SuspendingClock.now + Self.limit
        while !isEnough(events) {
            try #require(SuspendingClock.now < deadline, "\(events.count) events, the last: \(events.suffix(3))")
            try station.beat()
            while let event = try feed.next(timeout: .milliseconds(10)) { events.append(event) }
        }
        return events
    }

    private func isReady(_ events: [FeedEvent]) -> Bool {
        events.contains { if case .snapshot = $0 { true } else { false } }
            && events.contains { if case .message = $0 { true } else { false } }
    }

    private func verdicts(_ events: [FeedEvent]) -> [UInt64] {
        events.compactMap { event in
            switch event {
            case .message(let message), .recovered(let message):
                message.body.kind == .verdict ? message.envelope.sequence.value : nil
            default: nil
            }
        }
    }

    /// Heartbeats and states, which nobody keeps, left out.
    private func lost(_ events: [FeedEvent]) -> [SequenceMonitor.Hole] {
        events.compactMap { if case .lost(let hole, _) = $0, hole.kind.isReplayable { hole } else { nil } }
    }

    /// ZeroMQ gives an endpoint back some time after its socket was closed.
    private func waitFor<Value>(_ make: () throws -> Value) throws -> Value {
        let deadline = SuspendingClock.now + Self.limit
        while true {
            if let value = try? make() { return value }
            try #require(SuspendingClock.now < deadline, "the endpoint stays in use")
        }
    }

    @Test func greetsAndTakesASnapshotBeforeAnythingElseIsAsked() throws {
        let station = try station(session: 6)
        let server = try server(station)
        var feed = try StationFeed(
            connecting: [station.publisher.endpoint], recovery: server.endpoint, silenceLimit: .seconds(60),
            in: Context())
        let events = try read(&feed, from: station, until: isReady)
        let answers = events.filter { if case .message = $0 { false } else { true } }
        guard case .greeted(let greeting, _) = answers[0], case .snapshot(let snapshot) = answers[1] else {
            Issue.record("\(answers)")
            return
        }
        #expect(greeting.session == 6 && snapshot.session == 6 && answers.count == 2)
    }

    /// The publisher may queue one message, so of a thousand most are lost on the way.
    @Test func everyMessageIsToldOnceThoughMostDoNotArrive() throws {
        let station = try station(queueing: 1)
        let server = try server(station)
        var feed = try StationFeed(
            connecting: [station.publisher.endpoint], recovery: server.endpoint, silenceLimit: .seconds(60),
            in: Context())
        _ = try read(&feed, from: station, until: isReady)
        let attachment = [UInt8](repeating: 7, count: 16 * 1024)
        for _ in 0..<3000 { try station.say(.verdict(Samples.verdict), attachments: [attachment]) }
        let events = try read(&feed, from: station) { verdicts($0).count >= 3000 }
        #expect(verdicts(events).sorted() == Array(1...3000), "0 missing, 0 twice")
        #expect(lost(events) == [])
        #expect(events.contains { if case .recovered = $0 { true } else { false } }, "nothing was lost on the way")
    }

    @Test func theLastVerdictIsRecoveredThoughNothingFollowsButHeartbeats() throws {
        let station = try station()
        let server = try server(station)
        var feed = try StationFeed(
            connecting: [station.publisher.endpoint], recovery: server.endpoint, silenceLimit: .seconds(60),
            in: Context())
        _ = try read(&feed, from: station, until: isReady)
        try station.say(.verdict(Samples.verdict), isPublished: false)
        let events = try read(&feed, from: station) { verdicts($0).count == 1 }
        let told = events.filter { if case .message = $0 { false } else { true } }
        #expect(told.count == 2)
        #expect(told.first == .missed(.init(station: station.name, session: 1, kind: .verdict, missing: 1...1)))
    }

    @Test func aReaderThatEndedGoesOnWhereItWas() throws {
        let station = try station()
        let server = try server(station)
        var position: ReadingPosition?
        do {
            var first = try StationFeed(
                connecting: [station.publisher.endpoint], recovery: server.endpoint, silenceLimit: .seconds(60),
                in: Context())
            _ = try read(&first, from: station, until: isReady)
            #expect(first.position(at: station.name)?.session == 1)
            for _ in 0..<5 { try station.say(.verdict(Samples.verdict)) }
            _ = try read(&first, from: station) { verdicts($0).count == 5 }
            position = first.position(at: station.name)
        }
        #expect(position?.last[.verdict] == 5)
        for _ in 0..<700 { try station.say(.verdict(Samples.verdict)) }
        var second = try StationFeed(
            connecting: [station.publisher.endpoint], recovery: server.endpoint, resumingAt: position,
            silenceLimit: .seconds(60), in: Context())
        let events = try read(&second, from: station) { verdicts($0).count >= 700 }
        #expect(verdicts(events) == Array(6...705))
    }

    @Test func whatIsStillBeingRecoveredDoesNotCountAsRead() throws {
        let station = try station()
        // Nobody answers there.
        let silent = try self.station().publisher.endpoint
        var feed = try StationFeed(
            connecting: [station.publisher.endpoint], recovery: silent, silenceLimit: .seconds(60), in: Context())
        _ = try read(&feed, from: station) { !$0.isEmpty }
        try station.say(.verdict(Samples.verdict))
        for _ in 0..<3 { try station.say(.verdict(Samples.verdict), isPublished: false) }
        try station.say(.verdict(Samples.verdict))
        _ = try read(&feed, from: station) { verdicts($0).count == 2 }
        #expect(feed.position(at: station.name)?.last[.verdict] == 1)
    }

    /// One answer brings all of them, and they are told one after the other.
    @Test func whatIsRecoveredAndNotToldYetDoesNotCountAsRead() throws {
        let station = try station()
        let server = try server(station)
        var feed = try StationFeed(
            connecting: [station.publisher.endpoint], recovery: server.endpoint, silenceLimit: .seconds(60),
            in: Context())
        _ = try read(&feed, from: station) { !$0.isEmpty }
        try station.say(.verdict(Samples.verdict))
        for _ in 0..<100 { try station.say(.verdict(Samples.verdict), isPublished: false) }
        try station.say(.verdict(Samples.verdict))
        let deadline = SuspendingClock.now + Self.limit
        for number in (2...101).map(SequenceNumber.init(_:)) {
            var told: SequenceNumber?
            while told == nil {
                try #require(SuspendingClock.now < deadline, "verdict \(number) is not recovered")
                if case .recovered(let message) = try feed.next(timeout: .milliseconds(100)) {
                    told = message.envelope.sequence
                }
            }
            #expect(told == number && feed.position(at: station.name)?.last[.verdict] == (number == 101 ? 102 : number))
        }
    }

    @Test func anEndpointThatDoesNotAnswerDelaysNeitherVerdictsNorTheNewsOfSilence() throws {
        let station = try station()
        let silent = try self.station().publisher.endpoint
        var feed = try StationFeed(connecting: [station.publisher.endpoint], recovery: silent, in: Context())
        let events = try read(&feed, from: station) {
            $0.contains { if case .recoveryUnavailable = $0 { true } else { false } }
        }
        #expect(events.contains { if case .message = $0 { true } else { false } })
        try station.beat()
        while case .some(let event) = try feed.next(timeout: .seconds(5)) {
            if case .silent = event { return }
        }
        Issue.record("the silence was not told")
    }

    @Test func aRestartedStationIsGreetedAgainAndTheEndOfItsOldSessionIsAskedFor() throws {
        let station = try station(session: 1)
        let server = try server(station)
        var feed = try StationFeed(
            connecting: [station.publisher.endpoint], recovery: server.endpoint, silenceLimit: .seconds(60),
            in: Context())
        _ = try read(&feed, from: station, until: isReady)
        for _ in 0..<3 { try station.say(.verdict(Samples.verdict)) }
        _ = try read(&feed, from: station) { verdicts($0).count == 3 }
        let (verdictsEndpoint, recoveryEndpoint) = (station.publisher.endpoint, server.endpoint)
        station.publisher.close()
        server.close()

        let second = try waitFor { try self.station(verdictsEndpoint, session: 2) }
        let secondServer = try waitFor { try self.server(second, recoveryEndpoint) }
        defer { secondServer.close() }
        try second.say(.verdict(Samples.verdict), isPublished: false)
        let events = try read(&feed, from: second) { isReady($0) && verdicts($0).count == 1 && !lost($0).isEmpty }
        #expect(verdicts(events) == [1], "the first verdict of the new session is recovered")
        let tail = lost(events)
        #expect(tail.map(\.session) == [1] && tail.map(\.isOpenEnded) == [true])
        #expect(tail.first?.missing.lowerBound == 4)
        #expect(feed.position(at: second.name)?.session == 2)
    }
}
