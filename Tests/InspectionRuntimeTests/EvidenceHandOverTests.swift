import Imaging
import InspectionProtocol
import Locking
import TensorKernels
import Testing

@testable import InspectionRuntime

/// Takes pictures as long as a test says so.
private final class StandInEvidence: EvidenceKeeper {
    private struct State {
        var kept: [(part: PartID, pictures: [PartPicture])] = []
        var isDegraded = false
    }

    private let state = Lock(State())

    var isDegraded: Bool { state.withLock { $0.isDegraded } }

    func degrade(_ isDegraded: Bool) { state.withLock { $0.isDegraded = isDegraded } }

    var kept: [(part: PartID, pictures: [PartPicture])] { state.withLock { $0.kept } }

    func keep(_ pictures: [PartPicture], with result: Message) -> Message {
        guard case .result(var part) = result.body else { preconditionFailure("evidence goes with a result") }
        part.details.evidence = state.withLock { state in
            if state.isDegraded { return Evidence(path: nil, sha256: nil, state: .dropped) }
            state.kept.append((part.verdict.partID, pictures))
            return Evidence(path: "evidence/1/\(part.verdict.partID)", sha256: nil, state: .queued)
        }
        return Message(envelope: result.envelope, body: .result(part))
    }
}

@Suite struct EvidenceHandOverTests {
    private let evidence = StandInEvidence()

    /// A picture of grey 50 is bad.
    private static func score(_ grey: Double) -> Double { abs(grey - 50) < 0.5 ? 9 : 0 }

    private func line(_ scorer: StandInScorer, budget: Duration = .seconds(30)) throws -> TestLine {
        try TestLine(scorer, pace: .live(budget: budget, capacity: 64), evidence: evidence)
    }

    private func firstPixel(_ picture: PartPicture) -> UInt8 { picture.frame.withPixels { $0[0] } }

    @Test func whatIsNotAcceptedIsHandedOverWithItsMap() throws {
        let line = try line(StandInScorer { Self.score($0.greyOfTheUpperHalf) })
        line.start(GeneratorSource([greyFrame(0), greyFrame(1, grey: 50), greyFrame(2)]))
        _ = try line.result()
        line.pipeline.shutDown()
        let results = line.log.results
        #expect(results.map(\.verdict.disposition) == [.accept, .reject, .accept])
        #expect(results.map(\.details.evidence.state) == [.off, .queued, .off])
        let part = results[1].verdict.partID
        #expect(results[1].details.evidence.path == "evidence/1/\(part)")
        #expect(evidence.kept.map(\.part) == [part])
        let pictures = try #require(evidence.kept.first).pictures
        #expect(pictures.map(firstPixel) == [50])
        #expect(pictures[0].map?.shape == [1, 4, 4])
    }

    /// What nothing was scored of has a frame and no map.
    @Test func aPartWithoutAScoreIsHandedOverWithItsFrame() throws {
        let line = try line(StandInScorer { _ in throw StandInScorer.Refusal() })
        line.start(GeneratorSource([greyFrame(0, flags: .corrupt), greyFrame(1)]))
        _ = try line.result()
        line.pipeline.shutDown()
        #expect(line.log.verdicts.map(\.reason) == [.corruptFrame, .modelOrRecipeInvalid])
        #expect(evidence.kept.map { $0.pictures.map(firstPixel) } == [[0], [1]])
        #expect(evidence.kept.allSatisfy { $0.pictures.allSatisfy { $0.map == nil } })
    }

    @Test func aPartThatAMailboxGaveUpIsHandedOverWithItsFrame() throws {
        let scorer = StandInScorer(held: true)
        var mailboxes = StationConfiguration.Mailboxes()
        mailboxes.score.capacity = 1
        let line = try TestLine(
            scorer, pace: .live(latencyBudget: .seconds(30), mailboxes: mailboxes), evidence: evidence)
        let source = PushedSource()
        line.start(source)
        source.push(greyFrame(0))
        #expect(scorer.waitUntilEntered(1))
        // One waits to be scored, and the next takes its place.
        for number in 1...2 { source.push(greyFrame(number)) }
        #expect(line.log.wait { $0.contains { $0.verdict?.reason == .overload } })
        scorer.release()
        source.stop()
        _ = try line.result()
        line.pipeline.shutDown()
        #expect(evidence.kept.map { $0.pictures.map(firstPixel) } == [[1]])
        #expect(evidence.kept.first?.pictures.first?.map == nil)
    }

    /// The verdict does not wait for the score, and the picture does.
    @Test func aLatePartIsHandedOverWhenItsScoreComes() throws {
        let scorer = StandInScorer(held: true)
        let line = try line(scorer, budget: .milliseconds(50))
        let source = PushedSource()
        line.start(source)
        source.push(greyFrame(0))
        #expect(line.log.wait { $0.contains { $0.verdict?.reason == .late } })
        #expect(evidence.kept.isEmpty && line.log.results.isEmpty)
        scorer.release()
        #expect(line.log.wait { $0.contains { $0.result != nil } })
        #expect(line.log.results.first?.details.late == true)
        #expect(line.log.results.first?.details.evidence.state == .queued)
        #expect(evidence.kept.first?.pictures.first?.map != nil)
        source.stop()
        _ = try line.result()
        line.pipeline.shutDown()
    }

    @Test func lossesAreAFlagAndStopNothing() throws {
        let line = try line(StandInScorer { Self.score($0.greyOfTheUpperHalf) })
        let source = PushedSource()
        line.start(source)
        source.push(greyFrame(0, grey: 50))
        #expect(line.log.wait { $0.contains { $0.result != nil } })
        evidence.degrade(true)
        #expect(line.log.wait { $0.contains { $0.flags == [.degradedEvidence] } })
        source.push(greyFrame(1, grey: 50))
        source.push(greyFrame(2))
        #expect(line.log.wait { $0.count { $0.result != nil } == 3 })
        #expect(line.log.results.map(\.details.evidence.state) == [.queued, .dropped, .off])
        #expect(line.log.verdicts.map(\.disposition) == [.reject, .reject, .accept])
        evidence.degrade(false)
        #expect(line.log.wait { $0.last { $0.flags != nil }?.flags == [] })
        source.stop()
        _ = try line.result()
        line.pipeline.shutDown()
    }

    /// The frame of an accepted part is the camera's again, and so are all frames where no evidence is kept.
    @Test(arguments: [true, false])
    func framesAreHeldNoLongerThanNeeded(keepsEvidence: Bool) throws {
        let pool = FramePool(capacity: 8)
        let scorer = StandInScorer(held: true)
        let line = try TestLine(
            scorer, pace: .live(budget: .seconds(30), capacity: 8), evidence: keepsEvidence ? evidence : nil)
        let source = PushedSource()
        line.start(source)
        for number: UInt64 in 0..<3 {
            let buffer = try #require(
                pool.makeBuffer(count: 8 * 8 * 3) { span in for i in span.indices { span[i] = UInt8(i) } })
            source.push(
                Frame(
                    number: number, width: 8, height: 8, capturedAt: SystemMonotonicClock().now, pixels: buffer))
        }
        #expect(scorer.waitUntilEntered(1))
        if keepsEvidence {
            #expect(pool.inUse == 3)
            scorer.release()
        }
        // Without evidence while they are still being scored.
        #expect(eventually { pool.inUse == 0 })
        scorer.release()
        source.stop()
        _ = try line.result()
        line.pipeline.shutDown()
        #expect(line.log.verdicts.count == 3)
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
}

extension Tensor {
    /// Of a picture by `greyFrame`, after ImageNet's normalisation.
    fileprivate var greyOfTheUpperHalf: Double { (Double(values[0]) * 0.229 + 0.485) * 255 }
}

extension Message {
    fileprivate var flags: [StateFlag]? { if case .state(let report) = body { report.flags } else { nil } }
}
