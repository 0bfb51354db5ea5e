import Foundation
import Glibc
import InspectionProtocol
import Journal
import Locking
import Messaging
import Testing

/// What the daemon says about itself, and what it remembers of that.
extension DaemonTests {
    private static let moving = "pipeline: videotestsrc is-live=true ! video/x-raw,width=320,height=240,framerate=10/1"
    private static let black = moving.replacing("videotestsrc", with: "videotestsrc pattern=black")

    private static func events(_ station: StationFixture) throws -> [StationEvent] {
        var events: [StationEvent] = []
        var filter = JournalFilter()
        filter.kinds = [.event]
        try JournalReader(path: JournalFiles(in: "\(station.directory)/state").database).forEach(matching: filter) {
            entry in
            if case .event(let event) = try entry.message().body { events.append(event) }
        }
        return events
    }

    /// Whoever may not reset it cannot get round it by pulling the plug.
    @Test func aLineStopOutlivesAKill() throws {
        let station = try StationFixture(
            source: [Self.black, "live: true"], recovery: "ipc", more: ["line_stop: {uninspected: 3}"])
        let first = try RunningDaemon(["--config", station.configuration])
        var subscriber = try first.subscriber()
        _ = try subscriber.receive { $0.contains { $0.state?.state == .held } }
        // The file follows the latch at once, but not on the decision path.
        _ = try subscriber.receive { _ in FileManager.default.fileExists(atPath: "\(station.directory)/state/line-stop")
        }
        first.signal(SIGKILL)
        #expect(try first.exitStatus() == -SIGKILL)

        let second = try RunningDaemon(["--config", station.configuration])
        subscriber = try second.subscriber()
        let heard = try subscriber.receive { $0.contains { $0.verdict?.reason == .notReady } }
        #expect(!heard.contains { $0.verdict?.reason == .imageHealth }, "a part was looked at")
        let state = try #require(try subscriber.receive { $0.contains { $0.state != nil } }.compactMap(\.state).last)
        #expect(state.reason == "3 parts in a row without inspection: line stop until it is reset")
        var requester = try RecoveryRequester(connecting: try second.endpoint(of: "recovery"), in: Context())
        let answer = try requester.ask(.command(.reset), timeout: .seconds(30)).reply.body
        #expect(answer == .command(.reset, .accepted))
        second.signal(SIGTERM)
        #expect(try second.exitStatus() == 0, "\(second.errors)")

        let third = try RunningDaemon(["--config", station.configuration])
        subscriber = try third.subscriber()
        _ = try subscriber.receive { $0.contains { $0.verdict?.reason == .imageHealth } }
        third.signal(SIGTERM)
        #expect(try third.exitStatus() == 0, "\(third.errors)")

        let events = try Self.events(station)
        #expect(events.count { $0.name == .sessionStarted } == 3)
        #expect(events.filter { $0.name == .sessionLost }.map(\.details) == [["session": "1"]])
        let reset = try #require(events.first { $0.name == .lineStopReset })
        // The user, the group and the process, as the kernel has them.
        #expect(reset.peer == "localhost:\(getuid()):\(getgid()):\(getpid())")
    }

    @Test func anotherConfigurationIsAnEvent() throws {
        let station = try StationFixture(source: [Self.moving, "live: false"])
        for line in ["", "recipe_revision: 2\n"] {
            let text = try String(contentsOfFile: station.configuration, encoding: .utf8)
            try (text + line).write(toFile: station.configuration, atomically: true, encoding: .utf8)
            let daemon = try RunningDaemon(["--config", station.configuration])
            var subscriber = try daemon.subscriber()
            _ = try subscriber.receive { $0.contains { $0.verdict != nil } }
            daemon.signal(SIGTERM)
            #expect(try daemon.exitStatus() == 0, "\(daemon.errors)")
        }
        let events = try Self.events(station)
        let change = try #require(events.first { $0.name == .configurationChanged })
        let starts = events.filter { $0.name == .sessionStarted }.map { $0.details["config_sha256"] }
        #expect([change.details["from"], change.details["to"]] == starts)
        #expect(!events.contains { $0.name == .modelChanged || $0.name == .sessionLost })
    }

    @Test func healthAgreesWithTheVerdictsAndKnowsTheProcess() throws {
        let station = try StationFixture(source: [Self.moving, "live: true"])
        let daemon = try RunningDaemon(["--config", station.configuration])
        var subscriber = try daemon.subscriber()
        // The journal's own count is a second old at most.
        let heard = try subscriber.receive {
            $0.contains { $0.health?.parts.seen ?? 0 >= 5 && $0.health?.journal?.written ?? 0 > 0 }
        }
        let health = try #require(heard.compactMap(\.health).last)
        #expect(health.parts.seen == health.parts.accepted + health.parts.review + health.parts.rejected)
        let statm = try String(contentsOfFile: "/proc/\(daemon.processID)/statm", encoding: .utf8)
        let pages = try #require(statm.split(separator: " ").dropFirst().first.flatMap { Int($0) })
        let resident = try #require(health.residentBytes)
        #expect(resident > 16 << 20 && resident < pages * 4096 * 4)
        #expect(health.openFiles ?? 0 > 3 && health.freeDiskBytes ?? 0 > 0)
        #expect(health.queues.contains { $0.name == "beltwatch.publish" })
        daemon.signal(SIGTERM)
        #expect(try daemon.exitStatus() == 0, "\(daemon.errors)")
    }

    /// A log that nobody reads any more, its pipe full to the last byte: neither the line nor its end waits for it.
    @Test func aLogThatNobodyReadsHoldsUpNothing() throws {
        let station = try StationFixture(source: [Self.black, "live: true"], recovery: "ipc")
        let log = Pipe()
        let writing = log.fileHandleForWriting.fileDescriptor
        _ = fcntl(writing, F_SETFL, O_NONBLOCK)
        let block = [UInt8](repeating: 0, count: 4096)
        while write(writing, block, block.count) > 0 {}
        _ = fcntl(writing, F_SETFL, 0)
        let process = Process()
        process.executableURL = RunningDaemon.program
        process.arguments = ["--config", station.configuration]
        process.standardError = log
        process.standardOutput = FileHandle.nullDevice
        let hasEnded = Monitor(false)
        process.terminationHandler = { _ in hasEnded.withLock { $0 = true } }
        try process.run()
        defer { process.terminate() }

        var requester = try RecoveryRequester(
            connecting: try Endpoint("ipc://\(station.directory)/recovery"), in: Context())
        func parts() throws -> UInt64 {
            guard case .snapshot(let snapshot)? = try? requester.ask(.snapshot, timeout: .seconds(60)).reply.body else {
                return 0
            }
            return snapshot.lastSequence.verdict?.value ?? 0
        }
        let deadline = SuspendingClock.now + .seconds(60)
        while try parts() < 20 { try #require(SuspendingClock.now < deadline, "no parts are judged") }
        kill(process.processIdentifier, SIGTERM)
        #expect(hasEnded.wait(atMost: .seconds(60)) { $0 ? true : nil } == true, "the process did not end")
        #expect(process.terminationReason == .exit && process.terminationStatus == 0)
    }

    @Test func aStationThatIsArmedByCommandWaitsForIt() throws {
        let station = try StationFixture(
            source: [Self.moving, "live: true"], recovery: "ipc", more: ["arm: by_command"])
        let daemon = try RunningDaemon(["--config", station.configuration])
        var subscriber = try daemon.subscriber()
        let waiting = try subscriber.receive {
            $0.contains { $0.verdict?.reason == .notReady } && $0.contains { $0.heartbeat?.state == .ready }
        }
        #expect(waiting.compactMap(\.verdict).allSatisfy { $0.reason == .notReady })
        var requester = try RecoveryRequester(connecting: try daemon.endpoint(of: "recovery"), in: Context())
        guard case .hello(let greeting) = try requester.ask(.hello, timeout: .seconds(30)).reply.body else {
            Issue.record("no greeting")
            return
        }
        #expect(greeting.commands == ["Arm", "Reset"])
        let answer = try requester.ask(.command(.arm), timeout: .seconds(30)).reply.body
        #expect(answer == .command(.arm, .accepted))
        _ = try subscriber.receive { $0.contains { $0.verdict?.inspected == true } }
        daemon.signal(SIGTERM)
        #expect(try daemon.exitStatus() == 0, "\(daemon.errors)")
    }

    @Test func aDeniedCommandIsAnEventAndAFloodOfThemIsFew() throws {
        let station = try StationFixture(source: [Self.moving, "live: false"], recovery: "tcp://127.0.0.1:*")
        let daemon = try RunningDaemon(["--config", station.configuration])
        var subscriber = try daemon.subscriber()
        _ = try subscriber.receive { $0.contains { $0.verdict != nil } }
        var requester = try RecoveryRequester(connecting: try daemon.endpoint(of: "recovery"), in: Context())
        for _ in 0..<200 { _ = try requester.ask(.command(.reset), timeout: .seconds(30)) }
        var denials: [StationEvent] = []
        _ = try subscriber.receive { heard in
            denials = heard.compactMap(\.event).filter { $0.name == .commandDenied }
            return denials.map { Int($0.details["count"] ?? "1") ?? 0 }.reduce(0, +) == 200
        }
        #expect(denials.count < 20 && denials.allSatisfy { $0.peer == "127.0.0.1" })
        let health = try subscriber.receive { $0.contains { $0.health?.bus.denied == 200 } }
        #expect(!health.isEmpty)
        daemon.signal(SIGTERM)
        #expect(try daemon.exitStatus() == 0, "\(daemon.errors)")
    }
}
