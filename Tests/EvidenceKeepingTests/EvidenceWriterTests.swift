import AnomalyScoring
import Foundation
import Imaging
import InspectionProtocol
import InspectionRuntime
import Locking
import Testing

@testable import EvidenceKeeping

@Suite struct EvidenceWriterTests {
    let directory: TemporaryDirectory
    private let reports = Reports()

    init() throws { directory = try TemporaryDirectory() }

    private func evidence(of message: Message) throws -> Evidence {
        guard case .result(let result) = message.body else { throw NotAResult() }
        return result.details.evidence
    }

    private struct NotAResult: Error {}

    @Test func aPartIsQueuedAtOnceAndReportedWhenItIsOnTheDisk() throws {
        let writer = EvidenceWriter(
            in: directory.path, settings: smallSettings(), preprocessing: Preprocessing(), mapOptions: MapOptions(),
            logger: silent)
        writer.report(to: reports.add)
        let message = try result(of: 7, session: 2)
        let queued = writer.keep([PartPicture(frame: noisyFrame(), map: someMap)], with: message)
        #expect(try evidence(of: queued) == Evidence(path: "evidence/2/7", sha256: nil, state: .queued))
        #expect(queued.envelope == message.envelope)
        guard case .stored(7, "evidence/2/7", let digest)? = reports.wait(for: 1).first else {
            Issue.record("\(reports.wait(for: 1))")
            return
        }
        #expect(digest.count == 64)
        #expect(try checkSums(directory, session: 2) == ["7": true])
        // What is in the folder is what was published.
        #expect(try directory.bytes(of: "evidence/2/7/part.json") == queued.encoded())
        #expect(writer.counts == EvidenceCounts(stored: 1, dropped: 0) && !writer.isDegraded)
        writer.close()
    }

    /// The frame is the camera's until it is on the disk, and no longer.
    @Test func aFrameIsGivenBackWhenItIsWritten() throws {
        let pool = FramePool(capacity: 1)
        let writer = EvidenceWriter(
            in: directory.path, settings: smallSettings(), preprocessing: Preprocessing(), mapOptions: MapOptions(),
            logger: silent)
        writer.report(to: reports.add)
        for part: UInt64 in 1...5 {
            #expect(pool.waitForToken(timeout: .seconds(60)))
            let buffer = try #require(pool.makeBuffer(count: 8 * 8 * 3) { _ in })
            let frame = Frame(
                number: part, width: 8, height: 8, capturedAt: MonotonicInstant(nanoseconds: 1), pixels: buffer)
            _ = writer.keep([PartPicture(frame: frame)], with: try result(of: part))
        }
        writer.close()
        #expect(directory.names(in: "evidence/1") == ["1", "2", "3", "4", "5"])
    }

    @Test func whatASlowDiskDoesNotTakeIsDroppedAtOnceAndCounted() throws {
        let isHeld = Monitor(true)
        let entered = Monitor(0)
        let clock = ManualClock()
        let writer = EvidenceWriter(
            in: directory.path, settings: smallSettings { $0.queue = 2 }, clock: clock, wallClock: clock.wall,
            logger: silent,
            drawing: { _, _ throws(EvidenceFault) in
                entered.withLock { $0 += 1 }
                _ = isHeld.wait(atMost: .seconds(60)) { $0 ? nil : true }
                return files()
            })
        writer.report(to: reports.add)
        let pictures = [PartPicture(frame: noisyFrame())]
        func keep(_ part: UInt64) throws -> Evidence { try evidence(of: writer.keep(pictures, with: result(of: part))) }
        #expect(try keep(1).state == .queued)
        #expect(entered.wait(atMost: .seconds(60)) { $0 == 1 ? true : nil } == true)
        // One is being written, two wait.
        #expect(try [2, 3].map { try keep($0).state } == [.queued, .queued])
        #expect(!writer.isDegraded)
        let start = SuspendingClock.now
        for part: UInt64 in 4...10 {
            #expect(try keep(part) == Evidence(path: nil, sha256: nil, state: .dropped))
        }
        #expect(SuspendingClock.now - start < .seconds(10), "nobody waits for the disk")
        #expect(writer.counts == EvidenceCounts(stored: 0, dropped: 7))
        guard case .degraded(let degradation) = writer.health else {
            Issue.record("\(writer.health)")
            return
        }
        #expect(degradation.cause == .overload && degradation.dropped == 7)

        isHeld.withLock { $0 = false }
        #expect(reports.wait(for: 3).map(\.storedPart) == [1, 2, 3])
        // The flag stays for a person to see it.
        clock.advance(by: .seconds(9))
        #expect(try keep(11).state == .queued)
        _ = reports.wait(for: 4)
        #expect(writer.isDegraded)
        clock.advance(by: .seconds(1))
        #expect(eventually { !writer.isDegraded })
        writer.close()
        #expect(writer.counts == EvidenceCounts(stored: 4, dropped: 7))
        #expect(try keep(12).state == .dropped)
    }

    @Test func aDiskThatRefusesIsAFlagUntilItTakesPicturesAgain() throws {
        // A file where a directory should be, which root cannot write into either.
        let obstacle = directory.file("evidence")
        try Data().write(to: URL(filePath: obstacle))
        let writer = EvidenceWriter(
            in: directory.path, settings: smallSettings(), preprocessing: Preprocessing(), mapOptions: MapOptions(),
            logger: silent)
        writer.report(to: reports.add)
        // Without a single part.
        #expect(eventually { writer.isDegraded })
        let pictures = [PartPicture(frame: noisyFrame())]
        let dropped = try evidence(of: writer.keep(pictures, with: result(of: 1)))
        #expect(dropped.state == .dropped && dropped.path == nil)
        try FileManager.default.removeItem(atPath: obstacle)
        #expect(eventually { !writer.isDegraded })
        #expect(try evidence(of: writer.keep(pictures, with: result(of: 2))).state == .queued)
        writer.close()
        #expect(directory.names(in: "evidence/1") == ["2"])
        #expect(writer.counts == EvidenceCounts(stored: 1, dropped: 1))
    }

    @Test func aPartThatFailsAfterItWasQueuedIsReported() throws {
        let writer = EvidenceWriter(
            in: directory.path, settings: smallSettings { $0.size = 50_000 }, preprocessing: Preprocessing(),
            mapOptions: MapOptions(), logger: silent)
        writer.report(to: reports.add)
        _ = writer.keep([PartPicture(frame: noisyFrame(width: 200, height: 200))], with: try result(of: 1))
        guard case .dropped(1, "evidence/1/1", .tooLarge)? = reports.wait(for: 1).first else {
            Issue.record("\(reports.wait(for: 1))")
            return
        }
        #expect(writer.isDegraded)
        // The next one may be smaller.
        _ = writer.keep([PartPicture(frame: noisyFrame(width: 8, height: 8))], with: try result(of: 2))
        guard case .stored(2, _, _)? = reports.wait(for: 2).last else {
            Issue.record("\(reports.wait(for: 2))")
            return
        }
        writer.close()
    }
}

/// What the writer said, in order.
private final class Reports: Sendable {
    private let reports = Monitor<[EvidenceReport]>([])

    @Sendable func add(_ report: EvidenceReport) { reports.withLock { $0.append(report) } }

    /// All reports, once there are this many, or after a minute.
    func wait(for count: Int) -> [EvidenceReport] {
        reports.wait(atMost: .seconds(60)) { $0.count >= count ? $0 : nil } ?? reports.withLock { $0 }
    }
}

extension EvidenceReport {
    /// Nil for one that was dropped.
    fileprivate var storedPart: PartID? { if case .stored(let part, _, _) = self { part } else { nil } }
}

/// Both clocks, which go when a test says so.
private final class ManualClock: MonotonicClock {
    struct Wall: WallClock {
        let clock: ManualClock

        var now: UTCTimestamp { UTCTimestamp(microsecondsSince1970: Int64(clock.now.microseconds)) }
    }

    private let nanoseconds = Lock<UInt64>(1_000_000_000)

    func advance(by duration: Duration) { nanoseconds.withLock { $0 += UInt64(duration.nanoseconds) } }

    var now: MonotonicInstant { MonotonicInstant(nanoseconds: nanoseconds.withLock { $0 }) }
    var wall: Wall { Wall(clock: self) }
}

/// Looks again and again until it is so, at most a minute.
private func eventually(_ condition: () -> Bool) -> Bool {
    let never = Monitor(())
    let limit = SuspendingClock.now + .seconds(60)
    while SuspendingClock.now < limit {
        if condition() { return true }
        _ = never.wait(atMost: .milliseconds(10)) { _ in nil as Void? }
    }
    return false
}
