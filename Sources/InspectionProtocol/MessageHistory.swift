/// The last messages of a session, as they were published, so that a short absence is made good without a disk.
///
/// Per kind, the oldest messages go first when there are too many or their JSON has too many bytes. A value: whoever owns
/// it decides which lock or queue it lives under.
public struct MessageHistory: Sendable {
    public struct Limits: Hashable, Sendable {
        /// Messages of each kind; default 20,000, which is 100 s at 200 parts a second.
        ///
        /// More lets readers be away for longer, and takes more memory.
        public var messagesPerKind = 20_000

        /// Bytes of JSON of each kind; default 16 MiB.
        public var bytesPerKind = 16 * 1024 * 1024

        public init() {}
    }

    public let session: SessionNumber
    private let limits: Limits
    private var shelves: [MessageKind: Shelf] = [:]

    /// - Precondition: Both limits are at least 1.
    public init(session: SessionNumber, limits: Limits = Limits()) {
        precondition(limits.messagesPerKind > 0 && limits.bytesPerKind > 0, "a history that keeps nothing")
        self.session = session
        self.limits = limits
    }

    /// Keeps a message that was published; one of a kind that is not replayable is not kept.
    ///
    /// - Precondition: Its number is greater than that of the message of this kind before.
    public mutating func append(_ message: EncodedMessage) {
        guard message.topic.kind.isReplayable else { return }
        shelves[message.topic.kind, default: Shelf()].append(message, within: limits)
    }

    /// The numbers that are still kept, nil where there are none.
    public func range(of kind: MessageKind) -> ClosedRange<SequenceNumber>? { shelves[kind]?.range }

    /// The last number that was appended, also when its message is gone; nil before the first.
    public func lastSequence(of kind: MessageKind) -> SequenceNumber? { shelves[kind]?.last }

    /// As much of a range as is kept and may be answered at once.
    ///
    /// What was not sent yet is not gone: the page then ends where the next message will be.
    ///
    /// - Throws: `RecoveryFailure` `unknown_session`, or `gone` where all of the range is too old.
    public func messages(_ wanted: ReplayRange, limit: ReplayLimit) throws(RecoveryFailure) -> ReplayPage {
        guard wanted.session == session else { throw .unknownSession(wanted.session, current: session) }
        guard let shelf = shelves[wanted.kind], let last = shelf.last else {
            return ReplayPage(messages: [], next: wanted.sequences.lowerBound)
        }
        if wanted.sequences.upperBound < shelf.range?.lowerBound ?? SequenceNumber(last.value &+ 1) {
            throw .gone(wanted, oldest: shelf.range?.lowerBound)
        }
        return shelf.page(wanted.sequences, last: last, limit: limit)
    }
}

/// The messages of one kind: an array whose used-up beginning is cut off now and then, so that adding one costs O(1).
private struct Shelf {
    private var messages: [EncodedMessage] = []
    private var start = 0
    private var byteCount = 0
    private(set) var last: SequenceNumber?

    var range: ClosedRange<SequenceNumber>? {
        guard start < messages.count, let last = messages.last else { return nil }
        return messages[start].sequence...last.sequence
    }

    mutating func append(_ message: EncodedMessage, within limits: MessageHistory.Limits) {
        if let last { precondition(message.sequence > last, "\(message.topic) \(message.sequence) after \(last)") }
        last = message.sequence
        messages.append(message)
        byteCount += message.json.count
        while messages.count - start > limits.messagesPerKind || byteCount > limits.bytesPerKind {
            byteCount -= messages[start].json.count
            // Its memory goes at once; the place in the array later.
            messages[start] = EncodedMessage(topic: message.topic, sequence: messages[start].sequence, json: [])
            start += 1
        }
        if start > 64, start * 2 > messages.count {
            messages.removeFirst(start)
            start = 0
        }
    }

    func page(_ wanted: ClosedRange<SequenceNumber>, last: SequenceNumber, limit: ReplayLimit) -> ReplayPage {
        var page = ReplayPage(messages: [], next: wanted.lowerBound)
        var bytes = 0
        for message in messages[firstIndex(from: wanted.lowerBound)...] {
            guard message.sequence <= wanted.upperBound else { break }
            bytes += message.json.count
            if page.messages.count == limit.messageCount || (bytes > limit.byteCount && !page.messages.isEmpty) {
                return page
            }
            page.messages.append(message)
            page.next = SequenceNumber(message.sequence.value &+ 1)
        }
        // Everything up to here has been sent, so what is not among the messages is gone.
        page.next = max(wanted.lowerBound, SequenceNumber(min(wanted.upperBound, last).value &+ 1))
        return page
    }

    /// The first message with this number or a greater one: numbers only grow, so half of them can be left out at a time.
    private func firstIndex(from sequence: SequenceNumber) -> Int {
        var (low, high) = (start, messages.count)
        while low < high {
            let middle = (low + high) / 2
            if messages[middle].sequence < sequence { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
