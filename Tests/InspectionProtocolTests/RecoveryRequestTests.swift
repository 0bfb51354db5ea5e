import InspectionProtocol
import Testing

@Suite struct RecoveryRequestTests {
    private static let cases: [(RecoveryRequest.Verb, String)] = [
        (.hello, #"{"id":"7","request":"HELLO","schema":1}"#),
        (.snapshot, #"{"id":"7","request":"SNAPSHOT","schema":1}"#),
        (
            .replay(ReplayRange(session: 12, kind: .reject, sequences: 3...18_446_744_073_709_551_615)),
            """
            {"from":"3","id":"7","kind":"reject","request":"REPLAY","schema":1,"session":"12",\
            "to":"18446744073709551615"}
            """
        ),
        (
            .command(.trigger(ExternalTrigger(plcToken: 9_007_199_254_740_993, encoder: -4))),
            #"{"encoder":-4,"id":"7","name":"Trigger","plc_token":"9007199254740993","request":"COMMAND","schema":1}"#
        ),
        (
            .command(.trigger(ExternalTrigger(plcToken: 1))),
            #"{"encoder":null,"id":"7","name":"Trigger","plc_token":"1","request":"COMMAND","schema":1}"#
        ),
        (.command(.arm), #"{"id":"7","name":"Arm","request":"COMMAND","schema":1}"#),
        (.command(.reset), #"{"id":"7","name":"Reset","request":"COMMAND","schema":1}"#),
    ]

    @Test(arguments: cases)
    func isOneFlatObjectAndComesBack(verb: RecoveryRequest.Verb, expected: String) throws {
        let request = RecoveryRequest(id: 7, verb: verb)
        #expect(String(decoding: request.encoded(), as: UTF8.self) == expected)
        #expect(try RecoveryRequest(json: Array(expected.utf8)) == request)
    }

    @Test func unknownKeysAreIgnoredAndOptionalOnesMayBeMissing() throws {
        let text = #"{"id":"1","name":"Trigger","plc_token":"2","request":"COMMAND","schema":1,"urgent":[true]}"#
        #expect(
            try RecoveryRequest(json: Array(text.utf8)).verb
                == .command(.trigger(ExternalTrigger(plcToken: 2, encoder: nil))))
    }

    @Test(arguments: [
        (#"{"id":"1","request":"HELLO","schema":2}"#, RecoveryRequestError.unsupportedSchema(2)),
        (#"{"id":"1","request":"hello","schema":1}"#, .unknownVerb("hello")),
        (#"{"id":"1","request":"COMMAND","name":"Explode","schema":1}"#, .unknownCommand("Explode")),
        (
            #"{"id":"1","request":"REPLAY","kind":"gossip","session":"1","from":"1","to":"2","schema":1}"#,
            .unknownKind("gossip")
        ),
        (
            #"{"id":"1","request":"REPLAY","kind":"heartbeat","session":"1","from":"1","to":"2","schema":1}"#,
            .notReplayable(.heartbeat)
        ),
        (
            #"{"id":"1","request":"REPLAY","kind":"verdict","session":"1","from":"3","to":"2","schema":1}"#,
            .emptyRange(from: 3, to: 2)
        ),
        (
            #"{"id":"1","request":"REPLAY","kind":"verdict","session":"1","from":"0","to":"2","schema":1}"#,
            .emptyRange(from: 0, to: 2)
        ),
        (#"{"id":"1","schema":1}"#, .notReadable(field: "request", reason: "the field is missing")),
        (#"{"request":"HELLO","schema":1}"#, .notReadable(field: "id", reason: "the field is missing")),
        (#"{"id":"1","request":"HELLO"}"#, .notReadable(field: "schema", reason: "the field is missing")),
        (
            #"{"id":"1","request":"COMMAND","name":"Trigger","schema":1}"#,
            .notReadable(field: "plc_token", reason: "the field is missing")
        ),
        (
            #"{"id":"1","request":"REPLAY","kind":"verdict","session":"1","from":"1","schema":1}"#,
            .notReadable(field: "to", reason: "the field is missing")
        ),
        (
            #"{"id":"-1","request":"HELLO","schema":1}"#,
            .notReadable(field: "id", reason: #""-1" is not an unsigned 64-bit decimal number"#)
        ),
    ])
    func refusalNamesTheFirstThingThatIsWrong(text: String, expected: RecoveryRequestError) {
        #expect(throws: expected) { try RecoveryRequest(json: Array(text.utf8)) }
    }

    @Test(arguments: [
        "", "{", "[]", "null", "7", "\u{0}", #"{"schema":1.5}"#, #"{"id":1,"request":"HELLO","schema":1}"#,
        String(repeating: "[", count: 60_000), String(repeating: #"{"a":"#, count: 10_000),
    ])
    func whatIsNoRequestIsMalformedInFewWords(text: String) {
        #expect { try RecoveryRequest(json: Array(text.utf8)) } throws: { error in
            guard let error = error as? RecoveryRequestError else { return false }
            return error.code == .malformed && error.description.utf8.count < 500
        }
    }

    @Test func moreThan64KiBIsNotEvenRead() {
        let json = [UInt8](repeating: UInt8(ascii: " "), count: 65_537)
        #expect(throws: RecoveryRequestError.tooLarge(byteCount: 65_537)) { try RecoveryRequest(json: json) }
        let largest = Array(#"{"id":"1","request":"HELLO","schema":1}"#.utf8)
        let padded = largest + [UInt8](repeating: UInt8(ascii: " "), count: 65_536 - largest.count)
        #expect(throws: Never.self) { try RecoveryRequest(json: padded) }
    }

    @Test func whatAStrangerWroteIsToldBackShortly() {
        let name = String(repeating: "é", count: 20_000)
        #expect { try RecoveryRequest(json: Array(#"{"id":"1","request":"\#(name)","schema":1}"#.utf8)) } throws: {
            "\($0)".count < 300
        }
    }

    @Test func theIdOfAnUnreadableRequestIsFoundWhereThereIsOne() {
        #expect(RecoveryRequest.id(in: Array(#"{"id":"5","request":"SING","schema":9}"#.utf8)) == 5)
        #expect(RecoveryRequest.id(in: Array(#"{"id":5}"#.utf8)) == nil)
        #expect(RecoveryRequest.id(in: [0xFF]) == nil)
    }

    /// Every prefix and every single byte changed: an error or a request, and never the end of the process.
    @Test func damagedRequestsAreReadOrRefused() throws {
        for (verb, _) in Self.cases {
            let json = RecoveryRequest(id: 7, verb: verb).encoded()
            for end in 0..<json.count {
                #expect(throws: RecoveryRequestError.self) { try RecoveryRequest(json: Array(json[..<end])) }
                for byte in [0, 0x22, 0x2D, 0x7B, 0xFF] as [UInt8] {
                    var damaged = json
                    damaged[end] = byte
                    _ = try? RecoveryRequest(json: damaged)
                }
            }
        }
    }
}
