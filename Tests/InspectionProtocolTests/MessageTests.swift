import InspectionProtocol
import Testing

/// The JSON of one message, worked out by hand from PROTOCOL §3.
private enum Expected {
    static let accepted = """
        {"captured_at":"1970-01-01T00:00:00.000000Z","captured_mono_us":4000000,"consecutive_rejects":0,\
        "deadline_margin_us":null,"deadline_mono_us":null,"disposition":"accept","encoder":null,"frames_used":1,\
        "gate_due_mono_us":null,"inspected":true,"latency_us":12345,"mode":"replay","model_sha256":"ab12",\
        "part_id":"18446744073709551615","plc_token":null,"reason":"none","reason_code":0,"recipe":"bottle",\
        "recipe_revision":3,"schema":1,"score":0.1,"seq":"7","session":"12","simulated":true,"station":"line-1",\
        "t_mono_us":5000000,"t_utc":"1970-01-01T00:00:01.000000Z","threshold":2.5,"timestamp_quality":"file",\
        "trigger_id":"9007199254740993","trigger_source":"every_frame"}
        """
    static let uninspected = """
        {"captured_at":null,"captured_mono_us":null,"consecutive_rejects":4,"deadline_margin_us":-5,\
        "deadline_mono_us":10,"disposition":"reject","encoder":-4,"frames_used":0,"gate_due_mono_us":20,\
        "inspected":false,"latency_us":null,"mode":"production","model_sha256":null,"part_id":"1","plc_token":"3",\
        "reason":"uninspected","reason_code":2,"recipe":"bottle","recipe_revision":3,"schema":1,"score":null,\
        "seq":"7","session":"12","simulated":false,"station":"line-1","t_mono_us":5000000,\
        "t_utc":"1970-01-01T00:00:01.000000Z","threshold":null,"timestamp_quality":null,"trigger_id":"2",\
        "trigger_source":"external"}
        """
    static let result = """
        {"branch_responsible":"picturable","captured_at":"1970-01-01T00:00:00.000000Z","captured_mono_us":4000000,\
        "consecutive_rejects":0,"deadline_margin_us":null,"deadline_mono_us":null,"disposition":"accept",\
        "encoder":null,"evidence":{"path":null,"sha256":null,"state":"off"},"frame_ids":["41","42"],"frames_used":1,\
        "gate_due_mono_us":null,"inspected":true,"late":false,"latency_us":12345,"mode":"replay",\
        "model_sha256":"ab12","part_id":"18446744073709551615",\
        "picturable":{"deviation":0.5,"mean":0.125,"raw":0.25,"z":0.25},"plc_token":null,"reason":"none",\
        "reason_code":0,"recipe":"bottle","recipe_revision":3,\
        "regions":[{"area_px":9,"height":4,"mean":0.375,"peak":0.5,"width":3,"x":1,"y":2}],"schema":1,"score":0.1,\
        "seq":"7","session":"12","simulated":true,"stage_us":{"decode":null,"fuse":null,"picturable":null,\
        "preprocess":800,"publish":null,"unpicturable":null},"station":"line-1","t_mono_us":5000000,\
        "t_utc":"1970-01-01T00:00:01.000000Z","threshold":2.5,"timestamp_quality":"file",\
        "trigger_id":"9007199254740993","trigger_source":"every_frame","unpicturable":null}
        """
    static let heartbeat = """
        {"count":30,"in_flight":0,"last_frame_age_ms":17,"last_part_id":"99",\
        "last_seq":{"event":null,"reject":null,"result":"98","verdict":"99"},"line_stop_request":false,\
        "oldest_in_flight_ms":null,"period_ms":100,"ready":true,"running":true,"schema":1,"seq":"7","session":"12",\
        "state":"starved","station":"line-1","t_mono_us":5000000,"t_utc":"1970-01-01T00:00:01.000000Z"}
        """
    static let state = """
        {"config_sha256":null,"flags":["replay"],"model_sha256":"ab12","ready":false,"reason":null,\
        "recipe":"bottle","schema":1,"seq":"7","session":"12","since":"2000-02-29T00:00:00.000000Z",\
        "state":"running","station":"line-1","t_mono_us":5000000,"t_utc":"1970-01-01T00:00:01.000000Z",\
        "version":"0.1.0"}
        """
    static let event = """
        {"details":{"path":"evidence/12/99"},"message":"pictures stored","name":"evidence_stored","part_id":"99",\
        "peer":null,"schema":1,"seq":"7","session":"12","severity":"info","station":"line-1","t_mono_us":5000000,\
        "t_utc":"1970-01-01T00:00:01.000000Z"}
        """
    static let health = """
        {"bus":{"answered":7,"denied":2,"dropped":3,"malformed":1,"replays":30},\
        "camera":{"last_error":null,"reconnects":2,"state":"streaming"},"disk_free_bytes":null,\
        "evidence":{"dropped":1,"stored":2},\
        "frames":{"corrupt":1,"dropped":1,"failed":0,"gap":1,"not_triggered":2,"received":9,"scored":4,"stale":0,\
        "unhealthy":1},"journal":{"lost":{"result":2},"slowest_commit_us":9000,"written":15},\
        "latency_us":{"max":500,"p50":100,"p90":200,"p99":300,"p999":400,"worst_part_id":"98"},"open_files":20,\
        "parts":{"accepted":3,"late":1,"rejected":2,"rejected_by_reason":{"anomaly":1,"late":1},"review":0,"seen":5,\
        "uninspected":0},"queues":[{"capacity":4,"depth":1,"dropped":1,"name":"beltwatch.score","processed":4}],\
        "rss_bytes":1000000,"schema":1,"seq":"7","session":"12","station":"line-1","t_mono_us":5000000,\
        "t_utc":"1970-01-01T00:00:01.000000Z"}
        """
}

private func json(_ body: MessageBody) throws -> String {
    String(decoding: try Message(envelope: Samples.envelope(), body: body).encoded(), as: UTF8.self)
}

private func verdictTopic() throws -> Topic { Topic(station: try StationName("line-1"), kind: .verdict) }

@Suite struct MessageTests {
    @Test(
        arguments: zip(
            Samples.everyBody,
            [
                Expected.accepted, Expected.uninspected, Expected.result, Expected.heartbeat, Expected.state,
                Expected.event, Expected.health,
            ]))
    func isOneFlatObjectWithEveryKeyOfTheProtocol(body: MessageBody, expected: String) throws {
        #expect(try json(body) == expected)
    }

    @Test(arguments: Samples.everyBody)
    func comesBackAsItWasSent(body: MessageBody) throws {
        let message = Message(envelope: try Samples.envelope(), body: body)
        #expect(try Message(topic: message.topic, json: message.encoded()) == message)
    }

    @Test func unknownKeysAreIgnored() throws {
        let text = Expected.accepted.dropLast() + #","weight_g":{"net":[1,2]}}"#
        let message = try Message(topic: verdictTopic(), json: Array(text.utf8))
        #expect(message.body == .verdict(Samples.accepted))
    }

    @Test func aMissingKeyOfAnOptionalFieldReadsLikeNull() throws {
        let text = Expected.accepted.replacing(#""plc_token":null,"#, with: "")
        let message = try Message(topic: verdictTopic(), json: Array(text.utf8))
        #expect(message.body == .verdict(Samples.accepted))
    }

    @Test(arguments: [#""perhaps""#, #""Accept""#, #""""#, "1", "true"])
    func anUnknownDispositionIsAReject(found: String) throws {
        let text = Expected.accepted.replacing(#""disposition":"accept""#, with: #""disposition":\#(found)"#)
        guard case .verdict(let verdict) = try Message(topic: verdictTopic(), json: Array(text.utf8)).body else {
            Issue.record("not a verdict")
            return
        }
        #expect(verdict.disposition == .reject, "for \(found)")
    }

    @Test func aReasonFromALaterVersionKeepsCodeAndText() throws {
        let text = Expected.uninspected
            .replacing(#""reason":"uninspected","reason_code":2"#, with: #""reason":"smoke","reason_code":77"#)
        let topic = Topic(station: try StationName("line-1"), kind: .reject)
        let message = try Message(topic: topic, json: Array(text.utf8))
        guard case .reject(let verdict) = message.body else {
            Issue.record("not a reject")
            return
        }
        #expect(verdict.reason.code == 77)
        #expect(verdict.reason.text == "smoke")
        #expect(String(decoding: try message.encoded(), as: UTF8.self) == text)
    }

    @Test(arguments: [Double.nan, .infinity, -.infinity])
    func aNumberThatIsNotFiniteIsRefused(value: Double) throws {
        var verdict = Samples.accepted
        verdict.score = value
        #expect(throws: MessageError.notFinite(field: "score")) { try json(.verdict(verdict)) }
        var result = Samples.result
        result.details.picturable?.z = value
        #expect(throws: MessageError.notFinite(field: "picturable.z")) { try json(.result(result)) }
    }

    @Test func anIdentifierWrittenAsANumberIsNotRead() throws {
        let text = Expected.accepted.replacing(#""seq":"7""#, with: #""seq":7"#)
        #expect { try Message(topic: verdictTopic(), json: Array(text.utf8)) } throws: { error in
            guard case .notReadable(_, field: "seq", _) = error as? MessageError else { return false }
            return true
        }
    }

    @Test(arguments: ["", "{", "[]", "null", "{\"schema\":\"1\"}", "\u{0}\u{1}"])
    func whatIsNoMessageIsNamedAndNotRead(text: String) throws {
        #expect { try Message(topic: verdictTopic(), json: Array(text.utf8)) } throws: { error in
            guard case .notReadable = error as? MessageError else { return false }
            return "\(error)".hasPrefix("message on inspect/line-1/verdict/ cannot be read")
        }
    }

    @Test func aMissingFieldIsNamed() throws {
        let text = Expected.accepted.replacing(#""simulated":true,"#, with: "")
        let expected = MessageError.notReadable(try verdictTopic(), field: "simulated", reason: "the field is missing")
        #expect(throws: expected) { try Message(topic: verdictTopic(), json: Array(text.utf8)) }
    }

    @Test func anotherSchemaIsRefusedBeforeAnythingElseIsRead() throws {
        #expect(throws: MessageError.unsupportedSchema(2, try verdictTopic())) {
            try Message(topic: verdictTopic(), json: Array(#"{"schema":2}"#.utf8))
        }
    }

    @Test func aMessageUnderAnotherStationsTopicIsRefused() throws {
        let topic = Topic(station: try StationName("line-2"), kind: .verdict)
        #expect(throws: MessageError.wrongStation(try StationName("line-1"), topic)) {
            try Message(topic: topic, json: Array(Expected.accepted.utf8))
        }
    }
}

@Suite struct ReasonTests {
    @Test func everyReasonHasTheCodeOfTheProtocol() {
        let words =
            "none anomaly uninspected incomplete_views corrupt_frame late overload not_ready ambiguous_part "
            + "model_or_recipe_invalid drift_lockout challenge_part stale_frame image_health"
        #expect(Reason.all.map(\.text) == words.split(separator: " ").map(String.init))
        #expect(Reason.all.map(\.code) == Array(0...13))
    }
}

@Suite struct InspectionStateTests {
    @Test func onlyReadyRunningAndStarvedAreReady() {
        #expect(InspectionState.allCases.filter(\.isReady) == [.ready, .running, .starved])
    }

    @Test func partsAreJudgedOnlyInRunningAndStarved() {
        #expect(InspectionState.allCases.filter(\.isRunning) == [.running, .starved])
    }
}

@Suite struct PartCountsTests {
    @Test func everyDispositionIsSeenOnce() {
        var counts = PartCounts()
        for disposition in [Disposition.accept, .reject, .accept, .review, .reject, .reject] {
            counts.count(disposition)
        }
        #expect([counts.accepted, counts.review, counts.rejected, counts.seen] == [2, 1, 3, 6])
    }
}
