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

        public var count: UInt64 { missing.upperBound.value - missing.lowerBound.value + 1 }
    }

    private struct Progress {
        let session: SessionNumber
        let isFirstSession: Bool
        var last: [MessageKind: SequenceNumber] = [:]
    }

    private var progress: [StationName: Progress] = [:]

    public init() {}

    /// Takes note of a message and returns what is now known to be missing before it.
    ///
    /// Messages must come in the order of arrival. A repeated message, and one that counts as missing and then arrives
    /// after all, changes nothing.
    public mutating func observe(_ message: Message) -> [Hole] {
        let envelope = message.envelope
        var station =
            progress[envelope.station] ?? Progress(session: envelope.session, isFirstSession: true)
        if station.session != envelope.session {
            station = Progress(session: envelope.session, isFirstSession: false)
        }
        defer { progress[envelope.station] = station }

        func advance(_ kind: MessageKind, to last: UInt64, missingUpTo lastMissing: UInt64) -> Hole? {
            let known = station.last[kind]?.value ?? (station.isFirstSession ? lastMissing : 0)
            station.last[kind] = SequenceNumber(max(known, last))
            guard known < lastMissing else { return nil }
            return Hole(
                station: envelope.station, session: envelope.session, kind: kind,
                missing: SequenceNumber(known + 1)...SequenceNumber(lastMissing))
        }

        var holes: [Hole?] = []
        if envelope.sequence.value > 0 {
            holes.append(
                advance(
                    message.body.kind, to: envelope.sequence.value, missingUpTo: envelope.sequence.value - 1))
        }
        if case .heartbeat(let heartbeat) = message.body {
            // Only the kinds that share the heartbeat's socket: a result may still be on its way on the other.
            for (kind, sequence) in [
                (MessageKind.verdict, heartbeat.lastSequence.verdict), (.reject, heartbeat.lastSequence.reject),
            ] {
                let last = sequence?.value ?? 0
                holes.append(advance(kind, to: last, missingUpTo: last))
            }
        }
        return holes.compactMap { $0 }
    }
}
