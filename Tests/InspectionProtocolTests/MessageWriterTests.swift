import InspectionProtocol
import Testing

@Suite struct MessageWriterTests {
    private func write(_ body: MessageBody, with writer: inout MessageWriter) throws -> EncodedMessage {
        try writer.write(body, sentAt: UTCTimestamp(microsecondsSince1970: 0), monotonicMicroseconds: 0)
    }

    @Test func eachKindCountsFromOne() throws {
        var writer = MessageWriter(station: try StationName("line-1"), session: 5)
        #expect(writer.lastSequence(of: .verdict) == nil)
        let sequences = try [
            MessageBody.verdict(Samples.uninspected), .reject(Samples.uninspected), .verdict(Samples.accepted),
            .verdict(Samples.accepted), .reject(Samples.uninspected),
        ].map { try write($0, with: &writer).sequence }
        #expect(sequences == [1, 1, 2, 3, 2])
        #expect(writer.lastSequence(of: .verdict) == 3)
        #expect(writer.lastSequence(of: .heartbeat) == nil)
    }

    @Test func aMessageThatCannotBeEncodedLeavesNoHole() throws {
        var writer = MessageWriter(station: try StationName("line-1"), session: 5)
        var broken = Samples.accepted
        broken.score = .nan
        #expect(throws: MessageError.notFinite(field: "score")) { try write(.verdict(broken), with: &writer) }
        #expect(try write(.verdict(Samples.accepted), with: &writer).sequence == 1)
    }

    @Test func theEnvelopeCarriesStationSessionAndTimes() throws {
        var writer = MessageWriter(station: try StationName("line-1"), session: 5)
        let encoded = try writer.write(
            .heartbeat(Samples.heartbeat), sentAt: UTCTimestamp(microsecondsSince1970: 1),
            monotonicMicroseconds: 2)
        #expect(encoded.topic.description == "inspect/line-1/heartbeat/")
        #expect(
            try Message(topic: encoded.topic, json: encoded.json).envelope
                == Envelope(
                    station: try StationName("line-1"), session: 5, sequence: 1,
                    sentAt: UTCTimestamp(microsecondsSince1970: 1), sentMonotonicMicroseconds: 2))
    }
}

@Suite struct VerdictFileLineTests {
    @Test func carriesNoSessionClockOrLatency() throws {
        let line = String(decoding: try VerdictFileLine(Samples.result).encoded(), as: UTF8.self)
        #expect(
            line == """
                {"disposition":"accept","frame_ids":["41","42"],"model_sha256":"ab12",\
                "part_id":"18446744073709551615","picturable":{"raw":0.25,"z":0.25},"reason":"none","reason_code":0,\
                "recipe":"bottle","score":0.1,"simulated":true,"threshold":2.5,"trigger_id":"9007199254740993",\
                "trigger_source":"every_frame","unpicturable":null}
                """)
    }

    @Test func isTheSameWheneverTheReplayRuns() throws {
        var later = Samples.result
        later.verdict.capturedAt = UTCTimestamp.now()
        later.verdict.capturedMonotonicMicroseconds = 77
        later.verdict.latencyMicroseconds = 1
        later.details.stageDurations.fuse = 3
        #expect(try VerdictFileLine(later).encoded() == VerdictFileLine(Samples.result).encoded())
    }

    @Test(arguments: [
        (1.0 / 3, "0.3333333333333333"), (0.1 + 0.2, "0.30000000000000004"), (3, "3"), (1e-7, "1e-07"),
        (-2.5, "-2.5"), (1e22, "1e+22"),
    ])
    func numbersAreTheShortestTextThatReadsBackTheSame(score: Double, text: String) throws {
        var result = Samples.result
        result.verdict.score = score
        let line = String(decoding: try VerdictFileLine(result).encoded(), as: UTF8.self)
        #expect(line.contains("\"score\":\(text),"))
        #expect(Double(text) == score)
    }

    @Test func refusesANumberThatIsNotFinite() throws {
        var result = Samples.result
        result.verdict.threshold = .infinity
        #expect(throws: MessageError.notFinite(field: "threshold")) { try VerdictFileLine(result).encoded() }
    }
}
