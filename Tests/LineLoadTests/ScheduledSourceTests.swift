import AnomalyScoring
import Imaging
import InspectionRuntime
import Testing

@testable import LineLoad

@Suite struct ScheduledSourceTests {
    private let clock = SystemMonotonicClock()

    private func frame(_ source: ScheduledSource) throws -> Frame {
        guard case .frame(let frame) = source.next(timeout: .seconds(10)) else { throw NoFrame() }
        return frame
    }

    private struct NoFrame: Error {}

    /// What the line was too slow to take is captured when it was due, and comes at once.
    @Test func aStallOfWhoeverTakesFramesDelaysNoCapture() throws {
        let plan = LoadPlan(parts: 5, rate: 10)
        let start = MonotonicInstant(nanoseconds: clock.now.nanoseconds - 1_000_000_000)
        let source = ScheduledSource(plan, start: start)
        for number in 0..<5 {
            let frame = try frame(source)
            #expect(frame.number == UInt64(number))
            #expect(frame.capturedAt == start.advanced(by: .milliseconds(100 * number)))
            #expect(source.lateness[number] >= .milliseconds(1000 - 100 * number))
        }
        guard case .ended = source.next(timeout: .zero) else { throw NoFrame() }
    }

    @Test func nothingComesBeforeItIsDue() throws {
        let source = ScheduledSource(
            LoadPlan(parts: 1, rate: 1), start: clock.now.advanced(by: .milliseconds(30)))
        guard case .timedOut = source.next(timeout: .milliseconds(1)) else { throw NoFrame() }
        let frame = try frame(source)
        #expect(clock.now >= frame.capturedAt)
    }

    /// Every twentieth part is bad, and the stand-in sees which one.
    @Test func theScorerFindsTheMarkAndNothingElse() throws {
        let scorer = MarkedPartScorer(duration: .zero)
        let source = ScheduledSource(LoadPlan(parts: 40, rate: 1e9), start: clock.now)
        for number in 0..<40 {
            let image = try Preprocessing().modelImage(of: try frame(source))
            #expect(ImageHealth(of: image).complaint(within: ImageHealth.Limits()) == nil)
            let score = try MarkedPartScorer.fusion.fuse(scorer.score(image.normalised()))
            #expect(score.isAnomalous == (number % 20 == 7), "part \(number)")
        }
    }
}
