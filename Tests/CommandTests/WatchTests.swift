import Foundation
import InspectionProtocol
import Testing

extension CommandTests {
    /// `beltwatch watch` as a process, before a station that this one plays.
    @Suite(.timeLimit(.minutes(3))) struct WatchTests {
        /// Started, and past the first heartbeat that it hears.
        private func watcher(of station: WatchedStation, _ options: String...) throws -> RunningCommand {
            let command = try RunningCommand(["watch", station.verdicts] + options)
            // It has connected some time before this, so it hears the very first.
            try command.waitForErrors(containing: "no heartbeat for 0.35 s")
            station.startBeating()
            try command.waitForErrors(containing: "heartbeats again")
            if options.contains("--recovery") { try command.waitForErrors(containing: "session 9") }
            return command
        }

        private func partNumbers(_ lines: some StringProtocol) throws -> [UInt64] {
            let topic = Topic(station: try StationName("line1"), kind: .verdict)
            return try lines.split(separator: "\n").filter { $0.contains("\"part_id\"") }.compactMap { line in
                guard case .verdict(let verdict) = try Message(topic: topic, json: Array(line.utf8)).body else {
                    return nil
                }
                return verdict.partID.value
            }
        }

        @Test func aWatcherThatWasStoppedHasEveryVerdictOnce() throws {
            let station = try WatchedStation()
            let command = try watcher(
                of: station, "--recovery", station.recovery, "--json", "--count", "3010")
            try station.judge(10)
            command.signal(SIGSTOP)
            // Far more than the publisher's queue and the kernel's buffers hold.
            try station.judge(3000, attachment: [UInt8](repeating: 7, count: 16 * 1024))
            command.signal(SIGCONT)
            let result = try command.result()
            #expect(result.status == 0, "\(result.errors)")
            #expect(try partNumbers(result.output).sorted() == Array(1...3010), "0 missing, 0 twice")
            #expect(result.errors.contains("asking for them"), "\(result.errors)")
            #expect(!result.errors.contains("lost"), "\(result.errors)")
        }

        @Test func holesAreShownAsReplayedOrLost() throws {
            let station = try WatchedStation(keeping: 2)
            let command = try watcher(of: station, "--recovery", station.recovery, "--count", "3")
            try station.judge(5, isPublished: false)
            try command.waitForErrors(containing: "missed 5 verdict messages of session 9, asking for them")
            try command.waitForErrors(containing: "lost 3 verdict messages of session 9")
            try station.judge(1)
            let result = try command.result()
            #expect(result.output.contains("line1  state running, ready"), "\(result.output)")
            let lines = result.output.split(separator: "\n").filter { $0.contains("  part ") }
            #expect(lines.map { $0.hasSuffix("  replayed") } == [true, true, false], "\(lines)")
            #expect(lines[0].contains("part    4  accept") && lines[2].contains("part    6  accept"), "\(lines)")
        }

        @Test func withoutRecoveryAHoleIsToldAndStays() throws {
            let station = try WatchedStation()
            let command = try watcher(of: station, "--count", "1")
            try station.judge(4, isPublished: false)
            try command.waitForErrors(containing: "missed 4 verdict messages of session 9, lost without --recovery")
            try station.judge(1)
            let result = try command.result()
            #expect(result.status == 0 && result.output.contains("part    5  accept"), "\(result)")
        }

        @Test func anEndpointThatDoesNotAnswerIsToldAndTheWatchGoesOn() throws {
            let (station, other) = (try WatchedStation(), try WatchedStation())
            // A publisher is no recovery endpoint.
            let command = try RunningCommand(["watch", station.verdicts, "--recovery", other.verdicts, "--count", "1"])
            try command.waitForErrors(containing: "missed messages cannot be replayed at present")
            try command.waitForErrors(containing: "no heartbeat for 0.35 s")
            station.startBeating()
            try command.waitForErrors(containing: "heartbeats again")
            try station.judge(1)
            #expect(try command.result().status == 0)
        }

        @Test func aWrongRecoveryEndpointIsRefused() throws {
            try expectRefusal(
                ["watch", "tcp://127.0.0.1:5556", "--recovery", "127.0.0.1:5555"], status: 64,
                saying: "neither tcp nor ipc")
        }
    }
}
