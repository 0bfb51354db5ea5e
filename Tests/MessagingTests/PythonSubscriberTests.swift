import Foundation
import InspectionProtocol
import Messaging
import Testing

/// What a program in another language sees, as a process of its own.
@Suite(.timeLimit(.minutes(1)), .enabled("needs /usr/bin/python3 with python3-zmq") { await hasPythonZeroMQ() })
struct PythonSubscriberTests {
    @Test func decodesEveryMessageWithPlainJSONAndStrings() throws {
        let publisher = try Publisher(binding: Endpoint("tcp://127.0.0.1:*"), in: Context())
        var station = TestStation("line-1")
        var python = try subscriber(joining: publisher, as: &station)
        for body in TestStation.everyBody where body.kind != .heartbeat {
            try publisher.publish(station.write(body), attachments: [[1, 2, 3]])
        }
        var told: [String] = []
        while told.count < 4 {
            let line = try #require(try python.nextLine(timeout: .seconds(10)), "after \(told)")
            if !line.hasPrefix("line-1 heartbeat") { told.append(line) }
        }
        #expect(
            told == [
                "line-1 verdict 1 part 18446744073709551615 reject/anomaly score 3.25 3",
                "line-1 reject 1 part 18446744073709551615 reject/anomaly score 3.25 3",
                "line-1 result 1 late=False 3",
                "line-1 state 1 state=running 3",
            ])
    }

    @Test func stoppedDelaysNeitherThePublisherNorAnotherSubscriberAndLosesWhatItCannotHold() throws {
        let publisher = try Publisher(binding: Endpoint("tcp://127.0.0.1:*"), in: Context())
        var station = TestStation("line-1")
        var stopped = try subscriber(joining: publisher, as: &station)
        var reading = try Subscriber(connecting: [publisher.endpoint], to: [.everything], in: Context())
        try station.join(&reading, to: publisher)
        stopped.send(SIGSTOP)

        // Far more than queues and kernel buffers hold.
        let verdictCount = 3000
        let attachment = [UInt8](repeating: 7, count: 16 * 1024)
        var slowest = Duration.zero
        for _ in 0..<verdictCount {
            let message = try station.write(.verdict(TestStation.verdict))
            let start = SuspendingClock.now
            try publisher.publish(message, attachments: [attachment])
            slowest = max(slowest, start.duration(to: .now))
            let received = try #require(try reading.receive(timeout: .seconds(5)))
            #expect(received.message.envelope.sequence == message.sequence)
        }
        #expect(slowest < .milliseconds(500), "publishing waited \(slowest)")

        // It goes on, and the numbers of what it hears show the hole.
        stopped.send(SIGCONT)
        var verdicts: [Int] = []
        let deadline = SuspendingClock.now + .seconds(20)
        var isCurrent = false
        while !isCurrent {
            try #require(SuspendingClock.now < deadline, "the script does not hear the station again")
            let beat = try station.heartbeat()
            try publisher.publish(beat)
            while let line = try stopped.nextLine(timeout: .milliseconds(20)) {
                let words = line.split(separator: " ")
                if words[1] == "verdict" { verdicts += [Int(words[2])].compactMap { $0 } }
                if words[1] == "heartbeat" && words[2] == "\(beat.sequence)" { isCurrent = true }
            }
        }
        #expect(verdicts.count < verdictCount)
        #expect(zip(verdicts, verdicts.dropFirst()).allSatisfy(<))
    }
}

/// Starts `subscriber.py` and publishes heartbeats until it tells of one.
private func subscriber(joining publisher: Publisher, as station: inout TestStation) throws -> PythonScript {
    var script = try PythonScript("subscriber.py", [publisher.endpoint.description])
    let deadline = SuspendingClock.now + .seconds(20)
    repeat {
        try #require(SuspendingClock.now < deadline, "the script heard nothing")
        try publisher.publish(station.heartbeat())
    } while try script.nextLine(timeout: .milliseconds(20)) == nil
    return script
}
