import AnomalyScoring
import Foundation
import Imaging
import InspectionProtocol
import Locking
import Logging
import TensorKernels

@testable import InspectionRuntime

/// A source of made-up pictures, as many as asked for, as fast as they are pulled.
final class GeneratorSource: FrameSource {
    struct Failure: Error, CustomStringConvertible {
        var description: String { "the camera was unplugged" }
    }

    let isLive: Bool
    private let frames: [Frame]
    private let failure: Failure?
    private let position = Lock(0)
    private let isStopped = Monitor(false)

    /// Whether the source waits for `stop` after its last frame, as a camera does.
    private let staysOpen: Bool

    init(_ frames: [Frame], isLive: Bool = true, staysOpen: Bool = false, failure: Failure? = nil) {
        self.frames = frames
        self.isLive = isLive
        self.staysOpen = staysOpen
        self.failure = failure
    }

    func next(timeout: Duration) throws -> FramePull {
        let index = position.withLock { position in
            defer { position += 1 }
            return position
        }
        if isStopped.withLock({ $0 }) { return .ended }
        if index < frames.count { return .frame(frames[index]) }
        if let failure { throw failure }
        guard staysOpen else { return .ended }
        return isStopped.wait(atMost: timeout) { $0 ? true : nil } == nil ? .timedOut : .ended
    }

    func stop() { isStopped.withLock { $0 = true } }
}

/// A picture of 8×8 pixels, captured now: the upper half in one grey, which is its number modulo 100, the lower half 150
/// brighter.
func greyFrame(
    _ number: Int, grey: UInt8? = nil, flags: Frame.Flags = [], at time: Duration? = nil,
    capturedAt: MonotonicInstant = SystemMonotonicClock().now
) -> Frame {
    let pixels = PixelBuffer(count: 8 * 8 * 3) { span in
        let grey = grey ?? UInt8(number % 100)
        for index in span.indices { span[index] = index < 96 ? grey : grey + 150 }
    }
    return Frame(
        number: UInt64(number), width: 8, height: 8, capturedAt: capturedAt, presentationTime: time, flags: flags,
        pixels: pixels)
}

func greyFrames(_ numbers: Range<Int>) -> [Frame] { numbers.map { greyFrame($0) } }

/// Scores a picture by a closure, and lets a test hold it up.
final class StandInScorer: PartScorer {
    struct Refusal: Error {}

    private let score: @Sendable (Tensor) throws -> Double
    private let isHeld: Monitor<Bool>
    private let entered = Monitor(0)

    init(held: Bool = false, _ score: @escaping @Sendable (Tensor) throws -> Double = { _ in 0 }) {
        isHeld = Monitor(held)
        self.score = score
    }

    func score(_ image: Tensor) throws -> RawScores {
        entered.withLock { $0 += 1 }
        _ = isHeld.wait(atMost: .seconds(60)) { $0 ? nil : true }
        return RawScores(
            picturable: try score(image), unpicturable: 0, map: Tensor(shape: [1, 4, 4], repeating: 0))
    }

    func release() { isHeld.withLock { $0 = false } }

    /// Waits until the scorer was given this many pictures.
    func waitUntilEntered(_ count: Int) -> Bool {
        entered.wait(atMost: .seconds(60)) { $0 >= count ? true : nil } ?? false
    }
}

/// Keeps every message.
final class MessageLog: InspectionOutput {
    private let messages = Monitor<[Message]>([])

    func send(_ message: Message) { messages.withLock { $0.append(message) } }

    func flush() {}

    var all: [Message] { messages.withLock { $0 } }
    var verdicts: [Verdict] { all.compactMap(\.verdict) }
    var events: [StationEvent] { all.compactMap(\.event) }
    var results: [PartResult] { all.compactMap(\.result) }
    var states: [InspectionState] {
        all.compactMap { if case .state(let report) = $0.body { report.state } else { nil } }
    }

    /// Waits until the log holds what is asked for.
    func wait(for condition: @Sendable ([Message]) -> Bool) -> Bool {
        messages.wait(atMost: .seconds(60)) { condition($0) ? true : nil } ?? false
    }
}

extension Message {
    var verdict: Verdict? { if case .verdict(let verdict) = body { verdict } else { nil } }
    var event: StationEvent? { if case .event(let event) = body { event } else { nil } }
    var health: HealthReport? { if case .health(let health) = body { health } else { nil } }
    var result: PartResult? { if case .result(let result) = body { result } else { nil } }
}

extension ScoreFusion {
    /// z equals the raw score, and 5 is the limit.
    static let plain = ScoreFusion(
        picturable: ZStatistics(mean: 0, deviation: 1), unpicturable: ZStatistics(mean: 0, deviation: 1),
        threshold: DecisionThreshold(value: 5, calibrationCount: 99, falseRejectBudget: 0.01))
}

/// A line with stand-ins around it, running on a thread of its own.
final class TestLine: Sendable {
    let log = MessageLog()
    let pipeline: InspectionPipeline
    private let outcome = Monitor<Result<RunSummary, RunFailure>?>(nil)

    init(
        _ scorer: any PartScorer, trigger: TriggerMode = .everyFrame, pace: InspectionPipeline.Pace,
        isLive: Bool = true,
        fusion: ScoreFusion = .plain, outputs: [any InspectionOutput] = [], record: (any RecordKeeper)? = nil,
        evidence: (any EvidenceKeeper)? = nil,
        configure: (inout InspectionPipeline.Configuration) -> Void = { _ in }
    ) throws {
        var configuration = InspectionPipeline.Configuration(
            station: try StationName("line1"), session: 1, recipe: "grey", trigger: trigger, pace: pace, isLive: isLive,
            version: "1")
        configure(&configuration)
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        pipeline = InspectionPipeline(
            configuration, model: InspectionPipeline.Model(scorer: scorer, fusion: fusion),
            partIDs: ConsecutivePartIDs(),
            outputs: [log] + outputs, record: record, evidence: evidence, logger: logger)
    }

    func start(_ source: any FrameSource) {
        Thread.detachNewThread { [self] in
            let result: Result<RunSummary, RunFailure>
            do throws(RunFailure) { result = .success(try pipeline.run(source)) } catch { result = .failure(error) }
            outcome.withLock { $0 = result }
        }
    }

    func keepRunning(_ open: @escaping @Sendable () throws -> any FrameSource) {
        Thread.detachNewThread { [self] in
            let summary = pipeline.keepRunning(open)
            outcome.withLock { $0 = .success(summary) }
        }
    }

    /// Waits for the end of the run.
    func result() throws -> Result<RunSummary, RunFailure> {
        guard let result = outcome.wait(atMost: .seconds(60), for: { $0 }) else { throw TimedOut() }
        return result
    }

    struct TimedOut: Error {}
}

extension InspectionPipeline.Pace {
    static func live(budget: Duration, capacity: Int = 4, _ overflow: OverflowPolicy = .dropOldest) -> Self {
        let mailbox = MailboxConfiguration(capacity: capacity, overflow: overflow)
        var mailboxes = StationConfiguration.Mailboxes()
        mailboxes.gate = mailbox
        mailboxes.preprocess = mailbox
        mailboxes.score = mailbox
        mailboxes.fuse = mailbox
        return .live(latencyBudget: budget, mailboxes: mailboxes)
    }
}

/// A live source that gives what a test pushes into it.
final class PushedSource: FrameSource {
    private struct Contents {
        var frames: [Frame] = []
        var isStopped = false
    }

    let isLive = true
    private let contents = Monitor(Contents())

    func push(_ frame: Frame) { contents.withLock { $0.frames.append(frame) } }

    func next(timeout: Duration) -> FramePull {
        contents.wait(atMost: timeout) { contents -> FramePull? in
            if !contents.frames.isEmpty { return .frame(contents.frames.removeFirst()) }
            return contents.isStopped ? .ended : nil
        } ?? .timedOut
    }

    func stop() { contents.withLock { $0.isStopped = true } }
}

extension Message {
    var state: InspectionState? { if case .state(let report) = body { report.state } else { nil } }
}

/// A camera that runs by itself: a frame every millisecond or so, made when it is due, until it is stopped.
final class FreeRunningSource: FrameSource {
    let isLive = true
    private let picture: @Sendable (Int) -> Frame?
    private let number = Lock(0)
    private let isStopped = Monitor(false)

    /// - Parameter picture: The frame of a number; nil where the camera loses it.
    init(_ picture: @escaping @Sendable (Int) -> Frame?) { self.picture = picture }

    func next(timeout: Duration) -> FramePull {
        while isStopped.wait(atMost: .milliseconds(1), for: { $0 ? true : nil }) == nil {
            let number = number.withLock { number in
                defer { number += 1 }
                return number
            }
            if let frame = picture(number) { return .frame(frame) }
        }
        return .ended
    }

    func stop() { isStopped.withLock { $0 = true } }
}

/// Marsaglia's 64-bit xorshift: the same numbers in every run.
struct SeededRandom: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = (seed &+ 1) &* 0x9E37_79B9_7F4A_7C15 }

    mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state
    }
}
