import InspectionProtocol
import InspectionRuntime

/// What waits to be written: a lane for answers and one for evidence, so that a flood of results displaces no verdict.
///
/// Pure bookkeeping, without lock or queue; `JournalWriter` puts both around it.
struct JournalBacklog {
    private var answers: BoundedMailbox<Message>
    private var evidence: BoundedMailbox<Message>

    init(_ mailbox: MailboxConfiguration) {
        precondition(mailbox.overflow != .wait, "the decision path hands messages over, and waits for nobody")
        answers = BoundedMailbox(capacity: mailbox.capacity, policy: mailbox.overflow)
        evidence = BoundedMailbox(capacity: mailbox.capacity, policy: mailbox.overflow)
    }

    var isEmpty: Bool { answers.count + evidence.count == 0 }

    /// Takes a message in.
    ///
    /// - Returns: The message that was given up, if there was no room.
    mutating func offer(_ message: Message) -> Message? {
        let admission = message.body.kind.isEvidence ? evidence.offer(message) : answers.offer(message)
        switch admission {
        case .stored: return nil
        case .storedInsteadOf(let other), .refused(let other): return other
        case .mustWait: preconditionFailure("no lane of the journal waits")
        }
    }

    /// Takes everything out, each lane in order.
    mutating func takeAll() -> (answers: [Message], evidence: [Message]) {
        (Self.empty(&answers), Self.empty(&evidence))
    }

    private static func empty(_ lane: inout BoundedMailbox<Message>) -> [Message] {
        var messages: [Message] = []
        while let message = lane.next() { messages.append(message) }
        return messages
    }
}
