import Foundation
import InspectionProtocol
import Testing

@Suite struct RecoveryReplyTests {
    private static func greeting() throws -> StationGreeting {
        StationGreeting(
            bootID: "b", station: try StationName("line-1"), session: 12, version: "0.1.0",
            monotonicMicroseconds: 5_000_000, sentAt: UTCTimestamp(microsecondsSince1970: 1_000_000))
    }

    private static func snapshot() throws -> StationSnapshot {
        StationSnapshot(
            station: try StationName("line-1"), session: 12, state: Samples.state, lastPartID: nil,
            lastSequence: LastSequences(verdict: 9, result: 8), replayable: [.verdict: 2...9])
    }

    private static func cases() throws -> [(RecoveryReply.Body, String)] {
        [
            (
                .hello(try greeting()),
                """
                {"boot_id":"b","commands":["Trigger","Arm","Reset"],"id":"7","reply":"HELLO","schema":1,"session":"12",\
                "station":"line-1","t_mono_us":5000000,"t_utc":"1970-01-01T00:00:01.000000Z",\
                "verbs":["HELLO","SNAPSHOT","REPLAY","COMMAND"],"version":"0.1.0"}
                """
            ),
            (
                .snapshot(try snapshot()),
                """
                {"id":"7","last_part_id":null,"last_seq":{"event":null,"reject":null,"result":"8","verdict":"9"},\
                "replayable":{"verdict":{"from":"2","to":"9"}},"reply":"SNAPSHOT","schema":1,"session":"12",\
                "state":{"config_sha256":null,"flags":["replay"],"model_sha256":"ab12","ready":false,"reason":null,\
                "recipe":"bottle","since":"2000-02-29T00:00:00.000000Z","state":"running","version":"0.1.0"},\
                "station":"line-1"}
                """
            ),
            (.end(next: 10), #"{"id":"7","next":"10","reply":"END","schema":1}"#),
            (
                .command(.reset, .accepted),
                """
                {"accepted":true,"id":"7","message":null,"name":"Reset","reason":null,"reply":"COMMAND","schema":1}
                """
            ),
            (
                .command(.trigger, .refused(CommandRefusal(.wrongState, "halted"))),
                """
                {"accepted":false,"id":"7","message":"halted","name":"Trigger","reason":"wrong_state",\
                "reply":"COMMAND","schema":1}
                """
            ),
            (
                .error(RecoveryFailure(.gone, "too old", oldest: 4)),
                #"{"code":"gone","id":"7","message":"too old","oldest":"4","reply":"ERROR","schema":1}"#
            ),
        ]
    }

    @Test func everyReplyIsOneFlatObjectAndComesBack() throws {
        for (body, expected) in try Self.cases() {
            let reply = RecoveryReply(id: 7, body: body)
            #expect(String(decoding: reply.encoded(), as: UTF8.self) == expected)
            #expect(try RecoveryReply(json: Array(expected.utf8)) == reply)
        }
    }

    @Test func aReplyToWhatCouldNotBeReadHasNoId() throws {
        let reply = RecoveryReply(id: nil, body: .error(RecoveryFailure(.malformed, "no")))
        let text = #"{"code":"malformed","id":null,"message":"no","oldest":null,"reply":"ERROR","schema":1}"#
        #expect(String(decoding: reply.encoded(), as: UTF8.self) == text)
        #expect(try RecoveryReply(json: Array(text.utf8)) == reply)
    }

    @Test func codesReasonsAndKindsOfALaterVersionDoNotStopAReader() throws {
        let error = #"{"code":"raining","id":"7","message":"wait","reply":"ERROR","schema":1,"until":3}"#
        #expect(
            try RecoveryReply(json: Array(error.utf8)).body
                == .error(RecoveryFailure(RecoveryFailure.Code(rawValue: "raining"), "wait")))
        let snapshot = try Self.cases()[1].1.replacing(
            #""replayable":{"#, with: #""replayable":{"gossip":{"from":"1","to":"2"},"#)
        #expect(try RecoveryReply(json: Array(snapshot.utf8)).body == .snapshot(try Self.snapshot()))
    }

    @Test func whatIsNoReplyNamesTheFieldOrTheSchema() throws {
        #expect(throws: RecoveryReplyError.unsupportedSchema(2)) {
            try RecoveryReply(json: Array(#"{"schema":2}"#.utf8))
        }
        #expect(throws: RecoveryReplyError.notReadable(field: "next", reason: "the field is missing")) {
            try RecoveryReply(json: Array(#"{"id":"1","reply":"END","schema":1}"#.utf8))
        }
        let backwards = try Self.cases()[1].1.replacing(#""from":"2""#, with: #""from":"10""#)
        #expect { try RecoveryReply(json: Array(backwards.utf8)) } throws: { error in
            guard case .notReadable(let field, _) = error as? RecoveryReplyError else { return false }
            return field == "replayable"
        }
    }

    @Test func theBootOfThisMachineHasAName() throws {
        let first = try #require(StationGreeting.bootIDOfThisMachine())
        #expect(UUID(uuidString: first) != nil, "\(first)")
        #expect(StationGreeting.bootIDOfThisMachine() == first)
    }
}

/// The README is what programs in other languages are written after.
@Suite struct RecoveryDocumentationTests {
    /// Pairs of request and reply: fenced blocks of the section, in two halves, without their line breaks.
    private static func examples() throws -> [(request: String, reply: String)] {
        let file = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "README.md")
        let readme = try String(contentsOf: file, encoding: .utf8)
        let section = try #require(readme.components(separatedBy: "\n## Recovery\n").dropFirst().first)
            .components(separatedBy: "\n## ")[0]
        return try section.components(separatedBy: "```json\n").dropFirst().map { block in
            let halves = block.components(separatedBy: "\n```")[0].components(separatedBy: "\n\n")
                .map { $0.split(separator: "\n").map { $0.drop { $0 == " " } }.joined() }
            try #require(halves.count == 2, "\(block)")
            return (halves[0], halves[1])
        }
    }

    @Test func everyExampleIsWhatTheCodeReadsAndWritesByteForByte() throws {
        var verbs: Set<RecoveryVerb> = []
        for (request, reply) in try Self.examples() {
            let decoded = try RecoveryRequest(json: Array(request.utf8))
            verbs.insert(decoded.verb.name)
            #expect(String(decoding: decoded.encoded(), as: UTF8.self) == request)
            let answer = try RecoveryReply(json: Array(reply.utf8))
            #expect(String(decoding: answer.encoded(), as: UTF8.self) == reply)
            #expect(answer.id == decoded.id)
            switch (decoded.verb, answer.body) {
            case (.hello, .hello), (.snapshot, .snapshot), (.replay, .end), (.replay, .error), (.command, .command):
                break
            default: Issue.record("\(request) is not answered with \(reply)")
            }
        }
        #expect(verbs == Set(RecoveryVerb.allCases))
    }

    @Test func everyCodeAndReasonIsNamed() throws {
        let file = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "README.md")
        let readme = try String(contentsOf: file, encoding: .utf8)
        let codes: [RecoveryFailure.Code] = [
            .malformed, .tooLarge, .unsupportedSchema, .unknownVerb, .unknownCommand, .unknownKind, .notReplayable,
            .emptyRange, .unknownSession, .gone, .startAnew, .unavailable,
        ]
        let reasons: [CommandRefusal.Reason] = [
            .notPermitted, .wrongState, .notConfigured, .duplicateToken, .overload,
        ]
        for word in codes.map(\.rawValue) + reasons.map(\.rawValue) { #expect(readme.contains("`\(word)`"), "\(word)") }
    }
}
