import Foundation
import InspectionProtocol
import Messaging
import Testing

/// A station that has something of every kind to say.
struct TestStation {
    let name: StationName
    private var writer: MessageWriter

    init(_ name: String = "line-1", session: SessionNumber = 1) {
        guard let name = try? StationName(name) else { preconditionFailure("\(name) cannot name a station") }
        self.name = name
        writer = MessageWriter(station: name, session: session)
    }

    mutating func write(_ body: MessageBody) throws -> EncodedMessage {
        try writer.write(body, sentAt: .now(), monotonicMicroseconds: 0)
    }

    mutating func heartbeat() throws -> EncodedMessage { try write(Self.everyBody[3]) }

    /// Publishes until the subscriber hears something, then until it has heard all of that.
    ///
    /// A subscription takes effect some time after the connection, and a PUB socket does not tell when.
    mutating func join(
        _ subscriber: inout Subscriber, to publisher: Publisher, with body: MessageBody = everyBody[3]
    ) throws {
        let deadline = SuspendingClock.now + .seconds(10)
        var sent: EncodedMessage
        var received: ReceivedMessage?
        repeat {
            try #require(SuspendingClock.now < deadline, "the subscriber never heard \(publisher.endpoint)")
            sent = try write(body)
            try publisher.publish(sent)
            received = try subscriber.receive(timeout: .milliseconds(10))
        } while received == nil
        while let last = received, last.message.envelope.sequence != sent.sequence {
            received = try subscriber.receive(timeout: .seconds(5))
        }
        try #require(received != nil)
    }

    static let verdict = Verdict(
        partID: 18_446_744_073_709_551_615, triggerID: 4, triggerSource: .interval,
        capturedAt: UTCTimestamp(microsecondsSince1970: 0), capturedMonotonicMicroseconds: 1,
        timestampQuality: .hostArrival, disposition: .reject, reason: .anomaly, inspected: true, score: 3.25,
        threshold: 2.5, deadlineMonotonicMicroseconds: 9, latencyMicroseconds: 2, deadlineMarginMicroseconds: 6,
        framesUsed: 1, recipe: "bottle", recipeRevision: 1, modelSHA256: "ab", mode: .production, simulated: false,
        consecutiveRejects: 1)

    static let rejected = MessageBody.reject(verdict)

    static let everyBody: [MessageBody] = [
        .verdict(verdict),
        rejected,
        .result(
            PartResult(
                verdict: verdict,
                details: PartResult.Details(
                    picturable: BranchReport(raw: 1, mean: 0.5, deviation: 0.25, z: 2), unpicturable: nil,
                    responsibleBranch: .picturable, regions: nil, stageDurations: StageDurations(fuse: 3),
                    frameIDs: [12], evidence: .off, late: false))),
        .heartbeat(
            Heartbeat(
                count: 1, periodMilliseconds: 100, state: .running, ready: true, running: true,
                lineStopRequest: false, lastPartID: nil, lastSequence: LastSequences(), partsInFlight: 0,
                oldestInFlightMilliseconds: nil, lastFrameAgeMilliseconds: nil)),
        .state(
            StateReport(
                state: .running, ready: true, flags: [], since: UTCTimestamp(microsecondsSince1970: 0), reason: nil,
                recipe: "bottle", modelSHA256: nil, configurationSHA256: nil, version: "1")),
    ]
}

/// A directory for ipc sockets that only this user can enter, removed with its last reference.
final class PrivateDirectory {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.appending(path: "beltwatch-\(UUID().uuidString.prefix(8))").path
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o750])
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }

    func endpoint(_ name: String) throws -> Endpoint { try Endpoint("ipc://\(path)/\(name)") }
}
