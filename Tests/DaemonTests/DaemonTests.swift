import Foundation
import Glibc
import InspectionProtocol
import Messaging
import Testing

/// The daemon as a process, with real frames, sockets and signals.
@Suite(.serialized) struct DaemonTests {
    private static let testPicture =
        "pipeline: videotestsrc is-live=true ! video/x-raw,width=320,height=240,framerate=2/1"

    @Test func inspectsSaysSoAndStopsWhenAsked() throws {
        let station = try StationFixture(source: [Self.testPicture, "live: false"])
        let notifications = try NotifySocket()
        let daemon = try RunningDaemon(
            ["--config", station.configuration],
            environment: ["NOTIFY_SOCKET": notifications.address, "WATCHDOG_USEC": "2000000"])
        var subscriber = try daemon.subscriber()
        let messages = try subscriber.receive { messages in
            messages.count { $0.verdict != nil } >= 2 && messages.count { $0.result != nil } >= 2
                && messages.contains { $0.heartbeat?.running == true }
                && messages.contains { $0.state?.state == .running }
        }
        #expect(messages.allSatisfy { $0.envelope.session == 1 && $0.envelope.station.text == "line1" })
        for verdict in messages.compactMap(\.verdict) {
            #expect(verdict.disposition == .accept, "\(verdict)")
            #expect(verdict.simulated && verdict.mode == .replay && verdict.inspected)
            #expect(verdict.modelSHA256?.count == 64)
        }
        #expect(messages.compactMap(\.heartbeat).allSatisfy { !$0.ready })
        #expect(messages.compactMap(\.state).allSatisfy { $0.configurationSHA256?.count == 64 })
        let parts = messages.compactMap(\.verdict).map(\.partID.value)
        #expect(parts == parts.sorted())
        _ = try notifications.receive(until: "READY=1")
        _ = try notifications.receive(until: "WATCHDOG=1")

        daemon.signal(SIGTERM)
        _ = try notifications.receive(until: "STOPPING=1")
        #expect(try daemon.exitStatus() == 0, "\(daemon.errors)")
        let rest = try subscriber.receive { $0.contains { $0.state?.state == .halted } }
        #expect(rest.last?.state?.reason == "stopped")

        // The next start is another session, and no part id comes again.
        let second = try RunningDaemon(["--config", station.configuration])
        var secondSubscriber = try second.subscriber()
        let later = try secondSubscriber.receive { $0.contains { $0.verdict != nil } }
        #expect(later.allSatisfy { $0.envelope.session == 2 })
        let lastPart = (parts + rest.compactMap(\.verdict).map(\.partID.value)).reduce(0, max)
        #expect(try #require(later.last?.verdict).partID.value > lastPart)
        second.signal(SIGINT)
        #expect(try second.exitStatus() == 0)
    }

    @Test func aRecordingThatIsOverLeavesTheStationUpAndHalted() throws {
        let station = try StationFixture(source: [
            "pipeline: videotestsrc num-buffers=3 ! video/x-raw,width=320,height=240", "live: false",
            "keep_time: false",
        ])
        let daemon = try RunningDaemon(["--config", station.configuration])
        var subscriber = try daemon.subscriber()
        let messages = try subscriber.receive { $0.contains { $0.state?.state == .halted } }
        #expect(messages.last?.state?.reason == "the source ended")
        _ = try subscriber.receive { $0.contains { $0.heartbeat?.state == .halted } }
        daemon.signal(SIGTERM)
        #expect(try daemon.exitStatus() == 0)
        #expect(daemon.errors.contains("seen=3"), "\(daemon.errors)")
    }

    @Test func aMissingCameraIsAnErrorThatControllersHearOf() throws {
        let station = try StationFixture(source: ["pipeline: v4l2src device=/dev/no-such-camera", "live: true"])
        let notifications = try NotifySocket()
        let daemon = try RunningDaemon(
            ["--config", station.configuration], environment: ["NOTIFY_SOCKET": notifications.address])
        _ = try notifications.receive(until: "READY=1")
        var subscriber = try daemon.subscriber()
        let messages = try subscriber.receive { messages in
            messages.contains { $0.heartbeat?.state == .error } && messages.contains { $0.state?.state == .error }
        }
        #expect(messages.compactMap(\.heartbeat).allSatisfy { !$0.ready && !$0.running })
        let reason = try #require(messages.compactMap(\.state).last?.reason)
        #expect(reason.contains("/dev/no-such-camera"), "\(reason)")
        daemon.signal(SIGTERM)
        #expect(try daemon.exitStatus() == 0)
    }

    @Test func aSecondInstanceOfAStationIsRefused() throws {
        let station = try StationFixture(source: [Self.testPicture, "live: false"])
        let first = try RunningDaemon(["--config", station.configuration])
        _ = try first.endpoint(of: "verdicts")
        let second = try RunningDaemon(["--config", station.configuration])
        #expect(try second.exitStatus() == 78)
        #expect(second.errors.contains("held by another process"), "\(second.errors)")
        first.signal(SIGTERM)
        #expect(try first.exitStatus() == 0)
    }

    @Test func aMistakeInTheFileIsNamedAndWorthNoOtherTry() throws {
        let station = try StationFixture(source: [Self.testPicture, "lively: false"])
        for arguments in [["--config", station.configuration], ["--check", "--config", station.configuration]] {
            let daemon = try RunningDaemon(arguments)
            #expect(try daemon.exitStatus() == 78)
            #expect(daemon.errors.contains("station.yaml:7: 'source.lively'"), "\(daemon.errors)")
        }
    }

    @Test func aPipelineThatDoesNotParseIsNamed() throws {
        let station = try StationFixture(source: ["pipeline: videotestsrc ! nosuchelement", "live: false"])
        let daemon = try RunningDaemon(["--check", "--config", station.configuration])
        #expect(try daemon.exitStatus() == 78)
        #expect(daemon.errors.contains("nosuchelement"), "\(daemon.errors)")
    }

    @Test func aMissingModelIsNamed() throws {
        let station = try StationFixture(source: [Self.testPicture, "live: false"], model: "absent.safetensors")
        let daemon = try RunningDaemon(["--check", "--config", station.configuration])
        #expect(try daemon.exitStatus() == 66)
        #expect(daemon.errors.contains("absent.safetensors"), "\(daemon.errors)")
    }

    @Test func aDamagedModelIsRefused() throws {
        let whole = try Data(contentsOf: URL(filePath: try SharedModel.path.get()))
        for (name, bytes) in [("short", whole.dropLast(1000)), ("flipped", Self.flippingABit(of: whole))] {
            let station = try StationFixture(source: [Self.testPicture, "live: false"], model: "\(name).safetensors")
            try bytes.write(to: URL(filePath: "\(station.directory)/\(name).safetensors"))
            let daemon = try RunningDaemon(["--check", "--config", station.configuration])
            #expect(try daemon.exitStatus() == 65)
            #expect(daemon.errors.contains("is refused, check"), "\(daemon.errors)")
        }
    }

    @Test func aRightFilePassesTheCheck() throws {
        let station = try StationFixture(source: [Self.testPicture, "live: false"])
        let daemon = try RunningDaemon(["--check", "--config", station.configuration])
        #expect(try daemon.exitStatus() == 0, "\(daemon.errors)")
        #expect(!FileManager.default.fileExists(atPath: "\(station.directory)/state"), "a check starts nothing")
    }

    private static func flippingABit(of data: Data) -> Data {
        var data = data
        data[data.count - 100] ^= 1
        return data
    }
}
