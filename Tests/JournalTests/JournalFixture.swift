import Archive
import Foundation
import Imaging
import InspectionProtocol
import InspectionRuntime
import Locking
import Logging

@testable import Journal

/// A directory of its own for one test, removed with the value.
final class TemporaryDirectory: Sendable {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.appending(path: "beltwatch-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String) -> String { "\(path)/\(name)" }

    func names() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: path).sorted() }
}

/// Both clocks, which go when a test says so.
final class ManualClock: MonotonicClock {
    private let nanoseconds: Lock<UInt64>

    /// 2026-11-21T10:00:00Z.
    static let start = UTCTimestamp(microsecondsSince1970: 1_795_255_200_000_000)

    init() { nanoseconds = Lock(1_000_000_000) }

    func advance(by duration: Duration) { nanoseconds.withLock { $0 += UInt64(duration.nanoseconds) } }

    var now: MonotonicInstant { MonotonicInstant(nanoseconds: nanoseconds.withLock { $0 }) }

    var wall: ManualWallClock { ManualWallClock(clock: self) }
}

struct ManualWallClock: WallClock {
    let clock: ManualClock

    var now: UTCTimestamp {
        let passed = Int64(clock.now.microseconds) - 1_000_000
        return UTCTimestamp(microsecondsSince1970: ManualClock.start.microsecondsSince1970 + passed)
    }
}

/// Makes messages as the decision path numbers them.
struct MessageMaker {
    let session: SessionNumber
    private var sequences: [MessageKind: UInt64] = [:]

    init(session: SessionNumber = 1) { self.session = session }

    mutating func message(_ body: MessageBody, at time: UTCTimestamp = ManualClock.start) throws -> Message {
        let sequence = (sequences[body.kind] ?? 0) + 1
        sequences[body.kind] = sequence
        return Message(
            envelope: Envelope(
                station: try StationName("line1"), session: session, sequence: SequenceNumber(sequence), sentAt: time,
                sentMonotonicMicroseconds: sequence),
            body: body)
    }

    /// What the line says about one part: verdict, reject where it is one, result.
    mutating func part(
        _ id: UInt64, reason: Reason = .none, at time: UTCTimestamp = ManualClock.start
    ) throws -> [Message] {
        let verdict = Verdict(
            partID: PartID(id), triggerID: TriggerID(id), triggerSource: .everyFrame, capturedAt: time,
            capturedMonotonicMicroseconds: 1, timestampQuality: .file,
            disposition: reason == .none ? .accept : .reject, reason: reason, inspected: true,
            score: 0.1 + Double(id) / 3, threshold: 2.5, deadlineMonotonicMicroseconds: 3,
            latencyMicroseconds: 4, deadlineMarginMicroseconds: 5, framesUsed: 1, recipe: "tray \"ü\"",
            recipeRevision: 1, modelSHA256: "ab", mode: .production, simulated: false, consecutiveRejects: 0)
        let result = PartResult(
            verdict: verdict,
            details: PartResult.Details(
                picturable: BranchReport(raw: 1, mean: 2, deviation: 3, z: 1.5), unpicturable: nil,
                responsibleBranch: .picturable, regions: [], stageDurations: StageDurations(), frameIDs: [FrameID(id)],
                evidence: .off, late: false))
        let bodies: [MessageBody] = reason == .none ? [.verdict(verdict)] : [.verdict(verdict), .reject(verdict)]
        return try (bodies + [.result(result)]).map { try message($0, at: time) }
    }

    /// What the line says about several parts.
    mutating func parts(
        _ ids: ClosedRange<UInt64>, at time: UTCTimestamp = ManualClock.start,
        reason: (UInt64) -> Reason = { _ in .none }
    ) throws -> [Message] {
        var messages: [Message] = []
        for id in ids { messages += try part(id, reason: reason(id), at: time) }
        return messages
    }
}

extension JournalSessionFacts {
    static var test: JournalSessionFacts {
        get throws {
            JournalSessionFacts(
                station: try StationName("line1"), version: "1.2", modelSHA256: "ab", configurationSHA256: "cd")
        }
    }
}

let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// A small reserve, so that tests on small disks have room for one.
func smallSettings(_ change: (inout StationConfiguration.Journal) -> Void = { _ in }) -> StationConfiguration.Journal {
    var settings = StationConfiguration.Journal()
    settings.reserve = 256 << 10
    change(&settings)
    return settings
}

extension JournalStore {
    static func open(
        _ directory: String, reserve: Int, clock: ManualClock = ManualClock()
    ) throws -> JournalStore {
        try JournalStore(
            in: StationDirectory(taking: directory), facts: .test, settings: smallSettings { $0.reserve = reserve },
            clock: clock, wallClock: clock.wall, logger: silent)
    }
}

extension JournalWriter {
    /// A journal in a directory, as the daemon opens it.
    static func open(
        _ directory: String, settings: StationConfiguration.Journal = smallSettings(),
        mailbox: MailboxConfiguration = MailboxConfiguration(capacity: 1024, overflow: .dropOldest),
        clock: ManualClock = ManualClock()
    ) throws -> JournalWriter {
        try JournalWriter(
            in: StationDirectory(taking: directory), facts: .test, settings: settings, mailbox: mailbox, clock: clock,
            wallClock: clock.wall, logger: silent)
    }

    /// Waits for the health that is asked for, at most a minute.
    func waits(for condition: (JournalHealth) -> Bool) -> Bool {
        // The writer has nobody to tell, so this looks again and again.
        let never = Monitor(())
        let limit = SuspendingClock.now + .seconds(60)
        while SuspendingClock.now < limit {
            if condition(health) { return true }
            _ = never.wait(atMost: .milliseconds(10)) { _ in nil as Void? }
        }
        return false
    }
}

extension JournalReader {
    func entries(_ filter: JournalFilter = JournalFilter()) throws -> [JournalEntry] {
        var entries: [JournalEntry] = []
        try forEach(matching: filter) { entries.append($0) }
        return entries
    }
}
