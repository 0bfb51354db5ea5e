import InspectionClient
import InspectionProtocol
import Testing

@Suite struct SequenceMonitorTests {
    private func message(
        _ kind: MessageKind, _ sequence: SequenceNumber, session: SessionNumber = 1, station: String = "a",
        last: LastSequences = LastSequences()
    ) throws -> Message {
        let body: MessageBody =
            switch kind {
            case .verdict: .verdict(Samples.verdict)
            case .reject: .reject(Samples.verdict)
            case .result: .result(Samples.result)
            case .event: .event(StationEvent(.lineStop, .alarm, "3 rejects in a row"))
            default: .heartbeat(Samples.heartbeat(last))
            }
        return Message(
            envelope: Envelope(
                station: try StationName(station), session: session, sequence: sequence,
                sentAt: UTCTimestamp(microsecondsSince1970: 0), sentMonotonicMicroseconds: 0),
            body: body)
    }

    private func hole(
        _ kind: MessageKind, _ missing: ClosedRange<SequenceNumber>, session: SessionNumber = 1
    ) throws -> SequenceMonitor.Hole {
        SequenceMonitor.Hole(station: try StationName("a"), session: session, kind: kind, missing: missing)
    }

    @Test func unbrokenNumbersHaveNoHole() throws {
        var monitor = SequenceMonitor()
        for sequence in 1...20 {
            #expect(try monitor.observe(message(.verdict, SequenceNumber(UInt64(sequence)))) == [])
        }
    }

    @Test func whatWasSentBeforeTheFirstMessageHeardIsNotMissing() throws {
        var monitor = SequenceMonitor()
        #expect(try monitor.observe(message(.verdict, 1000)) == [])
        #expect(try monitor.observe(message(.verdict, 1001)) == [])
    }

    @Test func aJumpIsAHoleOfItsKindOnly() throws {
        var monitor = SequenceMonitor()
        #expect(try monitor.observe(message(.verdict, 5)) == [])
        #expect(try monitor.observe(message(.reject, 2)) == [])
        #expect(try monitor.observe(message(.verdict, 9)) == [hole(.verdict, 6...8)])
        #expect(try monitor.observe(message(.reject, 3)) == [])
        #expect(try hole(.verdict, 6...8).count == 3)
    }

    @Test func aHeartbeatShowsThatTheLastVerdictsNeverArrived() throws {
        var monitor = SequenceMonitor()
        _ = try monitor.observe(message(.verdict, 5))
        let beat = try message(.heartbeat, 1, last: LastSequences(verdict: 7))
        #expect(try monitor.observe(beat) == [hole(.verdict, 6...7)])
        #expect(try monitor.observe(message(.verdict, 8)) == [], "the hole is told once")
    }

    @Test func aHeartbeatThatAgreesOrIsBehindShowsNothing() throws {
        var monitor = SequenceMonitor()
        _ = try monitor.observe(message(.verdict, 5))
        #expect(try monitor.observe(message(.heartbeat, 1, last: LastSequences(verdict: 5))) == [])
        #expect(try monitor.observe(message(.heartbeat, 2, last: LastSequences(verdict: 4))) == [])
        #expect(try monitor.observe(message(.verdict, 6)) == [])
    }

    @Test func afterAHeartbeatCountingBeginsAtWhatItSays() throws {
        var monitor = SequenceMonitor()
        #expect(try monitor.observe(message(.heartbeat, 40, last: LastSequences(verdict: 7))) == [])
        #expect(try monitor.observe(message(.verdict, 9)) == [hole(.verdict, 8...8)])
        #expect(try monitor.observe(message(.reject, 2)) == [hole(.reject, 1...1)])
    }

    @Test func aRepeatedMessageChangesNothing() throws {
        var monitor = SequenceMonitor()
        for sequence in [5, 6, 6, 5, 7] as [SequenceNumber] {
            #expect(try monitor.observe(message(.verdict, sequence)) == [])
        }
    }

    @Test func afterARestartCountingBeginsAtOne() throws {
        var monitor = SequenceMonitor()
        _ = try monitor.observe(message(.verdict, 500))
        let tail = try hole(.verdict, 501...SequenceNumber(.max))
        #expect(try monitor.observe(message(.verdict, 3, session: 2)) == [tail, hole(.verdict, 1...2, session: 2)])
        #expect(tail.isOpenEnded, "nobody knows whether there was a number 501")
        #expect(try monitor.observe(message(.verdict, 4, session: 2)) == [])
    }

    @Test func stationsAreCountedApart() throws {
        var monitor = SequenceMonitor()
        _ = try monitor.observe(message(.verdict, 5))
        #expect(try monitor.observe(message(.verdict, 90, station: "b")) == [])
        #expect(try monitor.observe(message(.verdict, 6)) == [])
    }

    @Test func aSessionThatEndedLeavesAnOpenEndOfEachKindThatWasHeard() throws {
        var monitor = SequenceMonitor()
        _ = try monitor.observe(message(.heartbeat, 3, last: LastSequences(verdict: 4, reject: 2)))
        #expect(try monitor.observe(message(.heartbeat, 1, session: 2)) == [])
        _ = try monitor.observe(message(.reject, 1, session: 2))
        #expect(
            try monitor.observe(message(.heartbeat, 1, session: 3)) == [
                hole(.reject, 2...SequenceNumber(.max), session: 2)
            ])
    }

    @Test func whatWasSentAfterTheSnapshotIsMissing() throws {
        var monitor = SequenceMonitor()
        monitor.begin(at: Samples.snapshot(LastSequences(verdict: 5), station: try StationName("a")))
        #expect(try monitor.observe(message(.verdict, 8)) == [hole(.verdict, 6...7)])
        #expect(try monitor.observe(message(.reject, 3)) == [hole(.reject, 1...2)], "none had been sent")
    }

    @Test func aSnapshotThatComesAfterTheFirstMessageChangesNothing() throws {
        var monitor = SequenceMonitor()
        _ = try monitor.observe(message(.verdict, 8))
        monitor.begin(at: Samples.snapshot(LastSequences(verdict: 5), station: try StationName("a")))
        monitor.begin(at: Samples.snapshot(LastSequences(verdict: 5), session: 9, station: try StationName("a")))
        #expect(try monitor.observe(message(.verdict, 9)) == [])
    }

    @Test func aReaderThatGoesOnMissesWhatWasSentSince() throws {
        var first = SequenceMonitor()
        _ = try first.observe(message(.verdict, 8))
        let position = try #require(first.position(at: try StationName("a")))
        #expect(position.last == [.verdict: 8])
        var sameSession = SequenceMonitor(resumingAt: position)
        #expect(try sameSession.observe(message(.verdict, 12)) == [hole(.verdict, 9...11)])
        var nextSession = SequenceMonitor(resumingAt: position)
        #expect(
            try nextSession.observe(message(.verdict, 2, session: 2)) == [
                hole(.verdict, 9...SequenceNumber(.max)), hole(.verdict, 1...1, session: 2),
            ])
    }

    /// Results and events come on another socket, so the heartbeat that tells of one may be here first.
    @Test(arguments: [MessageKind.result, .event])
    func theLastOfTheOtherSocketAreMissingASecondAfterTheHeartbeatThatToldOfThem(kind: MessageKind) throws {
        func beat(_ sequence: SequenceNumber, _ number: SequenceNumber, at microseconds: UInt64) throws -> Message {
            var last = LastSequences()
            last.note(kind, number)
            return try beat(sequence, last, at: microseconds)
        }
        func beat(_ sequence: SequenceNumber, _ last: LastSequences, at microseconds: UInt64) throws -> Message {
            Message(
                envelope: Envelope(
                    station: try StationName("a"), session: 1, sequence: sequence,
                    sentAt: UTCTimestamp(microsecondsSince1970: 0), sentMonotonicMicroseconds: microseconds),
                body: .heartbeat(Samples.heartbeat(last)))
        }
        var verdictsOnly = SequenceMonitor()
        var monitor = SequenceMonitor()
        _ = try monitor.observe(message(kind, 5))
        for early in [try beat(1, 7, at: 0), try beat(2, 8, at: 999_999)] {
            #expect(monitor.observe(early) == [])
            #expect(verdictsOnly.observe(early) == [])
        }
        #expect(try monitor.observe(beat(3, 9, at: 1_000_000)) == [hole(kind, 6...7)])
        #expect(try verdictsOnly.observe(beat(3, 9, at: 1_000_000)) == [], "this reader wants none of them")
        #expect(try monitor.observe(beat(4, 9, at: 2_000_000)) == [hole(kind, 8...9)])
    }

    @Test func theLargestNumberIsNoTrouble() throws {
        var monitor = SequenceMonitor()
        _ = try monitor.observe(message(.verdict, 1))
        #expect(
            try monitor.observe(message(.verdict, SequenceNumber(.max))) == [
                hole(.verdict, 2...SequenceNumber(.max - 1))
            ])
        #expect(try monitor.observe(message(.verdict, 0)) == [])
        #expect(try monitor.observe(message(.heartbeat, 1, last: LastSequences(verdict: SequenceNumber(.max)))) == [])
    }
}
