import ArgumentParser
import Foundation

/// `make experiments`: every method on pictures that anybody can have, and the papers' ablations in miniature.
struct Report: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Trains every method for equal iterations and writes the experiment report.",
        discussion: """
            The synthetic trays are drawn by `beltwatch synthesize dataset` with its defaults. What is finished is shown \
            at once by --show, whatever is still missing.
            """)

    @OptionGroup var workbench: WorkbenchOptions

    @Option(help: ArgumentHelp("MVTec AD's bottle; without it its rows are left out.", valueName: "folder"))
    var bottle: String?

    @Option(help: "Iterations of the S models on trays.")
    var iterations = 1000

    @Option(help: "Iterations of the M models.")
    var mediumIterations = 300

    @Option(help: "Iterations on bottle. (default: as many as on trays)")
    var bottleIterations: Int?

    @Flag(help: "Only print the tables of what is finished.")
    var show = false

    func validate() throws {
        guard [iterations, mediumIterations, bottleIterations ?? 1].allSatisfy({ $0 >= 1 }) else {
            throw ValidationError("iterations are at least 1")
        }
    }

    func run() throws {
        let trays = "\(workbench.work)/trays"
        let plan = ReportPlan(
            trays: trays, bottle: bottle, iterations: iterations, mediumIterations: mediumIterations,
            bottleIterations: bottleIterations ?? iterations)
        if !show {
            let folder = try workbench.reporting { () throws(TrialError) in try WorkFolder(workbench.work) }
            try drawTrays(to: trays)
            try workbench.run(plan.trials)
            withExtendedLifetime(folder) {}
        }
        var outcomes: [String: TrialOutcome] = [:]
        for trial in plan.trials { outcomes[trial.name] = try workbench.outcome(of: trial) }
        let report = ReportTables(plan: plan, outcomes: outcomes).text
        print(report)
        if show { return }
        let path = "\(workbench.work)/report.md"
        try Data((report + "\n").utf8).write(to: URL(filePath: path), options: .atomic)
        note("the report is in '\(path)', every figure of each model in '\(workbench.work)/*/*.evaluation.json'")
    }

    private func drawTrays(to folder: String) throws {
        let done = folder + ".drawn"
        let files = FileManager.default
        if files.fileExists(atPath: done) { return }
        // A data set that was broken off is drawn anew: the program only writes into empty folders.
        if files.fileExists(atPath: folder) { try files.removeItem(atPath: folder) }
        note("drawing the trays")
        let status = try workbench.reporting { () throws(TrialError) in
            let child = try ChildProcess(
                workbench.program, ["synthesize", "dataset", folder], output: "/dev/null", log: folder + ".log")
            StopRequest.ofThisProcess.handled(by: { child.interrupt() }, during: child.waitForEnd)
            return child.collect().status
        }
        guard status == 0 else {
            note("experiments: error: the trays could not be drawn, see '\(folder).log'")
            throw ExitCode(status)
        }
        try Data().write(to: URL(filePath: done))
    }
}
