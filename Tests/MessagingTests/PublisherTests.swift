import Foundation
import InspectionProtocol
import Messaging
import Testing

@Suite struct PublisherTests {
    @Test(arguments: [
        "tcp://0.0.0.0:5556", "tcp://*:5556", "tcp://192.168.1.5:5556", "tcp://eth0:5556", "tcp://localhost:5556",
        "tcp://127.0.0.1.example.com:5556", "tcp://[::]:5556", "tcp://127.1:5556",
    ])
    func refusesWhatOtherMachinesMightReach(text: String) throws {
        let endpoint = try Endpoint(text)
        #expect(throws: SocketError.notLocal(endpoint)) { try Publisher(binding: endpoint, in: Context()) }
    }

    @Test(arguments: ["tcp://127.0.0.1:*", "tcp://127.8.8.8:*"])
    func reportsThePortThatTheSystemPicked(text: String) throws {
        let publisher = try Publisher(binding: Endpoint(text), in: Context())
        guard case .tcp(_, let port?) = publisher.endpoint.transport else {
            Issue.record("no port in \(publisher.endpoint)")
            return
        }
        #expect(port > 0)
    }

    @Test func whatIsPublishedOnceSomebodySubscribedReachesThem() throws {
        let context = Context()
        var configuration = Publisher.Configuration.verdicts
        configuration.observesSubscriptions = true
        let publisher = try Publisher(binding: Endpoint("tcp://127.0.0.1:*"), in: context, configuration: configuration)
        #expect(try !publisher.waitForSubscriber(atMost: .milliseconds(20)))

        var station = TestStation()
        try publisher.publish(station.heartbeat())
        var subscriber = try Subscriber(connecting: [publisher.endpoint], to: [.everything], in: context)
        #expect(try publisher.waitForSubscriber(atMost: .seconds(30)))
        for _ in 0..<3 { try publisher.publish(station.heartbeat()) }
        for number: SequenceNumber in [2, 3, 4] {
            #expect(try subscriber.receive(timeout: .seconds(30))?.message.envelope.sequence == number)
        }
    }

    /// libzmq 4.3 aborts the process when a connection breaks whose subscriptions it has stopped to take.
    @Test func aSubscriberThatFloodsWithSubscriptionsAndBreaksOffDisturbsNobody() throws {
        let publisher = try Publisher(binding: Endpoint("tcp://127.0.0.1:*"), in: Context())
        guard case .tcp(_, let port?) = publisher.endpoint.transport else { throw EndpointError.noPort("") }
        var subscriber = try Subscriber(connecting: [publisher.endpoint], to: [.everything], in: Context())
        let stranger = try Stranger(port: port)
        try stranger.shakeHands(as: "SUB")
        // ZMTP 3.0: a first byte of 1 and the prefix.
        for number in 0..<3000 { stranger.send(Stranger.message([1] + Array("inspect/line\(number)/".utf8))) }
        // Nothing is published meanwhile, so nobody takes the subscriptions in.
        #expect(try subscriber.receive(timeout: .milliseconds(200)) == nil)
        stranger.breakOff()
        // Longer than the time between ZeroMQ's own heartbeats, at one of which it would end.
        #expect(try subscriber.receive(timeout: .milliseconds(600)) == nil)
        var station = TestStation()
        try publisher.publish(station.heartbeat())
        #expect(try subscriber.receive(timeout: .seconds(30)) != nil)
    }

    @Test func twoPublishersDoNotShareAPort() throws {
        let context = Context()
        let first = try Publisher(binding: Endpoint("tcp://127.0.0.1:*"), in: context)
        #expect(throws: SocketError.addressInUse(first.endpoint)) {
            try Publisher(binding: first.endpoint, in: context)
        }
    }

    @Test func aSecondPublisherDoesNotStealAnIPCPath() throws {
        let directory = try PrivateDirectory()
        let endpoint = try directory.endpoint("verdicts")
        let context = Context()
        do {
            let first = try Publisher(binding: endpoint, in: context)
            #expect(throws: SocketError.pathInUse(first.endpoint)) { try Publisher(binding: endpoint, in: context) }
        }
        #expect(try Publisher(binding: endpoint, in: context).endpoint == endpoint)
    }

    @Test func anIPCDirectoryOpenToEverybodyIsRefused() throws {
        let directory = try PrivateDirectory()
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: directory.path)
        #expect(throws: SocketError.directoryNotPrivate(path: directory.path, permissions: 0o755)) {
            try Publisher(binding: directory.endpoint("verdicts"), in: Context())
        }
    }

    @Test func aMissingIPCDirectoryIsNamed() throws {
        let directory = try PrivateDirectory()
        #expect(
            throws: SocketError.directoryUnusable(
                path: directory.path + "/nowhere", reason: "No such file or directory")
        ) {
            try Publisher(binding: directory.endpoint("nowhere/verdicts"), in: Context())
        }
    }

    @Test func theLastMessagesLeaveBeforeTheContextIsGone() throws {
        var subscriber: Subscriber
        do {
            let publisher = try Publisher(binding: Endpoint("tcp://127.0.0.1:*"), in: Context())
            subscriber = try Subscriber(connecting: [publisher.endpoint], to: [.everything], in: Context())
            var station = TestStation()
            try station.join(&subscriber, to: publisher)
            for _ in 0..<100 { try publisher.publish(station.heartbeat()) }
        }
        var count = 0
        while count < 100, try subscriber.receive(timeout: .seconds(5)) != nil { count += 1 }
        #expect(count == 100)
    }

    /// A stage may hold its publisher until after the process decided to end.
    @Test func theLastMessagesOfAClosedPublisherLeaveThoughItIsStillHeld() throws {
        let context = Context()
        let publisher = try Publisher(binding: Endpoint("tcp://127.0.0.1:*"), in: context)
        var subscriber = try Subscriber(connecting: [publisher.endpoint], to: [.everything], in: Context())
        var station = TestStation()
        try station.join(&subscriber, to: publisher)
        for _ in 0..<100 { try publisher.publish(station.heartbeat()) }
        publisher.close()
        context.close()
        #expect(throws: SocketError.closed(publisher.endpoint)) { try publisher.publish(station.heartbeat()) }
        // All of them have left: nothing of the sender works any more.
        for _ in 0..<100 { #expect(try subscriber.receive(timeout: .seconds(5)) != nil) }
        publisher.close()
        context.close()
    }
}
