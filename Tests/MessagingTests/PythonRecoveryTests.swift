import Foundation
import InspectionProtocol
import Messaging
import Testing

/// A reader in another language, as a process that is stopped and killed, compared with the list of what was sent.
@Suite(.timeLimit(.minutes(2)), .enabled("needs /usr/bin/python3 with python3-zmq") { await hasPythonZeroMQ() })
struct PythonRecoveryTests {
    private static let limit = Duration.seconds(40)

    private let station = StationStandIn(session: 3)
    private let publisher: Publisher
    private let server: RecoveryServer

    init() throws {
        let context = Context()
        publisher = try Publisher(binding: Endpoint("tcp://127.0.0.1:*"), in: context)
        server = try RecoveryServer(
            binding: Endpoint("tcp://127.0.0.1:*"), in: context, source: station, permits: { _, _ in false })
    }

    private func start(_ position: [String] = []) throws -> PythonScript {
        try PythonScript(
            "recovering-client.py", [publisher.endpoint.description, server.endpoint.description] + position)
    }

    /// What the script has told until it has heard a heartbeat that was sent after the call.
    private func told(by script: inout PythonScript) throws -> [String] {
        var lines: [String] = []
        var first: SequenceNumber?
        let deadline = SuspendingClock.now + Self.limit
        while true {
            try #require(SuspendingClock.now < deadline, "the script does not hear the station: \(lines.suffix(5))")
            let beat = try station.beat(on: publisher)
            first = first ?? beat.sequence
            while let line = try script.nextLine(timeout: .milliseconds(20)) {
                let words = line.split(separator: " ")
                if words[0] == "heard", let first, UInt64(words[1]) ?? 0 >= first.value { return lines }
                if words[0] != "heard" { lines.append(line) }
            }
        }
    }

    /// Far more than the queues of a publisher and the kernel's buffers hold.
    private func sayMuch(_ count: Int) throws {
        let attachment = [UInt8](repeating: 7, count: 16 * 1024)
        for _ in 0..<count { try station.say(.verdict(TestStation.verdict), on: publisher, attachments: [attachment]) }
    }

    private func numbers(_ lines: [String]) -> [Int] {
        lines.map { $0.split(separator: " ") }.filter { $0[0] == "verdict" }.compactMap { Int($0[1]) }
    }

    @Test func aStoppedReaderThatGoesOnHasEveryMessageOnce() throws {
        var script = try start()
        #expect(try told(by: &script) == ["ready 3 0"])
        try sayMuch(10)
        script.send(SIGSTOP)
        try sayMuch(3000)
        script.send(SIGCONT)
        let lines = try told(by: &script)
        #expect(numbers(lines).sorted() == Array(1...3010), "0 missing, 0 twice")
        #expect(lines.contains { $0.hasSuffix("replayed") }, "nothing was lost, so nothing was shown")
        #expect(!lines.contains { $0.hasPrefix("lost") })
    }

    @Test func aKilledReaderGoesOnWhereItEnded() throws {
        var position = 0
        var all: [Int] = []
        for round in 1...4 {
            var script = try start(["3", "\(position)"])
            all += numbers(try told(by: &script))
            try sayMuch(300)
            all += numbers(try told(by: &script))
            script.send(SIGKILL)
            position = all.max() ?? 0
            try sayMuch(round * 50)
        }
        var last = try start(["3", "\(position)"])
        all += numbers(try told(by: &last))
        #expect(all.sorted() == Array(1...(4 * 300 + 500)))
    }

    @Test func aReaderThatIsNotThereDelaysNoOther() throws {
        var stopped = try start()
        #expect(try told(by: &stopped) == ["ready 3 0"])
        try sayMuch(600)
        _ = try told(by: &stopped)
        stopped.send(SIGSTOP)
        var requester = try RecoveryRequester(connecting: server.endpoint, in: Context())
        let verb = RecoveryRequest.Verb.replay(ReplayRange(session: 3, kind: .verdict, sequences: 1...600))
        for _ in 0..<50 {
            let answer = try requester.ask(verb, timeout: .seconds(5))
            #expect(answer.messages.count > 0)
        }
    }
}
