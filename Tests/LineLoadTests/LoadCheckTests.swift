import Imaging
import InspectionProtocol
import Testing

@testable import LineLoad

@Suite struct LoadCheckTests {
    /// What a run of 40 parts leaves where nothing went wrong; the third part's messages came by replay.
    private static let right: LoadCheck = {
        let plan = LoadPlan(parts: 40, rate: 200)
        let start = MonotonicInstant(nanoseconds: 5_000_000_000)
        var kept = KeptMessages()
        var report = ReaderReport()
        func arrival(_ sequence: Int, _ part: Int) -> ReaderReport.Arrival {
            ReaderReport.Arrival(
                sequence: UInt64(sequence), partID: UInt64(part), arrivedMicroseconds: 0, isRecovered: part == 3)
        }
        for number in 0..<plan.parts {
            let part = number + 1
            let isBad = number % 20 == 7
            kept.verdicts.append(KeptMessages.Entry(sequence: UInt64(part), partID: UInt64(part)))
            kept.results.append(
                (UInt64(part), result(part, capturedAt: 5_000_000 + UInt64(number) * 5000, isBad ? .anomaly : .none)))
            report.verdicts.append(arrival(part, part))
            report.results.append(arrival(part, part))
            guard isBad else { continue }
            let sequence = kept.rejects.count + 1
            kept.rejects.append(KeptMessages.Entry(sequence: UInt64(sequence), partID: UInt64(part)))
            report.rejects.append(arrival(sequence, part))
        }
        return LoadCheck(plan: plan, start: start, kept: kept, healthy: report, stopped: report)
    }()

    private static func result(_ part: Int, capturedAt: UInt64, _ reason: Reason) -> PartResult {
        let verdict = Verdict(
            partID: PartID(UInt64(part)), triggerID: TriggerID(UInt64(part)), triggerSource: .everyFrame,
            capturedAt: nil,
            capturedMonotonicMicroseconds: capturedAt, timestampQuality: .hostArrival,
            disposition: reason == .none ? .accept : .reject, reason: reason, inspected: true, score: 0, threshold: 1,
            deadlineMonotonicMicroseconds: nil, latencyMicroseconds: 100, deadlineMarginMicroseconds: nil,
            framesUsed: 1,
            recipe: "default", recipeRevision: 1, modelSHA256: nil, mode: .production, simulated: false,
            consecutiveRejects: 0)
        return PartResult(
            verdict: verdict,
            details: PartResult.Details(
                picturable: nil, unpicturable: nil, responsibleBranch: nil, regions: nil,
                stageDurations: StageDurations(), frameIDs: [], evidence: .off, late: false))
    }

    @Test func aRunInWhichNothingWentWrongAgrees() {
        #expect(Self.right.disagreements == [])
    }

    /// Whatever may go wrong with one part is seen, and named.
    @Test(arguments: [
        Case("verdicts at the healthy subscriber: 1 missing") { $0.healthy.verdicts.remove(at: 5) },
        Case("verdicts at the healthy subscriber: 1 twice") { $0.healthy.verdicts.append($0.healthy.verdicts[2]) },
        Case("rejects at the stopped subscriber: 1 missing") { $0.stopped?.rejects.removeLast() },
        Case("results at the stopped subscriber: 1 missing") { $0.stopped?.results.removeFirst() },
        Case("verdicts at the stopped subscriber: 1 that are not in the journal") {
            $0.stopped?.verdicts[0].partID = 99
        },
        Case("lost for good at the stopped subscriber: verdict 4...4: gone") {
            $0.stopped?.lost.append("verdict 4...4: gone")
        },
        Case("verdicts in the journal: 39 instead of 40") { $0.kept.verdicts.removeLast() },
        Case("verdicts in the journal: a part twice") { $0.kept.verdicts[3].partID = 3 },
        Case("results in the journal: sequence numbers with holes or twice") { $0.kept.results[4].sequence = 7 },
        Case("the journal has results of other parts than verdicts") {
            $0.kept.results[9].result.verdict.partID = 77
        },
        Case("triggers in the journal are not 1 to 40, each once") {
            $0.kept.results[9].result.verdict.triggerID = 11
        },
        Case("part 8, trigger 8: accept/none") {
            $0.kept.results[7].result.verdict.reason = .none
            $0.kept.results[7].result.verdict.disposition = .accept
        },
        Case("part 9, trigger 9: reject/not_ready") {
            $0.kept.results[8].result.verdict.reason = .notReady
            $0.kept.results[8].result.verdict.disposition = .reject
        },
        Case("part 2 was captured at another time than trigger 2") {
            $0.kept.results[1].result.verdict.capturedMonotonicMicroseconds = 5_005_001
        },
    ])
    fileprivate func everyDisagreementIsNamed(wrong: Case) {
        var check = Self.right
        wrong.change(&check)
        #expect(check.disagreements.contains(wrong.name), "\(check.disagreements)")
    }

    /// A part that the machine was too slow for is no disagreement: it has its verdict.
    @Test func overloadIsCountedAndNotWrong() {
        var check = Self.right
        check.kept.results[0].result.verdict.reason = .late
        check.kept.results[0].result.verdict.disposition = .reject
        check.kept.rejects.append(KeptMessages.Entry(sequence: 3, partID: 1))
        let reject = ReaderReport.Arrival(sequence: 3, partID: 1, arrivedMicroseconds: 0, isRecovered: false)
        check.healthy.rejects.append(reject)
        check.stopped?.rejects.append(reject)
        #expect(check.disagreements == [])
    }
}

private struct Case: CustomStringConvertible, Sendable {
    let name: String
    let change: @Sendable (inout LoadCheck) -> Void

    init(_ name: String, _ change: @escaping @Sendable (inout LoadCheck) -> Void) {
        self.name = name
        self.change = change
    }

    var description: String { name }
}

@Suite struct DistributionTests {
    @Test func percentilesAreTheNearestRank() throws {
        let found = try #require(Distribution((1...1000).map { (part: $0, microseconds: Int64(1001 - $0)) }))
        #expect(found.p50 == 500 && found.p99 == 990 && found.p999 == 999)
        #expect(found.worst == 1000 && found.worstPart == 1 && found.count == 1000)
        let single = try #require(Distribution([(part: 7, microseconds: 3)]))
        #expect(single.p50 == 3 && single.p999 == 3 && single.worstPart == 7)
        #expect(Distribution([]) == nil)
    }
}
