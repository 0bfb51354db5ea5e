import ArgumentParser
import Foundation
import Locking

/// Trainings and evaluations in numbers: our experiment report, and the papers' protocols beside their figures.
///
/// It only runs `beltwatch`; every figure is one that anybody gets who types the same commands.
@main
struct Experiments: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "Experiments",
        abstract: "Trains and judges models by the dozen, and puts the figures into tables.",
        discussion: """
            make experiments, make reproduce-loco and make reproduce-mvtec run it. Whatever ends it, the same command goes \
            on from there: finished trials are read and not repeated, a broken-off training resumes.
            """,
        subcommands: [Report.self, Reproduce.self])
}

/// Where and how trials run.
struct WorkbenchOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The program to run.", valueName: "beltwatch"))
    var program: String

    @Option(help: ArgumentHelp("Where models, figures and logs go, of earlier runs too.", valueName: "folder"))
    var work: String

    @Option(help: "How many trials run at once; they share the processors.")
    var jobs = ProcessInfo.processInfo.activeProcessorCount

    func validate() throws {
        guard (1...64).contains(jobs) else { throw ValidationError("--jobs must be 1 to 64, not \(jobs)") }
        guard FileManager.default.isExecutableFile(atPath: program) else {
            throw ValidationError("'\(program)' is no program; --program names the beltwatch to run")
        }
    }

    /// Says in one line what ended the work where something did.
    func reporting<Result>(_ work: () throws(TrialError) -> Result) throws -> Result {
        do throws(TrialError) { return try work() } catch {
            note("experiments: error: \(error)")
            throw ExitCode(error.exitStatus)
        }
    }

    func run(_ trials: [Trial]) throws {
        try reporting { () throws(TrialError) in
            // Lanes without a trial would keep their share of the processors idle.
            try Workbench(program: program, folder: work, jobs: max(1, min(jobs, trials.count))).run(trials)
        }
    }

    /// The evaluation of a trial, if it is finished.
    func outcome(of trial: Trial) throws -> TrialOutcome? {
        try reporting { () throws(TrialError) in try TrialFiles(trial, in: work).outcome() }
    }
}

/// One line for people; standard output belongs to the tables.
func note(_ line: String) {
    FileHandle.standardError.write(Data((line + "\n").utf8))
}
