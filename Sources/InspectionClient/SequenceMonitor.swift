import InspectionProtocol

/// Finds the messages that were sent and did not arrive.
///
/// Every kind counts its messages within a session from 1 without holes, and heartbeats carry the last number of the
/// others. The first message heard says where counting begins: what was sent before one listened is not missing. After a
/// restart of the station, counting begins at 1.
public struct SequenceMonitor: Sendable {
    /// Messages of one kind, next to each other, that did not arrive.
    public struct Hole: Hashable, Sendable {
        public let station: StationName
        public let session: SessionNumber
        public let kind: MessageKind
        public let missing: ClosedRange<SequenceNumber>

        public init(
            station: StationName, session: SessionNumber, kind: MessageKind, missing: ClosedRange<SequenceNumber>
        ) {
            self.station = station
            self.session = session
            self.kind = kind
            self.missing = missing
        }

        /// Messages; without meaning where the end is open.
        public var count: UInt64 { missing.upperBound.value - missing.lowerBound.value + 1 }

        /// Whether nobody knows how many messages there were: the session ended unheard, perhaps without any more.
        public var isOpenEnded: Bool { missing.upperBound.value == .max }
    }

    private struct Progress {
        let session: SessionNumber
        let isFirstSession: Bool
        var last: [MessageKind: SequenceNumber] = [:]

        // Kinds of which something was heard, and not only a number.
        var heard: Set<MessageKind> = []

        // What a heartbeat said about the kinds of the other socket, and when.
        var announced: (last: LastSequences, atMicroseconds: UInt64)?
    }

    /// How long a result or an event may be on its way when its heartbeat, on another socket, is here already.
    private static let otherSocketDelayMicroseconds: UInt64 = 1_000_000

    private var progress: [StationName: Progress] = [:]

    /// - Parameter position: Where an earlier reader ended; what was sent after it is missing.
    public init(resumingAt position: ReadingPosition? = nil) {
        guard let position else { return }
        progress[position.station] = Progress(
            session: position.session, isFirstSession: true, last: position.last, heard: Set(position.last.keys))
    }

    /// How far the reader has come; holes that were told count as behind it.
    public func position(at station: StationName) -> ReadingPosition? {
        progress[station].map { ReadingPosition(station: station, session: $0.session, last: $0.last) }
    }

    /// Counting begins where the snapshot says, for kinds of which nothing was heard in its session.
    public mutating func begin(at snapshot: StationSnapshot) {
        guard progress[snapshot.station]?.session ?? snapshot.session == snapshot.session else { return }
        var station = progress[snapshot.station] ?? Progress(session: snapshot.session, isFirstSession: true)
        for kind in MessageKind.allCases
        where kind.isReplayable && station.last[kind] == nil && station.isFirstSession {
            station.last[kind] = snapshot.lastSequence[kind] ?? 0
        }
        progress[snapshot.station] = station
    }

    /// Takes note of a message and returns what is now known to be missing before it.
    ///
    /// Messages must come in the order of arrival. A repeated message, and one that counts as missing and then arrives
    /// after all, changes nothing. Where a session ends, the first message of the next shows it, and what may have been
    /// sent at the end is missing with an open end.
    public mutating func observe(_ message: Message) -> [Hole] {
        let envelope = message.envelope
        var holes: [Hole] = []
        var station =
            progress[envelope.station] ?? Progress(session: envelope.session, isFirstSession: true)
        if station.session != envelope.session {
            for kind in MessageKind.allCases where kind.isReplayable && station.heard.contains(kind) {
                guard let last = station.last[kind]?.value, last < .max else { continue }
                holes.append(
                    Hole(
                        station: envelope.station, session: station.session, kind: kind,
                        missing: SequenceNumber(last + 1)...SequenceNumber(.max)))
            }
            station = Progress(session: envelope.session, isFirstSession: false, heard: station.heard)
        }
        defer { progress[envelope.station] = station }

        func advance(_ kind: MessageKind, to last: UInt64, missingUpTo lastMissing: UInt64) {
            let known = station.last[kind]?.value ?? (station.isFirstSession ? lastMissing : 0)
            station.last[kind] = SequenceNumber(max(known, last))
            guard known < lastMissing else { return }
            holes.append(
                Hole(
                    station: envelope.station, session: envelope.session, kind: kind,
                    missing: SequenceNumber(known + 1)...SequenceNumber(lastMissing)))
        }

        station.heard.insert(message.body.kind)
        if envelope.sequence.value > 0 {
            advance(message.body.kind, to: envelope.sequence.value, missingUpTo: envelope.sequence.value - 1)
        }
        if case .heartbeat(let heartbeat) = message.body {
            for kind in [MessageKind.verdict, .reject] {
                let last = heartbeat.lastSequence[kind]?.value ?? 0
                advance(kind, to: last, missingUpTo: last)
            }
            // These travel on another socket, so one may still be on its way; and not every reader wants them.
            let now = envelope.sentMonotonicMicroseconds
            let announced = station.announced ?? (heartbeat.lastSequence, now)
            station.announced = announced
            if now >= announced.atMicroseconds, now - announced.atMicroseconds >= Self.otherSocketDelayMicroseconds {
                for kind in [MessageKind.result, .event] where station.heard.contains(kind) {
                    let last = announced.last[kind]?.value ?? 0
                    advance(kind, to: last, missingUpTo: last)
                }
                station.announced = (heartbeat.lastSequence, now)
            }
        }
        return holes
    }
}
