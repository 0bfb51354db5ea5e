import ArgumentParser
import Foundation

/// The figure itself.
struct Measure: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Lets parts go by on a fixed schedule, and says how long their verdicts take.",
        discussion: """
            Examples:

              LineLoad
              LineLoad --parts 100000 --hostile-only
              LineLoad --parts 2000 --rounds 1 --scoring-time 3 --json

            The station is the daemon's, with its journal on a real disk, its sockets and its recovery endpoint; the camera \
            is a generator that keeps its schedule whatever happens, and the networks are a stand-in. Each audience hears \
            all parts, in as many runs as there are rounds, the two in turn: a quiet one, and a hostile one in which a \
            second subscriber is stopped (SIGSTOP) from a tenth to nine tenths of the run and a third floods. Times are \
            from the scheduled capture to the verdict in the hands of a subscriber in another process.

            Exit status: 0 where plan, journal and subscribers agree on every part, 1 where not.
            """)

    @Option(help: "How many parts each audience hears.")
    var parts = 20_000

    @Option(help: ArgumentHelp("How many parts come in a second.", valueName: "number"))
    var rate = 200.0

    @Option(help: "In how many runs the parts come; the audiences take turns.")
    var rounds = 2

    @Option(
        name: .customLong("scoring-time"),
        help: ArgumentHelp("How long the stand-in for the networks computes for a part.", valueName: "ms"))
    var scoringTime = 0.0

    @Option(help: "How verdicts and results travel: tcp or ipc.")
    var transport = LineSettings.Transport.tcp

    @Option(help: ArgumentHelp("Where the station keeps its journal meanwhile.", valueName: "directory"))
    var directory = FileManager.default.temporaryDirectory.path

    @Flag(name: .customLong("hostile-only"), help: "Leave the comparison with the quiet audience out.")
    var hostileOnly = false

    @Flag(help: "Print the figures as JSON on standard output.")
    var json = false

    func validate() throws {
        guard (1...10_000_000).contains(parts) else {
            throw ValidationError("--parts must be 1 to 10000000, not \(parts)")
        }
        guard (1...1000).contains(rounds), rounds <= parts else {
            throw ValidationError("--rounds must be 1 to 1000, and no more than there are parts, not \(rounds)")
        }
        guard rate >= 1, rate <= 10_000 else { throw ValidationError("--rate must be 1 to 10000, not \(rate)") }
        guard scoringTime >= 0, scoringTime <= 1000 else {
            throw ValidationError("--scoring-time must be 0 to 1000 ms, not \(scoringTime)")
        }
    }

    func run() throws {
        let audiences = hostileOnly ? [Audience.hostile] : Audience.allCases
        let plan = LoadPlan(parts: parts, rate: rate, scoringTime: .milliseconds(scoringTime))
        var progress = LoadProgress(total: plan.duration * audiences.count)
        var records: [Audience: [LoadRecord]] = [:]
        for round in 0..<rounds {
            var share = plan
            share.parts = parts * (round + 1) / rounds - parts * round / rounds
            for audience in audiences {
                progress.begin("\(audience.rawValue) audience, round \(round + 1) of \(rounds)", share)
                let run = LoadRun(plan: share, audience: audience, transport: transport, parent: directory)
                do {
                    records[audience, default: []].append(try run.carryOut { progress.update($0) })
                } catch {
                    note("LineLoad: error: \(error)")
                    throw ExitCode.failure
                }
                progress.end()
            }
        }
        let report = LoadReport(plan, over: transport, audiences.compactMap { records[$0].map(LoadFigures.init(_:)) })
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .prettyPrinted]
            say(String(decoding: try encoder.encode(report), as: UTF8.self))
        } else {
            say(report.text)
        }
        guard report.disagreements.isEmpty else { throw ExitCode.failure }
    }
}

extension LineSettings.Transport: ExpressibleByArgument {}

/// Says every ten seconds how far it is, and how long it will take.
struct LoadProgress {
    private let total: Duration
    private var before = Duration.zero
    private var name = ""
    private var plan = LoadPlan(parts: 1, rate: 1)
    private var lastLine = ContinuousClock.now

    /// - Parameter total: What all runs take by their schedules.
    init(total: Duration) { self.total = total }

    mutating func begin(_ name: String, _ plan: LoadPlan) {
        self.name = name
        self.plan = plan
        tell(0)
    }

    mutating func update(_ parts: Int) {
        if ContinuousClock.now - lastLine >= .seconds(10) { tell(parts) }
    }

    mutating func end() { before += plan.duration }

    private mutating func tell(_ parts: Int) {
        lastLine = .now
        let left = total - before - plan.duration * (Double(parts) / Double(plan.parts))
        note("\(name): \(parts) of \(plan.parts) parts, \(Int((left / .seconds(1)).rounded(.up))) s left")
    }
}
