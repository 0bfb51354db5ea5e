import Imaging
import InspectionProtocol
import InspectionRuntime
import Journal
import Locking
import Messaging

/// What the recovery endpoint answers from: messages of late from memory, older ones from the journal.
public final class StationRecovery: RecoverySource {
    private let station: StationName
    private let session: SessionNumber
    private let bootID: String
    private let memory: StationMemory
    private let journalPath: String
    private let commands: @Sendable (StationCommand, RecoveryPeer) -> CommandAnswer
    private let commandNames: [String]
    private let clock = SystemMonotonicClock()
    private let wallClock = SystemWallClock()

    /// Opened when somebody asks for what is older than the memory; again after the journal was moved aside.
    private let reader = Lock<JournalReader?>(nil)

    /// - Parameters:
    ///   - takes: The commands that this station is configured for, as HELLO tells them.
    ///   - commands: Carries out a command that is allowed.
    public init(
        station: StationName, session: SessionNumber, memory: StationMemory, journalPath: String,
        takes: [StationCommand.Name], commands: @escaping @Sendable (StationCommand, RecoveryPeer) -> CommandAnswer
    ) {
        self.station = station
        self.session = session
        self.memory = memory
        self.journalPath = journalPath
        self.commands = commands
        commandNames = takes.map(\.rawValue)
        // Without a name for the boot nobody may take our clock for theirs; the session's is unique enough to differ.
        bootID = StationGreeting.bootIDOfThisMachine() ?? "unknown-\(station)-\(session)"
    }

    public func greeting() -> StationGreeting {
        StationGreeting(
            bootID: bootID, station: station, session: session, monotonicMicroseconds: clock.now.microseconds,
            sentAt: wallClock.now, commands: commandNames)
    }

    public func snapshot() throws(RecoveryFailure) -> StationSnapshot {
        guard let (report, lastSequence, lastPartID) = memory.standing() else {
            throw RecoveryFailure(.unavailable, "the station is starting; ask again")
        }
        var replayable: [MessageKind: ClosedRange<SequenceNumber>] = [:]
        for kind in MessageKind.allCases {
            guard let last = lastSequence[kind], let oldest = try oldest(of: kind), oldest <= last else { continue }
            replayable[kind] = oldest...last
        }
        return StationSnapshot(
            station: station, session: session, state: report, lastPartID: lastPartID, lastSequence: lastSequence,
            replayable: replayable)
    }

    public func messages(_ range: ReplayRange, limit: ReplayLimit) throws(RecoveryFailure) -> ReplayPage {
        var older = range.sequences
        if range.session == session {
            guard let oldest = memory.oldest(of: range.kind), range.sequences.lowerBound < oldest else {
                return try filled(try memory.messages(range, limit: limit), of: range, limit: limit)
            }
            // The journal up to where the memory begins; the next page comes from there.
            if oldest <= older.upperBound { older = older.lowerBound...SequenceNumber(oldest.value - 1) }
        }
        let page = try journalled(range.kind, of: range.session, older, limit: limit)
        if !page.messages.isEmpty || older.upperBound < range.sequences.upperBound { return page }
        throw .gone(range, oldest: range.session == session ? try oldest(of: range.kind) : nil)
    }

    /// Lets go of the journal, whose log can then be moved into it; to be called when nobody asks any more.
    public func close() { reader.withLock { $0 = nil } }

    public func perform(_ command: StationCommand, from peer: RecoveryPeer) -> CommandAnswer {
        commands(command, peer)
    }

    // MARK: - Journal

    /// A page from memory, with what a full mailbox kept from being published taken from the journal.
    private func filled(
        _ page: ReplayPage, of range: ReplayRange, limit: ReplayLimit
    ) throws(RecoveryFailure) -> ReplayPage {
        guard let sent = memory.standing()?.lastSequence[range.kind], let hole = page.firstHole(from: range),
            hole <= min(sent, range.sequences.upperBound)
        else { return page }
        var before = page
        before.messages.removeAll { $0.sequence >= hole }
        before.next = hole
        let wanted = hole...min(sent, range.sequences.upperBound)
        let kept = try journalled(range.kind, of: range.session, wanted, limit: limit)
        guard let first = kept.messages.first?.sequence, first == hole else {
            // On its way to the disk, or to the memory; or gone, once both have got past it.
            if sent.value - hole.value >= Self.recentCount { before.next = SequenceNumber(hole.value + 1) }
            return before
        }
        return ReplayPage(messages: before.messages + kept.messages, next: kept.next)
    }

    /// So many messages after one, it has reached the journal if it ever will: a second at the highest rates.
    private static let recentCount: UInt64 = 256

    private func journalled(
        _ kind: MessageKind, of session: SessionNumber, _ sequences: ClosedRange<SequenceNumber>, limit: ReplayLimit
    ) throws(RecoveryFailure) -> ReplayPage {
        let entries = try read { reader throws(JournalError) in
            let entries = try reader.messages(kind, of: session, sequences, limit: limit.messageCount)
            if entries.isEmpty, session != self.session, !(try reader.sessions().contains { $0.number == session }) {
                return [JournalEntry]?.none
            }
            return entries
        }
        guard let entries else { throw .unknownSession(session, current: self.session) }
        var page = ReplayPage(messages: [], next: sequences.lowerBound)
        var bytes = 0
        for entry in entries {
            bytes += entry.json.count
            if bytes > limit.byteCount, !page.messages.isEmpty { return page }
            page.messages.append(
                EncodedMessage(
                    topic: Topic(station: station, kind: kind), sequence: entry.sequence, json: entry.json))
            page.next = SequenceNumber(entry.sequence.value &+ 1)
        }
        if entries.count < limit.messageCount { page.next = SequenceNumber(sequences.upperBound.value &+ 1) }
        return page
    }

    /// The oldest number that is kept anywhere, of the current session.
    private func oldest(of kind: MessageKind) throws(RecoveryFailure) -> SequenceNumber? {
        let onDisk = try read { reader throws(JournalError) in
            try reader.messages(kind, of: session, 1...SequenceNumber(.max), limit: 1).first?.sequence
        }
        return [onDisk, memory.oldest(of: kind)].compactMap(\.self).min()
    }

    private func read<Value>(
        _ body: (JournalReader) throws(JournalError) -> Value
    ) throws(RecoveryFailure) -> Value {
        do throws(JournalError) {
            let reader = try reader.withLock { reader throws(JournalError) in
                if let reader { return reader }
                let opened = try JournalReader(path: journalPath)
                reader = opened
                return opened
            }
            return try body(reader)
        } catch {
            reader.withLock { $0 = nil }
            throw RecoveryFailure(.unavailable, "the journal cannot be read: \(error); ask again later")
        }
    }
}

extension ReplayPage {
    /// The first number of the range that the page should have and does not; what comes after the page counts too.
    fileprivate func firstHole(from range: ReplayRange) -> SequenceNumber? {
        var expected = range.sequences.lowerBound
        for message in messages {
            if message.sequence != expected { return expected }
            expected = SequenceNumber(expected.value &+ 1)
        }
        // A page that ends at its limit has more behind it, of which the next page tells.
        return expected < next || messages.isEmpty ? expected : nil
    }
}
