import Foundation
import InspectionProtocol
import Testing

extension CommandTests {
    /// `beltwatch command` as a process, before a station that this one plays.
    @Suite(.timeLimit(.minutes(3))) struct CommandStationTests {
        @Test func anAcceptedCommandArrivesWithWhatItCarries() throws {
            let station = try WatchedStation(takesCommands: true)
            let result = try beltwatch("command", station.recovery, "trigger", "--token", "88", "--encoder", "-3")
            #expect(result.status == 0 && result.output == "trigger accepted\n", "\(result.errors)")
            #expect(station.commands == [.trigger(ExternalTrigger(plcToken: 88, encoder: -3))])

            let answer = try beltwatch("command", station.recovery, "reset", "--json")
            let reply = try RecoveryReply(json: Array(answer.output.utf8))
            #expect(answer.status == 0 && reply.body == .command(.reset, .accepted))
        }

        @Test func aRefusalIsToldWithItsReason() throws {
            let station = try WatchedStation()
            try expectRefusal(
                ["command", station.recovery, "arm"], status: 77, saying: "arm refused, not_permitted: commands are not"
            )
            #expect(station.commands.isEmpty)
        }

        @Test func aStationThatIsNotThereIsNamed() throws {
            try expectRefusal(
                ["command", "tcp://127.0.0.1:9", "reset", "--timeout", "200ms"], status: 69,
                saying: "tcp://127.0.0.1:9 did not answer COMMAND in time")
        }
    }
}
