import ArgumentParser
import Foundation
import InspectionProtocol
import Locking
import Messaging

/// A subscriber as it should not be: subscribes to everything, and floods the recovery endpoint with requests and with
/// garbage, as fast as it can, until it is told to end.
struct Flooder: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "flooder", abstract: "Floods a station; started by measure.", shouldDisplay: false)

    @OptionGroup var station: StationEndpoints

    /// Requests that may be without an answer, so that none is kept waiting for the answer to another.
    private static let window = 16

    func run() throws {
        let counts = Lock(FloodReport())
        endWithParent {
            if let report = try? JSONEncoder().encode(counts.withLock { $0 }) {
                say(String(decoding: report, as: UTF8.self))
            }
        }
        let recovery = station.recovery
        Thread.detachNewThread { Self.sendGarbage(to: recovery, counts) }
        Thread.detachNewThread { Self.ask(recovery, counts) }
        var subscriber = try Subscriber(
            connecting: [station.verdicts, station.results], to: [.everything], in: Context())
        var isReady = false
        while true {
            guard try subscriber.receive(timeout: .seconds(1)) != nil else { continue }
            counts.withLock { $0.messages += 1 }
            if !isReady { say("ready") }
            isReady = true
        }
    }

    /// On a thread of its own, without an end.
    private static func ask(_ endpoint: Endpoint, _ counts: Lock<FloodReport>) {
        // An asker that fails is over; the others go on.
        guard var requester = try? RecoveryRequester(connecting: endpoint, in: Context()) else { return }
        var open = 0
        var turn = 0
        var last: [MessageKind: SequenceNumber] = [:]
        var session: SessionNumber = 1
        while true {
            let verb: RecoveryRequest.Verb
            switch turn % 4 {
            case 0: verb = .hello
            case 1: verb = .snapshot
            default:
                let kind = turn % 4 == 2 ? MessageKind.verdict : .result
                // The oldest and the youngest pages in turn: from the journal, and from memory.
                let end = last[kind] ?? 1
                let start = turn % 8 < 4 ? 1 : max(1, Int64(clamping: end.value) - 256)
                verb = .replay(
                    ReplayRange(session: session, kind: kind, sequences: SequenceNumber(UInt64(start))...end))
            }
            if open < window, (try? requester.send(verb)) ?? nil != nil {
                turn += 1
                open += 1
                counts.withLock { $0.requests += 1 }
                continue
            }
            guard let answer = try? requester.receive(timeout: .milliseconds(100)) else {
                // Dropped, like every answer to somebody who does not read them fast enough.
                open = 0
                continue
            }
            open -= 1
            counts.withLock { $0.answers += 1 }
            if case .snapshot(let snapshot) = answer.reply.body {
                session = snapshot.session
                last[.verdict] = snapshot.lastSequence.verdict
                last[.result] = snapshot.lastSequence.result
            }
        }
    }

    /// On a thread of its own, without an end.
    private static func sendGarbage(to endpoint: Endpoint, _ counts: Lock<FloodReport>) {
        var random = SystemRandomNumberGenerator()
        let request = Array(
            #"{"id":"1","request":"REPLAY","schema":1,"kind":"verdict","session":"1","from":"1","to":"9"}"#.utf8)
        while true {
            guard var connection = GarbageConnection(to: endpoint) else {
                Thread.sleep(forTimeInterval: 0.01)
                continue
            }
            counts.withLock { $0.connections += 1 }
            var isOpen = true
            while isOpen {
                // Noise, and requests that break off or have a wrong byte.
                var message = request
                switch Int.random(in: 0..<3, using: &random) {
                case 0: message = (0..<Int.random(in: 1...255)).map { _ in .random(in: 0...255, using: &random) }
                case 1: message.removeLast(Int.random(in: 1..<message.count))
                default: message[Int.random(in: 0..<message.count)] = .random(in: 0...255, using: &random)
                }
                isOpen = connection.send(message)
                counts.withLock { $0.garbage += 1 }
            }
        }
    }
}

/// What a flooder did.
struct FloodReport: Codable, Hashable, Sendable {
    /// Messages heard on both sockets.
    var messages = 0
    var requests = 0
    var answers = 0
    var garbage = 0

    /// Connections that garbage was sent over; the station closes those that never listen.
    var connections = 0
}
