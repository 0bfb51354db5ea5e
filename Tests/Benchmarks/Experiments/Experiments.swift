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

    /// Runs trials, and says in one line what ended them where something did.
    func run(_ trials: [Trial]) throws {
        do throws(TrialError) {
            // Lanes without a trial would keep their share of the processors idle.
            try Workbench(program: program, folder: work, jobs: max(1, min(jobs, trials.count))).run(trials)
        } catch {
            note("experiments: error: \(error)")
            throw ExitCode(error.exitStatus)
        }
    }

    /// The evaluation of a trial, if it is finished.
    func outcome(of trial: Trial) throws -> TrialOutcome? {
        do throws(TrialError) {
            return try TrialFiles(trial, in: work).outcome()
        } catch {
            note("experiments: error: \(error)")
            throw ExitCode(error.exitStatus)
        }
    }
}

/// One line for people; standard output belongs to the tables.
func note(_ line: String) {
    FileHandle.standardError.write(Data((line + "\n").utf8))
}
