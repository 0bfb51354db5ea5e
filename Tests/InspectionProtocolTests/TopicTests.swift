import InspectionProtocol
import Testing

@Suite struct TopicTests {
    @Test func endsWithASlashSoThatLineOneIsNoPrefixOfLineTen() throws {
        let line1 = Topic(station: try StationName("line1"), kind: .verdict).description
        let line10 = Topic(station: try StationName("line10"), kind: .verdict).description
        #expect(line1 == "inspect/line1/verdict/")
        #expect(!line10.hasPrefix(line1))
        #expect(!line10.hasPrefix(Topic.prefix(of: try StationName("line1"))))
    }

    @Test(arguments: MessageKind.allCases)
    func isReadBack(kind: MessageKind) throws {
        let topic = Topic(station: try StationName("Line_1-a"), kind: kind)
        #expect(Topic(topic.description) == topic)
    }

    @Test(arguments: [
        "", "inspect/line1/verdict", "inspect/line1/verdict//", "inspect/line1/gossip/", "inspect//verdict/",
        "other/line1/verdict/", "inspect/line 1/verdict/",
    ])
    func anythingElseIsNoTopic(text: String) {
        #expect(Topic(text) == nil, "for \(text)")
    }
}

@Suite struct StationNameTests {
    @Test(arguments: ["line 1", "line/1", "linie-ü", "a.b", "１"])
    func refusesWhatATopicCannotCarry(text: String) {
        #expect { try StationName(text) } throws: { error in
            guard case .wrongCharacter(_, in: text) = error as? StationNameError else { return false }
            return true
        }
    }

    @Test func isOneToSixtyFourBytesLong() throws {
        #expect(throws: StationNameError.wrongLength("")) { try StationName("") }
        let long = String(repeating: "x", count: 65)
        #expect(throws: StationNameError.wrongLength(long)) { try StationName(long) }
        #expect(try StationName(String(long.dropLast())).text.count == 64)
    }
}

@Suite struct UTCTimestampTests {
    @Test(
        arguments: [
            (0, "1970-01-01T00:00:00.000000Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
            (951_868_799_000_001, "2000-02-29T23:59:59.000001Z"),
            (951_868_800_000_000, "2000-03-01T00:00:00.000000Z"),
            (1_795_248_395_123_456, "2026-11-21T08:06:35.123456Z"),
            (4_107_542_400_000_000, "2100-03-01T00:00:00.000000Z"),
        ] as [(Int64, String)])
    func isWrittenWithMicrosecondsAndReadBack(microseconds: Int64, text: String) {
        #expect(UTCTimestamp(microsecondsSince1970: microseconds).description == text)
        #expect(UTCTimestamp(text)?.microsecondsSince1970 == microseconds)
    }

    @Test(arguments: [
        "2026-11-21T08:06:35Z", "2026-11-21 08:06:35.123456Z", "2026-02-29T00:00:00.000000Z",
        "2026-13-01T00:00:00.000000Z", "2026-00-01T00:00:00.000000Z", "2026-11-21T24:00:00.000000Z",
        "2026-11-21T08:60:35.123456Z", "2026-11-21T08:06:35.123456+", "",
    ])
    func anythingElseIsNoTime(text: String) {
        #expect(UTCTimestamp(text) == nil, "for \(text)")
    }
}
