import ArgumentParser
import Foundation
import InspectionProtocol
import Messaging

/// `beltwatch command`: tells a running station to do something.
struct CommandStation: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "command",
        abstract: "Gives a running station a command: reset, arm, trigger.",
        discussion: """
            Examples:

              beltwatch command ipc:///run/beltwatchd/line1/recovery reset
              beltwatch command ipc:///run/beltwatchd/line1/recovery arm
              beltwatch command ipc:///run/beltwatchd/line1/recovery trigger --token 88 --encoder 120034

            reset releases the latch that holds the line; arm begins to judge, where the station's file says \
            arm: by_command; trigger says that a part is in front of the camera, where it says trigger: {mode: external}.

            The endpoint is endpoints.recovery of the station's file; commands are taken on ipc alone, whose directory says \
            who may. What was done is in the journal: beltwatch journal STATION --kind event.

            Exit status: 0 accepted, 69 the station does not answer, 77 refused.
            """)

    /// The commands as they are typed.
    enum Word: String, ExpressibleByArgument, CaseIterable {
        case reset, arm, trigger
    }

    @Argument(help: ArgumentHelp("The station's recovery endpoint.", valueName: "endpoint"))
    var endpoint: String

    @Argument(help: "What to do.")
    var command: Word

    @Option(help: "The controller's token for the part, a whole number that returns in its verdict; with trigger.")
    var token: UInt64?

    @Option(
        parsing: .unconditional,
        help: "The belt encoder's count, which returns as well, and may be negative; with trigger.")
    var encoder: Int64?

    @Option(help: ArgumentHelp("How long to wait for an answer.", valueName: "time"))
    var timeout = DurationArgument(duration: .seconds(5))

    @Flag(help: "Print the answer as a line of JSON.")
    var json = false

    func validate() throws {
        do { _ = try Endpoint(endpoint) } catch { throw ValidationError("\(error)") }
        if command == .trigger, token == nil { throw ValidationError("trigger needs --token, the part's name") }
        if command != .trigger, token != nil || encoder != nil {
            throw ValidationError("--token and --encoder belong to trigger")
        }
    }

    func run() throws {
        try reportingErrors {
            var requester = try RecoveryRequester(connecting: Endpoint(endpoint), in: Context())
            let answer: RecoveryAnswer
            do {
                answer = try requester.ask(.command(stationCommand), timeout: timeout.duration)
            } catch RecoveryRequestFailure.noAnswer(let verb, let endpoint) {
                throw Failure("\(RecoveryRequestFailure.noAnswer(verb, endpoint))", .endpointUnavailable)
            }
            if json { print(String(decoding: answer.reply.encoded(), as: UTF8.self)) }
            switch answer.reply.body {
            case .command(_, .accepted):
                if !json { print("\(command.rawValue) accepted") }
            case .command(_, .refused(let refusal)):
                throw Failure("\(command.rawValue) refused, \(refusal.reason.rawValue): \(refusal.message)", .refused)
            case .error(let failure):
                throw Failure("\(failure)", .refused)
            case .hello, .snapshot, .end:
                throw Failure(
                    "\(endpoint) answered something else; check that it is a recovery endpoint", .unusableInput)
            }
        }
    }

    private var stationCommand: StationCommand {
        switch command {
        case .reset: .reset
        case .arm: .arm
        case .trigger: .trigger(ExternalTrigger(plcToken: PLCToken(token ?? 0), encoder: encoder))
        }
    }
}
