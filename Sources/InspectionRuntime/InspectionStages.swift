import AnomalyScoring
import Imaging
import InspectionProtocol
import Locking
import TensorKernels

/// The stages between capture and decision: every frame that comes in is scored or counted by cause, and every part that
/// is opened at the desk is finished there exactly once.
final class InspectionStages: Sendable {
    /// What the thread that pulls frames knows about its stream.
    private struct Stream {
        var counts = FrameCounts()
        var nextNumber: UInt64 = 0

        /// Why the gate cannot go on.
        var failure: (any Error)?
    }

    private let stream: Lock<Stream>
    private let gate: Lock<PartGate>
    private let desk: DecisionDesk
    private let gating: Stage<Frame>
    private let preprocessing: Stage<PartFrame>
    private let scoring: Stage<PartInput>
    private let fusing: Stage<PartScores>

    /// - Parameter staleAfter: The age beyond which a frame is not looked at any more; nil where age means nothing.
    init(
        model: InspectionPipeline.Model, gate: consuming PartGate, staleAfter: Duration?,
        mailboxes: StationConfiguration.Mailboxes, keepsPictures: Bool, desk: DecisionDesk, clock: any MonotonicClock
    ) {
        let stream = Lock(Stream())
        let gate = Lock(gate)
        @Sendable func overload(_ view: PartView, _ durations: StageDurations, _ picture: PartPicture?) {
            stream.withLock { $0.counts.discarded += 1 }
            desk.finish(view, .unscored(.overload), durations: durations, picture: picture)
        }
        // Last stage first, because each one holds on to the next.
        let fusing = Stage<PartScores>("beltwatch.fuse", mailbox: mailboxes.fuse, clock: clock) { job in
            Self.fuse(job, model.fusion, stream, desk, clock)
        } discard: {
            overload($0.view, $0.durations, $0.picture)
        }
        let scoring = Stage<PartInput>("beltwatch.score", mailbox: mailboxes.score, clock: clock) { job in
            Self.score(job, model.scorer, stream, desk, clock, next: fusing)
        } discard: {
            overload($0.view, $0.durations, $0.picture)
        }
        let preprocessing = Stage<PartFrame>("beltwatch.preprocess", mailbox: mailboxes.preprocess, clock: clock) {
            job in
            Self.preprocess(job, model, keepsPictures, stream, desk, clock, next: scoring)
        } discard: {
            overload($0.view, StageDurations(), keepsPictures ? PartPicture(frame: $0.frame) : nil)
        }
        gating = Stage<Frame>("beltwatch.gate", mailbox: mailboxes.gate, clock: clock) { frame in
            let isStale = staleAfter.map { frame.capturedAt.duration(to: clock.now) > $0 } ?? false
            Self.admit(frame, isStale: isStale, keepsPictures, gate, stream, desk, next: preprocessing)
        } discard: { _ in
            // The gate notices by the number that does not come.
            stream.withLock { $0.counts.discarded += 1 }
            desk.remark("frame discarded: the mailbox of the gate is full")
        }
        self.stream = stream
        self.gate = gate
        self.desk = desk
        self.preprocessing = preprocessing
        self.scoring = scoring
        self.fusing = fusing
    }

    var frameCounts: FrameCounts { stream.withLock { $0.counts } }

    var progress: [StageProgress] { [gating.progress, preprocessing.progress, scoring.progress, fusing.progress] }

    /// Takes in the next frame of the stream.
    ///
    /// - Throws: What went wrong at the gate with an earlier frame.
    func take(_ frame: Frame) throws {
        stream.withLock { stream in
            stream.counts.received += 1
            if frame.number >= stream.nextNumber {
                stream.counts.lost += Int(clamping: frame.number - stream.nextNumber)
                stream.nextNumber = frame.number &+ 1
            }
        }
        desk.sawFrame(capturedAt: frame.capturedAt)
        gate.withLock { $0.expect(frame.number) }
        gating.submit(frame)
        try checkGate()
    }

    /// - Throws: What went wrong at the gate with an earlier frame.
    func checkGate() throws {
        if let failure = stream.withLock({ $0.failure }) { throw failure }
    }

    /// Another stream begins, numbered from 0, now that the one before has drained.
    func beginStream() {
        stream.withLock { stream in
            stream.nextNumber = 0
            stream.failure = nil
        }
        gate.withLock { $0.beginStream() }
    }

    /// No frame comes after this. Parts whose frames were given up at the very end are answered.
    ///
    /// - Parameter limit: How long the gate may take to come to the last frame.
    func endStream(limit: Duration) throws {
        gating.drain(limit: limit)
        try checkGate()
        let next = stream.withLock { $0.nextNumber }
        for (part, cause) in try gate.withLock({ try $0.end(before: next) }) {
            desk.open(part, outcome: .unscored(cause))
        }
    }

    /// Waits until every frame went all the way.
    ///
    /// - Parameter limit: For each stage.
    func drain(limit: Duration) {
        gating.drain(limit: limit)
        preprocessing.drain(limit: limit)
        scoring.drain(limit: limit)
        fusing.drain(limit: limit)
    }
}

/// A frame that is a part, on its way to preprocessing.
private struct PartFrame: Sendable {
    var view: PartView
    var frame: Frame
}

/// A network input, on its way to the scorer.
private struct PartInput: Sendable {
    var view: PartView
    var input: Tensor

    /// Where in the source the input lies.
    var region: RegionOfInterest
    var durations: StageDurations

    /// Nil where none are kept, so that the frame is free again.
    var picture: PartPicture?
}

/// Raw scores, on their way to fusion.
private struct PartScores: Sendable {
    var view: PartView
    var scores: RawScores
    var region: RegionOfInterest
    var durations: StageDurations

    /// Nil where none are kept, so that the frame is free again.
    var picture: PartPicture?
}

// What each stage does with one element.
extension InspectionStages {
    private static func admit(
        _ frame: Frame, isStale: Bool, _ keepsPictures: Bool, _ gate: Lock<PartGate>, _ stream: Lock<Stream>,
        _ desk: DecisionDesk, next: Stage<PartFrame>
    ) {
        do {
            // After a failure nobody knows which frame is which part.
            if let failure = stream.withLock({ $0.failure }) { throw failure }
            let admission = try gate.withLock { try $0.see(frame) }
            if let (part, cause) = admission.ended { desk.close(part, cause) }
            for (part, cause) in admission.framelessParts { desk.open(part, outcome: .unscored(cause)) }
            let stalePicture = isStale && keepsPictures ? PartPicture(frame: frame) : nil
            let view: PartView?
            switch admission.shows {
            case nil: view = nil
            case .newPart(let part):
                // A stale frame is answered for what it is before its deadline, which has passed, is looked at.
                desk.open(part, outcome: isStale ? .unscored(.staleFrame) : nil, picture: stalePicture)
                view = PartView(part: part.id, index: 0)
            case .part(let part): view = desk.admit(FrameFacts(frame), to: part)
            case .triggered(let loss): view = desk.claim(FrameFacts(frame), after: loss)
            }
            guard let view else { return stream.withLock { $0.counts.notTriggered += 1 } }
            if isStale {
                stream.withLock { $0.counts.stale += 1 }
                if case .newPart = admission.shows { return }
                return desk.finish(view, .unscored(.staleFrame), picture: stalePicture)
            }
            next.submit(PartFrame(view: view, frame: frame))
        } catch {
            stream.withLock { stream in
                stream.counts.failed += 1
                stream.failure = error
            }
        }
    }

    private static func preprocess(
        _ job: PartFrame, _ model: InspectionPipeline.Model, _ keepsPictures: Bool, _ stream: Lock<Stream>,
        _ desk: DecisionDesk, _ clock: any MonotonicClock, next: Stage<PartInput>
    ) {
        let start = clock.now
        var durations = StageDurations()
        let frame = job.frame
        let picture = keepsPictures ? PartPicture(frame: frame) : nil
        if frame.flags.contains(.corrupt) {
            stream.withLock { $0.counts.corrupt += 1 }
            desk.remark("frame is marked corrupt")
            return desk.finish(job.view, .unscored(.corruptFrame), durations: durations, picture: picture)
        }
        do {
            let image = try model.preprocessing.modelImage(of: frame)
            if let complaint = ImageHealth(of: image).complaint(within: model.healthLimits) {
                stream.withLock { $0.counts.unhealthy += 1 }
                desk.remark("picture cannot be judged: it is \(complaint.rawValue)")
                return desk.finish(job.view, .unscored(.imageHealth), durations: durations, picture: picture)
            }
            let input = image.normalised()
            durations.preprocess = start.duration(to: clock.now).microseconds
            let whole = RegionOfInterest(x: 0, y: 0, width: frame.width, height: frame.height)
            next.submit(
                PartInput(
                    view: job.view, input: input, region: model.preprocessing.region ?? whole, durations: durations,
                    picture: picture))
        } catch {
            fail(job.view, "preprocessing failed: \(error)", durations, picture, stream, desk)
        }
    }

    private static func score(
        _ job: PartInput, _ scorer: any PartScorer, _ stream: Lock<Stream>, _ desk: DecisionDesk,
        _ clock: any MonotonicClock, next: Stage<PartScores>
    ) {
        let start = clock.now
        var durations = job.durations
        do {
            let scores = try scorer.score(job.input)
            // The branches share their networks and are measured as one.
            durations.picturable = start.duration(to: clock.now).microseconds
            var picture = job.picture
            picture?.map = scores.map
            next.submit(
                PartScores(
                    view: job.view, scores: scores, region: job.region, durations: durations, picture: picture))
        } catch {
            fail(job.view, "scoring failed: \(error)", durations, job.picture, stream, desk)
        }
    }

    private static func fuse(
        _ job: PartScores, _ fusion: ScoreFusion, _ stream: Lock<Stream>, _ desk: DecisionDesk,
        _ clock: any MonotonicClock
    ) {
        let start = clock.now
        var durations = job.durations
        do {
            let fused = try fusion.fuse(job.scores)
            let regions = AnomalousRegion.find(in: job.scores.map, showing: job.region, above: fusion.mapLimit)
            durations.fuse = start.duration(to: clock.now).microseconds
            stream.withLock { $0.counts.scored += 1 }
            desk.finish(job.view, .scored(fused, regions: regions), durations: durations, picture: job.picture)
        } catch {
            fail(job.view, "fusion failed: \(error)", durations, job.picture, stream, desk)
        }
    }

    /// Rejects a part that the model, or what it needs, gave no score for.
    private static func fail(
        _ view: PartView, _ remark: String, _ durations: StageDurations, _ picture: PartPicture?,
        _ stream: Lock<Stream>, _ desk: DecisionDesk
    ) {
        stream.withLock { $0.counts.failed += 1 }
        desk.remark(remark)
        desk.finish(view, .unscored(.modelOrRecipeInvalid), durations: durations, picture: picture)
    }
}
