import Foundation
import Glibc
import InspectionProtocol
import Testing

/// What the daemon says about frames that come too late, or not at all.
extension DaemonTests {
    /// The queue holds every frame back for 400 ms, as a network does that is slower than its camera.
    @Test func framesThatComeLongAfterTheirCaptureAreStale() throws {
        let delay = 400_000_000
        let station = try StationFixture(
            source: [
                "pipeline: videotestsrc is-live=true ! video/x-raw,width=320,height=240,framerate=20/1"
                    + " ! queue max-size-buffers=0 max-size-bytes=0 max-size-time=0 min-threshold-time=\(delay)",
                "live: true", "stale_after: 200ms",
            ])
        let daemon = try RunningDaemon(["--config", station.configuration])
        var subscriber = try daemon.subscriber()
        let heard = try subscriber.receive {
            $0.count { $0.verdict != nil } >= 5 && $0.contains { $0.health?.frames.stale ?? 0 > 0 }
        }
        for verdict in heard.compactMap(\.verdict) {
            #expect(verdict.reason == .staleFrame && !verdict.inspected)
            #expect(try #require(verdict.latencyMicroseconds) > 200_000)
            #expect(try #require(verdict.deadlineMarginMicroseconds) > 0, "stale is said at once, not at the deadline")
        }
        daemon.signal(SIGTERM)
        #expect(try daemon.exitStatus() == 0, "\(daemon.errors)")
    }

    /// Seven frames, parts of three: 0 1 2 and 5 6, and then the recording is over.
    @Test func aPartOfWhichTheSourceShowsTooLittleIsIncomplete() throws {
        let station = try StationFixture(
            source: [
                "pipeline: videotestsrc num-buffers=7 ! video/x-raw,width=320,height=240,framerate=2/1", "live: false",
            ], more: ["trigger: {mode: interval, every: 5 frames, views: 3}"])
        let daemon = try RunningDaemon(["--config", station.configuration])
        var subscriber = try daemon.subscriber()
        let heard = try subscriber.receive { $0.count { $0.result != nil } == 2 && $0.count { $0.verdict != nil } == 2 }
        let verdicts = heard.compactMap(\.verdict)
        #expect(verdicts.map(\.reason) == [.none, .incompleteViews])
        #expect(verdicts.map(\.framesUsed) == [3, 0])
        #expect(heard.compactMap(\.result).map(\.details.frameIDs) == [[0, 1, 2], [5, 6]])
        daemon.signal(SIGTERM)
        #expect(try daemon.exitStatus() == 0, "\(daemon.errors)")
    }
}
