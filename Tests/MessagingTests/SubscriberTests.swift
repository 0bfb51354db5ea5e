import InspectionProtocol
import Testing

@testable import Messaging

@Suite struct SubscriberTests {
    private static func bindings() throws -> [(Endpoint, PrivateDirectory)] {
        let directory = try PrivateDirectory()
        return [(try Endpoint("tcp://127.0.0.1:*"), directory), (try directory.endpoint("verdicts"), directory)]
    }

    @Test func hearsEveryKindAsItWasSentOverTCPAndIPC() throws {
        for (endpoint, _) in try Self.bindings() {
            let publisher = try Publisher(binding: endpoint, in: Context(), configuration: .results)
            var subscriber = try Subscriber(connecting: [publisher.endpoint], to: [.everything], in: Context())
            var station = TestStation()
            try station.join(&subscriber, to: publisher)
            for body in TestStation.everyBody {
                let sent = try station.write(body)
                try publisher.publish(sent, attachments: [[0, 255], []])
                let received = try #require(try subscriber.receive(timeout: .seconds(5)), "\(endpoint)")
                #expect(received.message == (try Message(topic: sent.topic, json: sent.json)))
                #expect(received.message.body == body)
                #expect(received.attachments == [[0, 255], []])
            }
        }
    }

    @Test func hearsItsStationAndNotTheOneWhoseNameBeginsAlike() throws {
        let publisher = try Publisher(binding: Endpoint("tcp://127.0.0.1:*"), in: Context())
        var line1 = TestStation("line1")
        var line10 = TestStation("line10")
        var subscriber = try Subscriber(
            connecting: [publisher.endpoint], to: [.station(StationName("line1"))], in: Context())
        try line1.join(&subscriber, to: publisher)
        try publisher.publish(line10.heartbeat())
        let last = try line1.heartbeat()
        try publisher.publish(last)
        let received = try #require(try subscriber.receive(timeout: .seconds(5)))
        #expect(received.message.envelope.station.text == "line1")
        #expect(received.message.envelope.sequence == last.sequence)
    }

    @Test func hearsOnlyTheTopicItAskedFor() throws {
        let publisher = try Publisher(binding: Endpoint("tcp://127.0.0.1:*"), in: Context())
        var station = TestStation()
        let topic = Topic(station: station.name, kind: .reject)
        var subscriber = try Subscriber(connecting: [publisher.endpoint], to: [.topic(topic)], in: Context())
        try station.join(&subscriber, to: publisher, with: TestStation.rejected)
        try publisher.publish(station.write(.verdict(TestStation.verdict)))
        try publisher.publish(station.write(TestStation.rejected))
        let received = try #require(try subscriber.receive(timeout: .seconds(5)))
        #expect(received.message.topic == topic)
    }

    @Test func aTimeoutWithoutAMessageIsNil() throws {
        let publisher = try Publisher(binding: Endpoint("tcp://127.0.0.1:*"), in: Context())
        var subscriber = try Subscriber(connecting: [publisher.endpoint], to: [.everything], in: Context())
        #expect(try subscriber.receive(timeout: .zero) == nil)
        let start = SuspendingClock.now
        #expect(try subscriber.receive(timeout: .milliseconds(20)) == nil)
        let waited = start.duration(to: .now)
        #expect(waited >= .milliseconds(20))
    }

    @Test func aWildcardPortCannotBeConnectedTo() throws {
        let endpoint = try Endpoint("tcp://127.0.0.1:*")
        #expect(throws: SocketError.noPort(endpoint)) {
            let _ = try Subscriber(connecting: [endpoint], to: [.everything], in: Context())
        }
    }

    @Test func whateverElseIsPublishedIsAnErrorAndTheNextMessageIsRead() throws {
        let stranger = try Socket(.publisher, in: Context())
        let endpoint = try stranger.bind(to: Endpoint("tcp://127.0.0.1:*"))
        var subscriber = try Subscriber(connecting: [endpoint], to: [.everything], in: Context())
        var station = TestStation()
        let good = try station.heartbeat()
        let topic = Array(good.topic.description.utf8)
        while try subscriber.receive(timeout: .milliseconds(10)) == nil { try send([topic, good.json], on: stranger) }
        while try subscriber.receive(timeout: .milliseconds(50)) != nil {}

        let unreadable: [([[UInt8]], (ReceptionError) -> Bool)] = [
            ([topic], { $0 == .partsMissing(count: 1) }),
            ([Array("inspect/".utf8) + [0xFF], good.json], { $0 == .topicNotText(Array("inspect/".utf8) + [0xFF]) }),
            ([Array("inspect/a/gossip/".utf8), good.json], { $0 == .unknownTopic("inspect/a/gossip/") }),
            ([topic, [0xFF, 0xFE, 0x80]], Self.isAboutTheMessage),
            ([topic, []], Self.isAboutTheMessage),
            ([topic, Array("{\"schema\":1,\"station\":\"\u{1}\"}".utf8)], Self.isAboutTheMessage),
            ([topic, good.json.map { $0 == UInt8(ascii: "-") ? 0xC3 : $0 }], Self.isAboutTheMessage),
        ]
        for (index, (parts, isExpected)) in unreadable.enumerated() {
            try send(parts, on: stranger)
            #expect("case \(index)") { try subscriber.receive(timeout: .seconds(5)) } throws: { error in
                (error as? ReceptionError).map(isExpected) ?? false
            }
            try send([topic, good.json], on: stranger)
            #expect(try subscriber.receive(timeout: .seconds(5))?.message.envelope.sequence == good.sequence)
        }
    }

    private func send(_ parts: [[UInt8]], on socket: Socket) throws {
        for (index, part) in parts.enumerated() { try socket.send(part, more: index < parts.count - 1) }
    }

    private static func isAboutTheMessage(_ error: ReceptionError) -> Bool {
        if case .message = error { true } else { false }
    }
}
