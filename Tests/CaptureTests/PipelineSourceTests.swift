import Dispatch
import Foundation
import Imaging
import Testing

@testable import Capture

@Suite struct PipelineSourceTests {
    @Test func rowsArriveWithoutTheirPadding() throws {
        // 642 · 3 = 1926 bytes, which GStreamer pads to 1928.
        let frames = try PipelineSource.offline(
            "videotestsrc num-buffers=1 pattern=solid-color foreground-color=0xff102030"
                + " ! video/x-raw,format=RGB,width=642,height=5"
        ).pullAll()
        try #require(frames.count == 1)
        #expect(frames[0].width == 642 && frames[0].height == 5)
        #expect(frames[0].pixels == (0..<642 * 5).flatMap { _ in [0x10, 0x20, 0x30] as [UInt8] })
    }

    @Test func framesAreNumberedAndTimedWithoutGaps() throws {
        let before = MonotonicInstant.now
        let frames = try PipelineSource.offline("videotestsrc num-buffers=10 ! video/x-raw,framerate=25/1").pullAll()
        #expect(frames.map(\.number) == Array(0..<10))
        #expect(frames.map(\.presentationTime) == (0..<10).map { .milliseconds(40 * $0) })
        #expect(frames.allSatisfy { $0.flags.isEmpty })
        let moments = frames.map(\.capturedAt)
        #expect(moments == moments.sorted() && before <= moments[0] && moments[9] <= .now)
    }

    @Test func aFinishedSourceStaysFinished() throws {
        let source = try PipelineSource.offline("videotestsrc num-buffers=1")
        #expect(try source.pullAll().count == 1)
        #expect(try source.next(timeout: .zero).isEnded)
    }

    @Test func aPoolWithoutTokensHoldsBackFramesAndLosesNone() throws {
        let source = try PipelineSource.offline("videotestsrc num-buffers=8", tokens: 1)
        var held = try source.next(timeout: .seconds(10)).frame
        #expect(held?.number == 0)
        #expect(try source.next(timeout: .milliseconds(20)).isTimedOut)
        held = nil
        #expect(try source.pullAll().map(\.number) == Array(1..<8))
        #expect(source.droppedFrames == 0)
    }

    @Test func aLiveSourceDropsTheOldestAndShowsItInTheNumbers() throws {
        var configuration = PipelineSource.Configuration(isLive: true)
        configuration.queueCapacity = 2
        let source = try PipelineSource(
            pipeline: "videotestsrc is-live=true num-buffers=30 ! video/x-raw,width=64,height=64,framerate=100/1",
            pool: FramePool(capacity: 1), configuration: configuration)
        var held = try source.next(timeout: .seconds(10)).frame
        #expect(held?.number == 0 && held?.flags.isEmpty == true)
        // The first frame keeps the only token until all others have come: 29 arrive and 2 find room.
        #expect(try source.next(timeout: .milliseconds(800)).isTimedOut)
        held = nil
        let rest = try source.pullAll()
        #expect(rest.map(\.number) == [28, 29])
        #expect(rest.map { $0.flags.contains(.discontinuity) } == [true, false])
        #expect(source.droppedFrames == 27)
    }

    @Test func aFileIsNeverLive() throws {
        for text in ["filesrc name=disk location=a.mkv ! decodebin", "multifilesrc name=disk location=%d.png ! pngdec"]
        {
            #expect(throws: CaptureError.recordingIsNotLive(element: "disk")) {
                try PipelineSource.check(pipeline: text, isLive: true)
            }
            try PipelineSource.check(pipeline: text)
        }
        try PipelineSource.check(pipeline: "v4l2src device=/dev/no-such-camera", isLive: true)
    }

    @Test func aLiveFrameCarriesTheMomentItWasTaken() throws {
        let before = MonotonicInstant.now
        let source = try PipelineSource(
            pipeline: "videotestsrc is-live=true num-buffers=5 ! video/x-raw,framerate=50/1",
            pool: FramePool(capacity: 8), configuration: .init(isLive: true))
        let moments = try source.pullAll().map(\.capturedAt)
        try #require(moments.count == 5)
        #expect(before <= moments[0] && moments[4] <= .now)
        // The test source stamps frames exactly 20 ms apart, whenever they arrive here; only the clamp to the arrival
        // may shorten a distance.
        #expect(zip(moments, moments.dropFirst()).allSatisfy { $0.duration(to: $1) <= .milliseconds(21) })
        #expect(moments[0].duration(to: moments[4]) >= .milliseconds(70))
    }

    @Test func aRecordingCanBeHeldToItsPace() throws {
        var configuration = PipelineSource.Configuration(isLive: false)
        configuration.keepsTime = true
        let source = try PipelineSource(
            pipeline: "videotestsrc num-buffers=6 ! video/x-raw,framerate=50/1", pool: FramePool(capacity: 8),
            configuration: configuration)
        let moments = try source.pullAll().map(\.capturedAt)
        #expect(moments.count == 6)
        #expect(try #require(moments.first).duration(to: #require(moments.last)) >= .milliseconds(80))
    }

    @Test func anElementThatFailsIsNamedWithItsReason() throws {
        let (frames, error) = try PipelineSource.offline(
            "filesrc name=recording location=/nonexistent/a.mkv ! decodebin"
        )
        .pullUntilError()
        #expect(frames.isEmpty)
        guard case .elementFailed(let element, let reason, let detail) = error as? CaptureError else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(element == "recording")
        #expect(reason == "Resource not found." && detail?.contains("/nonexistent/a.mkv") == true)
    }

    @Test func framesBeforeAnErrorAreDelivered() throws {
        let (frames, error) = try PipelineSource.offline("videotestsrc ! identity name=cable error-after=4")
            .pullUntilError()
        #expect(frames.count == 3)
        guard case .elementFailed(let element, _, _) = error as? CaptureError else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(element == "cable")
    }

    @Test func aChangeOfSizeIsAnError() throws {
        let (frames, error) = try PipelineSource.offline(
            "videotestsrc num-buffers=3 ! video/x-raw,width=320,height=240 ! c. "
                + "videotestsrc num-buffers=3 ! video/x-raw,width=640,height=480 ! c. concat name=c"
        ).pullUntilError()
        #expect(frames.count == 3)
        #expect(
            error as? CaptureError
                == .sizeChanged(
                    from: PixelSize(width: 320, height: 240), to: PixelSize(width: 640, height: 480), frameNumber: 3))
    }

    @Test func aStreamWithoutFramesIsAnError() throws {
        #expect(throws: CaptureError.noFrames(source: "the pipeline")) {
            try PipelineSource.offline("videotestsrc num-buffers=5 ! identity drop-probability=1").pullAll()
        }
    }

    @Test func aPipelineThatNeverGivesAFrameIsAnError() throws {
        var configuration = PipelineSource.Configuration(isLive: false)
        configuration.answerLimit = .milliseconds(200)
        let source = try PipelineSource(
            pipeline: "videotestsrc ! valve drop=true ! identity", pool: FramePool(capacity: 1),
            configuration: configuration)
        #expect(throws: CaptureError.stateChangeTimedOut(state: "PLAYING", limit: .milliseconds(200))) {
            try source.pullAll()
        }
    }

    @Test func marksOfTheDecoderReachTheFrame() throws {
        // The second stream after `concat` begins with the mark for a discontinuity, and so does the first.
        let frames = try PipelineSource.offline(
            "videotestsrc num-buffers=2 ! c. videotestsrc num-buffers=2 ! c. concat name=c"
        ).pullAll()
        #expect(frames.map { $0.flags.contains(.discontinuity) } == [false, false, true, false])
    }

    @Test func stoppingFromAnotherThreadEndsAWaitingPull() throws {
        let source = try PipelineSource(
            pipeline: "videotestsrc is-live=true ! valve drop=true", pool: FramePool(capacity: 1),
            configuration: .init(isLive: true))
        let isPulling = DispatchSemaphore(value: 0)
        let hasEnded = DispatchSemaphore(value: 0)
        Thread.detachNewThread {
            isPulling.signal()
            if case .ended = try? source.next(timeout: .seconds(60)) { hasEnded.signal() }
        }
        isPulling.wait()
        source.stop()
        #expect(hasEnded.wait(timeout: .now() + 10) == .success)
        source.stop()
        #expect(try source.next(timeout: .zero).isEnded)
    }

    @Test func stoppingInMidStreamIsOrderly() throws {
        let source = try PipelineSource.offline("videotestsrc")
        #expect(try source.next(timeout: .seconds(10)).frame != nil)
        source.stop()
        #expect(try source.next(timeout: .seconds(10)).isEnded)
    }

    @Test func aSourceThatIsDroppedWhilePlayingLetsGo() throws {
        for _ in 0..<5 {
            let source = try PipelineSource.offline("videotestsrc")
            #expect(try source.next(timeout: .seconds(10)).frame != nil)
        }
    }
}
