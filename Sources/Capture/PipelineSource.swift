import CGStreamer
import Imaging
import Locking

/// Frames from a GStreamer pipeline: a camera, a network stream, a recording, a test pattern.
///
/// The pipeline is written as a gst-launch text up to where the frames are (`PipelineText` says how it is completed).
/// It starts with the first call of `next`. One size per stream: a change is an error and not a silent rescale.
///
/// A source that is not live loses nothing: while nobody pulls, or no token is free, the pipeline waits. A live source
/// cannot wait, so its bounded queue drops the oldest frame; each one leaves a gap in the numbers, the next frame carries
/// `.discontinuity`, and `droppedFrames` counts them.
public final class PipelineSource: FrameSource {
    public struct Configuration: Hashable, Sendable {
        /// Whether the frames are happening now. Decides what a full queue does, what `capturedAt` means, and whether
        /// the end of the stream is checked against the duration that a container states.
        public var isLive: Bool

        /// Whether a source that is not live delivers at the pace of its time stamps instead of as fast as it is asked.
        public var keepsTime = false

        /// How many frames wait for `next` at most, at one frame's memory each. More rides out longer pauses of the
        /// puller; fewer means that what is pulled after a pause is newer.
        public var queueCapacity = 4

        /// How long the pipeline may take to start before that is an error: the answer of a driver or a server, or the
        /// first frame of a recording. Also how long a recording that is not held to its pace may give nothing.
        public var answerLimit: Duration = .seconds(10)

        public init(isLive: Bool) { self.isLive = isLive }
    }

    /// What the one thread that pulls has seen so far.
    private struct Reading {
        var startedAt: MonotonicInstant?
        var isOver = false
        /// Since when the pipeline owes a frame: there was a token for it.
        var askingSince: MonotonicInstant?
        /// A sample that found no token.
        var waiting: Sample?
        var size: PixelSize?
        var expectedNumber: UInt64 = 0
        var deliveredFrames: UInt64 = 0
        var statedDuration: Duration?
        /// What an element reported while frames were still there.
        var failure: CaptureError?
        /// Where the stream ended so far, after the last frame.
        var reached: Duration = .zero
    }

    public var isLive: Bool { configuration.isLive }

    private let configuration: Configuration
    private let pool: FramePool
    private let pipeline: Pipeline
    private let sink: SampleSink
    /// Names the source in errors: the user's text, or a file.
    private let name: String
    private let file: RecordingFile?
    // Held by `next` while it waits, so `stop` has a flag of its own.
    private let reading = Lock(Reading())
    private let isStopped = Lock(false)
    private let dropped = Lock<UInt64>(0)

    /// How long one wait lasts before the flag and the bus are looked at again.
    private static let slice: Duration = .milliseconds(50)

    /// How long the elements may take to let go of their devices before they are left behind.
    private static let stopLimit: Duration = .seconds(2)

    /// Parses the pipeline; nothing runs yet.
    ///
    /// - Parameters:
    ///   - text: A gst-launch text, as `PipelineText` describes it.
    ///   - pool: Bounds the frames in the system. A frame is pulled once a token is free.
    public convenience init(
        pipeline text: String, pool: FramePool, configuration: Configuration
    ) throws(CaptureError) {
        try self.init(
            pipeline: text, name: "the pipeline", file: nil, pool: pool, configuration: configuration, prepare: { _ in }
        )
    }

    /// - Parameters:
    ///   - name: Names the source in errors.
    ///   - file: The recording that the pipeline plays, where there is one.
    ///   - prepare: Sets properties that do not fit into a text, such as paths.
    init(
        pipeline text: String, name: String, file: RecordingFile?, pool: FramePool, configuration: Configuration,
        prepare: (Pipeline) -> Void
    ) throws(CaptureError) {
        precondition(configuration.queueCapacity > 0, "a queue holds at least one frame")
        self.configuration = configuration
        self.pool = pool
        self.name = name
        self.file = file
        pipeline = try Pipeline(parsing: PipelineText.endingInSink(text), shownText: text)
        if configuration.isLive, let player = pipeline.fileSource { throw .recordingIsNotLive(element: player) }
        prepare(pipeline)
        sink = try SampleSink(
            of: pipeline, capacity: configuration.queueCapacity, dropsOldest: configuration.isLive,
            keepsTime: configuration.keepsTime && !configuration.isLive, text: text)
    }

    deinit { stop() }

    /// Says whether a text is a pipeline that could be started on this machine; touches no device.
    ///
    /// - Throws: `CaptureError`; also where a pipeline that is to be live plays a file.
    public static func check(pipeline text: String, isLive: Bool = false) throws(CaptureError) {
        _ = try PipelineSource(
            pipeline: text, pool: FramePool(capacity: 1), configuration: Configuration(isLive: isLive))
    }

    /// Frames that the live queue dropped because nobody pulled in time, as far as later frames have shown.
    public var droppedFrames: UInt64 { dropped.withLock { $0 } }

    /// The next frame, waiting for it and for a free token at most `timeout`.
    ///
    /// - Throws: `CaptureError`; afterwards the source has ended.
    public func next(timeout: Duration) throws -> FramePull {
        try reading.withLock { reading throws(CaptureError) in
            if reading.isOver { return .ended }
            do throws(CaptureError) {
                let pulled = try pull(timeout: timeout, &reading)
                if case .ended = pulled { finish(&reading) }
                return pulled
            } catch {
                // Whoever stops a source has no use for what its elements say to that.
                let wasStopped = isStopped.withLock { $0 }
                finish(&reading)
                if wasStopped { return .ended }
                if case .truncated = error { throw error }
                // What a demuxer says about a part of a file is beside the point.
                if let file { try file.check(deliveredFrames: reading.deliveredFrames) }
                throw error
            }
        }
    }

    public func stop() {
        let isFirst = isStopped.withLock { isStopped in
            defer { isStopped = true }
            return !isStopped
        }
        // This also wakes a puller. A pipeline that does not let go stays behind.
        if isFirst { try? pipeline.change(to: .stopped, within: Self.stopLimit) }
    }

    private func finish(_ reading: inout Reading) {
        reading.isOver = true
        reading.waiting = nil
        stop()
    }

    private func pull(timeout: Duration, _ reading: inout Reading) throws(CaptureError) -> FramePull {
        let deadline = MonotonicInstant.now.advanced(by: timeout)
        try startOnce(&reading)
        while !isStopped.withLock({ $0 }) {
            let wait = min(max(MonotonicInstant.now.duration(to: deadline), .zero), Self.slice)
            if pool.waitForToken(timeout: wait) {
                if let sample = reading.waiting ?? sink.pull(atMost: wait) {
                    reading.waiting = sample
                    reading.askingSince = nil
                    // Also while frames come, or what elements have to say piles up on the bus. Frames that are already
                    // there go before an error.
                    reading.failure = reading.failure ?? pipeline.takeError()
                    if let frame = try frame(from: sample, &reading) {
                        reading.waiting = nil
                        return .frame(frame)
                    }
                } else if let error = reading.failure ?? pipeline.takeError() {
                    throw error
                } else if sink.isAtEnd {
                    // Stopping ends the stream too, but not orderly.
                    if !isStopped.withLock({ $0 }) { try checkEnd(reading) }
                    return .ended
                } else {
                    try checkStart(reading)
                    try checkProgress(&reading)
                }
            }
            if MonotonicInstant.now >= deadline { return .timedOut }
        }
        return .ended
    }

    private func startOnce(_ reading: inout Reading) throws(CaptureError) {
        guard reading.startedAt == nil, !isStopped.withLock({ $0 }) else { return }
        reading.startedAt = .now
        try pipeline.change(to: .playing, within: configuration.answerLimit)
        // A `stop` in between has asked for the other state before us.
        if isStopped.withLock({ $0 }) { try pipeline.change(to: .stopped, within: Self.stopLimit) }
    }

    /// Without a first frame, a pipeline that is not live does not reach its state.
    private func checkStart(_ reading: Reading) throws(CaptureError) {
        guard reading.size == nil, let startedAt = reading.startedAt,
            startedAt.duration(to: .now) > configuration.answerLimit, pipeline.isChangingState
        else { return }
        throw .stateChangeTimedOut(state: "PLAYING", limit: configuration.answerLimit)
    }

    /// Some demuxers never find the end of a damaged file, and say nothing.
    private func checkProgress(_ reading: inout Reading) throws(CaptureError) {
        guard !configuration.isLive, !configuration.keepsTime else { return }
        let since = reading.askingSince ?? .now
        reading.askingSince = since
        if since.duration(to: .now) > configuration.answerLimit {
            throw .stalled(source: name, limit: configuration.answerLimit)
        }
    }

    /// The end of a stream alone is no success: a truncated recording ends just as orderly.
    private func checkEnd(_ reading: Reading) throws(CaptureError) {
        if let expected = reading.statedDuration, expected - reading.reached > Self.durationTolerance {
            throw .truncated(source: name, expectedDuration: expected, deliveredDuration: reading.reached)
        }
        if let file { try file.check(deliveredFrames: reading.deliveredFrames) }
        if reading.size == nil { throw .noFrames(source: name) }
    }

    /// How much earlier than stated the pictures may end: a sound track beside them may be this much longer.
    private static let durationTolerance: Duration = .milliseconds(250)

    /// Makes the frame, or returns nil while there is no token for it.
    private func frame(from sample: Sample, _ reading: inout Reading) throws(CaptureError) -> Frame? {
        let number = sample.number
        guard let size = sample.size else { throw .unreadableFrame(caps: sample.caps, frameNumber: number) }
        if let before = reading.size, before != size {
            throw .sizeChanged(from: before, to: size, frameNumber: number)
        }
        guard let pixels = try sample.copyPixels(into: pool.makeBuffer(count:fill:)) else { return nil }

        let isFirst = reading.size == nil
        if isFirst, !isLive { reading.statedDuration = pipeline.statedDuration }
        reading.size = size
        let lost = number - reading.expectedNumber
        reading.expectedNumber = number + 1
        reading.deliveredFrames += 1
        if lost > 0 { dropped.withLock { $0 += lost } }
        var flags = sample.flags
        // Every stream begins with the mark, but nothing is missing before a first frame.
        if isFirst { flags.remove(.discontinuity) }
        if lost > 0 { flags.insert(.discontinuity) }
        let streamTime = sample.streamTime
        if let streamTime { reading.reached = max(reading.reached, streamTime + (sample.duration ?? .zero)) }
        return Frame(
            number: number, width: size.width, height: size.height, capturedAt: captureTime(of: sample),
            presentationTime: streamTime, flags: flags, pixels: pixels)
    }

    /// When the shutter closed: base time and running time for a live source, else the arrival here.
    private func captureTime(of sample: Sample) -> MonotonicInstant {
        let now = MonotonicInstant.now
        guard isLive, let runningTime = sample.runningTime else { return now }
        let baseTime = MonotonicInstant(nanoseconds: UInt64(gst_element_get_base_time(pipeline.element)))
        // A jitter buffer smooths time stamps, sometimes into the future, where no shutter has closed yet.
        return min(baseTime.advanced(by: runningTime), now)
    }
}
