import InspectionProtocol
import Messaging

/// What an answer to REPLAY means for the hole that it was asked for: every number is recovered, lost, or still open.
struct ReplayedPage {
    private(set) var recovered: [Message] = []
    private(set) var lost: [SequenceMonitor.Hole] = []

    /// What the answer says nothing about; nil where it was the last.
    private(set) var rest: SequenceMonitor.Hole?

    /// - Parameters:
    ///   - messages: In their order; one that cannot be read, or that nobody asked for, is as good as none.
    ///   - next: The first number that the answer says nothing about.
    init(_ messages: [Result<Message, ReceptionError>], next: SequenceNumber, of hole: SequenceMonitor.Hole) {
        var expected = hole.missing.lowerBound
        var last = hole.missing.upperBound
        if next <= last {
            rest = hole.narrowed(to: max(next, expected)...last)
            guard next > expected else { return }
            last = SequenceNumber(next.value - 1)
        }
        for case .success(let message) in messages {
            let sequence = message.envelope.sequence
            guard message.topic == Topic(station: hole.station, kind: hole.kind),
                message.envelope.session == hole.session, expected <= sequence, sequence <= last
            else { continue }
            if expected < sequence { lost.append(hole.narrowed(to: expected...SequenceNumber(sequence.value - 1))) }
            recovered.append(message)
            guard sequence < last else { return }
            expected = SequenceNumber(sequence.value + 1)
        }
        lost.append(hole.narrowed(to: expected...last))
    }
}

extension SequenceMonitor.Hole {
    /// A part of the hole.
    func narrowed(to missing: ClosedRange<SequenceNumber>) -> Self {
        Self(station: station, session: session, kind: kind, missing: missing)
    }
}
