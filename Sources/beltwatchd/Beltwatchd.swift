import ArgumentParser
import Foundation
import InspectionProtocol
import InspectionRuntime
import Logging

/// The daemon: one inspection station per process.
@main
struct Beltwatchd: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "beltwatchd",
        abstract: "Inspects parts on a conveyor and publishes a verdict for every one of them.",
        discussion: """
            One process is one station. Its file says where frames come from, what counts as a part, which model judges \
            and where verdicts go.

              beltwatchd --check --config /etc/beltwatchd/line1.yaml
              beltwatchd --config /etc/beltwatchd/line1.yaml
              beltwatch watch tcp://127.0.0.1:5556

            SIGTERM and SIGINT answer the parts in flight and end the process; a second one ends it at once. Log lines go \
            to standard error.

            Exit status: 0 stopped, 64 wrong usage, 65 model refused, 66 model not found, 69 endpoint not available, \
            70 parts in flight could not be answered, 73 state directory or journal cannot be used, 78 unusable configuration, or the station \
            runs already.
            """,
        version: SoftwareVersion.current)

    @Option(help: ArgumentHelp("The station's file, as Systemd/example-station.yaml shows it.", valueName: "FILE"))
    var config: String

    @Flag(help: "Check the file, the pipeline and the model, and start nothing.")
    var check = false

    func run() throws {
        // A file at its size limit is a full disk, not the end of the process.
        signal(SIGXFSZ, SIG_IGN)
        LoggingSystem.bootstrap(BackgroundLogHandler.init)
        var failure: StationError?
        do throws(StationError) {
            let plan = try StationPlan(file: config)
            if check {
                print(
                    "\(config): station \(plan.configuration.station), model \(plan.modelSHA256.prefix(12)): all right")
            } else {
                try Station(plan).run()
            }
        } catch {
            failure = error
        }
        guard BackgroundLogHandler.drain() else { _exit(failure?.exitStatus ?? 0) }
        if let failure {
            try? FileHandle.standardError.write(contentsOf: Data("beltwatchd: error: \(failure)\n".utf8))
            throw ExitCode(failure.exitStatus)
        }
    }
}
