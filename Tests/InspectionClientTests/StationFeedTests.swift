import InspectionClient
import InspectionProtocol
import Messaging
import Testing

@Suite struct StationFeedTests {
    private func publisher(_ context: Context) throws -> Publisher {
        try Publisher(binding: Endpoint("tcp://127.0.0.1:*"), in: context)
    }

    /// Publishes heartbeats until the feed tells of one.
    private func join(_ feed: inout StationFeed, to publisher: Publisher, as station: inout TestStation) throws {
        let deadline = SuspendingClock.now + .seconds(10)
        while true {
            try #require(SuspendingClock.now < deadline, "nothing heard")
            try publisher.publish(station.heartbeat())
            while let event = try feed.next(timeout: .milliseconds(10)) {
                if case .message = event { return }
            }
        }
    }

    /// Reads until `isWanted`, and returns all up to it.
    private func read(
        _ feed: inout StationFeed, until isWanted: (FeedEvent) -> Bool
    ) throws -> [FeedEvent] {
        var events: [FeedEvent] = []
        while true {
            let event = try #require(try feed.next(timeout: .seconds(5)), "after \(events)")
            events.append(event)
            if isWanted(event) { return events }
        }
    }

    @Test func tellsVerdictsOfBothEndpointsOfAStation() throws {
        let context = Context()
        let (verdicts, results) = (try publisher(context), try publisher(context))
        var feed = try StationFeed(connecting: [verdicts.endpoint, results.endpoint], in: Context())
        var (station, recorder) = (TestStation(), TestStation())
        try join(&feed, to: verdicts, as: &station)
        try join(&feed, to: results, as: &recorder)
        try verdicts.publish(station.write(.verdict(Samples.verdict)))
        _ = try read(&feed) { $0.body == .verdict(Samples.verdict) }
        try results.publish(recorder.write(.result(Samples.result)))
        _ = try read(&feed) { $0.body == .result(Samples.result) }
    }

    @Test func tellsWhatIsMissingBeforeTheMessageThatShowsIt() throws {
        let publisher = try publisher(Context())
        var station = TestStation()
        var feed = try StationFeed(connecting: [publisher.endpoint], station: station.name, in: Context())
        try join(&feed, to: publisher, as: &station)
        try publisher.publish(station.write(.verdict(Samples.verdict)))
        _ = try station.write(.verdict(Samples.verdict))
        try publisher.publish(station.write(.verdict(Samples.verdict)))
        let events = try read(&feed) { event in
            if case .message(let message) = event {
                message.envelope.sequence == 3 && message.body.kind == .verdict
            } else {
                false
            }
        }
        #expect(
            events.suffix(3).first.map { $0.body == .verdict(Samples.verdict) } == true
                && events.suffix(2).first
                    == .missed(.init(station: station.name, session: 1, kind: .verdict, missing: 2...2)),
            "\(events)")
    }

    @Test func tellsASilenceOnceAndItsEnd() throws {
        let publisher = try publisher(Context())
        var station = TestStation()
        var feed = try StationFeed(connecting: [publisher.endpoint], in: Context())
        try join(&feed, to: publisher, as: &station)
        let start = SuspendingClock.now
        let silence = try read(&feed) { $0 == .silent(limit: .milliseconds(350)) }
        #expect(silence.last == .silent(limit: .milliseconds(350)))
        #expect(start.duration(to: .now) < .milliseconds(1350), "a second of allowance for a busy machine")
        #expect(try feed.next(timeout: .milliseconds(400)) == nil, "told once")
        try publisher.publish(station.heartbeat())
        guard case .heardAgain(let duration) = try feed.next(timeout: .seconds(5)) else {
            Issue.record("the end of the silence was not told")
            return
        }
        #expect(duration > .milliseconds(700))
    }

    @Test func aStationThatDoesNotRunIsSilent() throws {
        let endpoint = try publisher(Context()).endpoint
        var feed = try StationFeed(connecting: [endpoint], in: Context())
        #expect(try feed.next(timeout: .seconds(5)) == .silent(limit: .milliseconds(350)))
        #expect(try feed.next(timeout: .zero) == nil)
    }

    @Test func verdictsDoNotHideThatHeartbeatsStopped() throws {
        let publisher = try publisher(Context())
        var station = TestStation()
        var feed = try StationFeed(connecting: [publisher.endpoint], silenceLimit: .seconds(60), in: Context())
        try join(&feed, to: publisher, as: &station)
        let beat = station.monotonicMicroseconds
        station.monotonicMicroseconds = beat + 60_000_000
        try publisher.publish(station.write(.verdict(Samples.verdict)))
        station.monotonicMicroseconds = beat + 60_000_001
        try publisher.publish(station.write(.verdict(Samples.verdict)))
        let events = try read(&feed) { $0 == .silent(limit: .seconds(60)) }
        #expect(events.filter { $0.body == .verdict(Samples.verdict) }.count == 1)
        #expect(try feed.next(timeout: .seconds(5))?.body == .verdict(Samples.verdict))
    }

    @Test func everyVerdictArrivesOrIsCountedAsMissing() throws {
        var configuration = Publisher.Configuration()
        configuration.sendHighWaterMark = 1
        let publisher = try Publisher(
            binding: Endpoint("tcp://127.0.0.1:*"), in: Context(), configuration: configuration)
        var station = TestStation()
        var feed = try StationFeed(connecting: [publisher.endpoint], silenceLimit: .seconds(60), in: Context())
        try join(&feed, to: publisher, as: &station)

        // Far more at once than the publisher may queue.
        let verdictCount: UInt64 = 3000
        let attachment = [UInt8](repeating: 7, count: 16 * 1024)
        for _ in 0..<verdictCount {
            try publisher.publish(station.write(.verdict(Samples.verdict)), attachments: [attachment])
        }

        var arrived: UInt64 = 0
        var missing: UInt64 = 0
        let deadline = SuspendingClock.now + .seconds(20)
        while arrived + missing < verdictCount {
            try #require(SuspendingClock.now < deadline, "\(arrived) arrived, \(missing) missing")
            try publisher.publish(station.heartbeat())
            while let event = try feed.next(timeout: .milliseconds(10)) {
                switch event {
                case .message(let message): arrived += message.body.kind == .verdict ? 1 : 0
                case .missed(let hole): missing += hole.kind == .verdict ? hole.count : 0
                default: break
                }
            }
        }
        #expect(arrived + missing == verdictCount)
        #expect(arrived > 0 && missing > 0, "\(arrived) arrived, \(missing) missing")
    }

    @Test func readsAgainAfterTheStationRestarted() throws {
        let context = Context()
        var first: Publisher? = try publisher(context)
        let endpoint = try #require(first?.endpoint)
        var station = TestStation(session: 1)
        var feed = try StationFeed(connecting: [endpoint], in: Context())
        if let first { try join(&feed, to: first, as: &station) }
        first = nil
        var restarted = TestStation(session: 2)
        let deadline = SuspendingClock.now + .seconds(10)
        var second: Publisher?
        while second == nil {
            try #require(SuspendingClock.now < deadline, "the port stays in use")
            second = try? Publisher(binding: endpoint, in: context)
        }
        let publisher = try #require(second)
        try join(&feed, to: publisher, as: &restarted)
    }
}

extension FeedEvent {
    fileprivate var body: MessageBody? { if case .message(let message) = self { message.body } else { nil } }
}
