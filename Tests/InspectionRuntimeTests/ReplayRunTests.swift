import Foundation
import InspectionProtocol
import Locking
import Logging
import Testing

@testable import InspectionRuntime

@Suite struct ReplayRunTests {
    private struct DiskFull: Error {}

    private func replay(
        _ source: GeneratorSource, outputs: [any InspectionOutput]
    ) throws -> Result<RunSummary, RunFailure> {
        let configuration = ReplayRun.Configuration(
            station: try StationName("replay"), trigger: .everyFrame, version: "1")
        let run = try ReplayRun(
            configuration,
            model: InspectionPipeline.Model(scorer: StandInScorer { Double($0.values[0]) * 6 }, fusion: .plain),
            outputs: outputs, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        do throws(RunFailure) { return .success(try run.run(source)) } catch { return .failure(error) }
    }

    @Test func theSameFramesGiveTheSameBytes() throws {
        let files = try (0..<2).map { _ in
            let bytes = Lock<[UInt8]>([])
            let writer = PartResultWriter { result in
                let line = try VerdictFileLine(result).encoded() + [UInt8(ascii: "\n")]
                bytes.withLock { $0 += line }
            }
            let summary = try replay(GeneratorSource(greyFrames(0..<40), isLive: false), outputs: [writer]).get()
            try writer.checkWritten()
            #expect(summary.parts.seen == 40)
            return bytes.withLock { $0 }
        }
        #expect(!files[0].isEmpty)
        #expect(files[0] == files[1])
    }

    @Test func everyVerdictIsSimulatedAndNumberedFromOne() throws {
        let log = MessageLog()
        _ = try replay(GeneratorSource(greyFrames(0..<10), isLive: false), outputs: [log]).get()
        #expect(log.verdicts.map(\.partID.value) == Array(1...10))
        #expect(log.verdicts.allSatisfy { $0.simulated && $0.mode == .replay })
    }

    @Test func aSourceThatFailsKeepsWhatWasSeen() throws {
        let log = MessageLog()
        let result = try replay(
            GeneratorSource(greyFrames(0..<10), isLive: false, failure: GeneratorSource.Failure()), outputs: [log])
        guard case .failure(let failure) = result else {
            Issue.record("a failing source ended the replay as if all were well")
            return
        }
        #expect(failure.summary.parts.seen == 10)
        #expect(log.verdicts.count == 10)
        #expect(failure.description.contains("unplugged"))
    }

    @Test func anErrorOfTheWriterIsReportedAndStopsTheWriting() throws {
        let calls = Lock(0)
        let writer = PartResultWriter { _ in
            let call = calls.withLock { calls in
                calls += 1
                return calls
            }
            if call == 3 { throw DiskFull() }
        }
        _ = try replay(GeneratorSource(greyFrames(0..<10), isLive: false), outputs: [writer]).get()
        #expect(throws: DiskFull.self) { try writer.checkWritten() }
        #expect(calls.withLock { $0 } == 3)
    }
}
