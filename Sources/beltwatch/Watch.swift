import ArgumentParser
import Foundation
import Imaging
import InspectionClient
import InspectionProtocol
import Messaging

/// `beltwatch watch`: the verdicts of a running station, as they come.
struct Watch: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Subscribes to a station and shows its verdicts live.",
        discussion: """
            Examples:

              beltwatch watch tcp://127.0.0.1:5556
              beltwatch watch tcp://127.0.0.1:5556 --recovery tcp://127.0.0.1:5555
              beltwatch watch tcp://127.0.0.1:5557 --results --station line1
              beltwatch watch tcp://127.0.0.1:5556 --json --count 100

            Shows verdicts, changes of state, missing messages and silence. With --recovery, what was missed comes
            later as replayed, or is told as lost. Ctrl-C ends it.
            """)

    @Argument(help: ArgumentHelp("Endpoints to connect to.", valueName: "endpoint"))
    var endpoints: [String]

    @Option(help: ArgumentHelp("Where to ask for missed messages.", valueName: "endpoint"))
    var recovery: String?

    @Option(help: "Only this station.")
    var station: String?

    @Option(help: "End after this many verdicts.")
    var count: Int?

    @Flag(help: "Show results too: both branches' scores of every part.")
    var results = false

    @Flag(help: "Print every message as a line of JSON.")
    var json = false

    func validate() throws {
        if let count, count < 1 { throw ValidationError("--count must be at least 1, not \(count)") }
        guard !endpoints.isEmpty else { throw ValidationError("name an endpoint, such as tcp://127.0.0.1:5556") }
        do {
            for endpoint in endpoints + [recovery].compactMap({ $0 }) { _ = try Endpoint(endpoint) }
            _ = try station.map { try StationName($0) }
        } catch {
            throw ValidationError("\(error)")
        }
    }

    func run() throws {
        try reportingErrors {
            let context = Context()
            var feed = try StationFeed(
                connecting: endpoints.map { try Endpoint($0) }, recovery: recovery.map { try Endpoint($0) },
                station: station.map { try StationName($0) }, in: context)
            let interruption = Interruption()
            var display = Display(asJSON: json, showsResults: results, recovers: recovery != nil)
            note("watching \(endpoints.joined(separator: " and ")); Ctrl-C ends it")
            while !interruption.isRequested {
                guard let event = try feed.next(timeout: .milliseconds(200)) else { continue }
                try display.show(event)
                if let count, display.verdictCount >= count { return }
            }
        }
    }
}

/// What the watcher prints.
private struct Display {
    let asJSON: Bool
    let showsResults: Bool
    let recovers: Bool
    private(set) var verdictCount = 0
    private var lastState: InspectionState?

    init(asJSON: Bool, showsResults: Bool, recovers: Bool) {
        self.asJSON = asJSON
        self.showsResults = showsResults
        self.recovers = recovers
    }

    mutating func show(_ event: FeedEvent) throws {
        switch event {
        case .message(let message): try show(message, remark: "")
        case .recovered(let message): try show(message, remark: "  replayed")
        case .missed(let hole): show(hole)
        case .lost(let hole, let reason): showLoss(hole, reason)
        case .greeted(let greeting, let clock):
            let offset = clock.isShared ? "" : ", on another machine's clock"
            note("\(greeting.station) runs Beltwatch \(greeting.version), session \(greeting.session)\(offset)")
        case .snapshot(let snapshot): if !asJSON { show(snapshot.state, of: snapshot.station) }
        case .recoveryUnavailable(let reason): note("missed messages cannot be replayed at present: \(reason)")
        case .silent(let limit): note("no heartbeat for \(Self.text(of: limit)): nothing may be accepted")
        case .heardAgain(let duration): note("heartbeats again after \(Self.text(of: duration))")
        case .unreadable(let error): note("unreadable message: \(error)")
        }
        // A pipe is buffered in blocks, and a verdict is worth nothing when it is read a minute later.
        fflush(nil)
    }

    private func show(_ hole: SequenceMonitor.Hole) {
        var line = "missed \(hole.count) \(hole.kind.rawValue) messages of session \(hole.session)"
        if hole.kind.isReplayable { line += recovers ? ", asking for them" : ", lost without --recovery" }
        note(line)
    }

    /// Heartbeats and states are worth nothing later, and that they were missed has been told.
    private func showLoss(_ hole: SequenceMonitor.Hole, _ reason: String) {
        guard hole.kind.isReplayable else { return }
        if hole.isOpenEnded {
            let last = hole.missing.lowerBound.value - 1
            note("\(hole.kind.rawValue) messages after \(last) of session \(hole.session), if any, are lost: \(reason)")
        } else {
            note("lost \(hole.count) \(hole.kind.rawValue) messages of session \(hole.session): \(reason)")
        }
    }

    private static func text(of duration: Duration) -> String { String(format: "%.2f s", duration.seconds) }

    /// - Parameter remark: Behind the line for people.
    private mutating func show(_ message: Message, remark: String) throws {
        if case .verdict = message.body { verdictCount += 1 }
        if asJSON {
            print(String(decoding: try message.encoded(), as: UTF8.self))
            return
        }
        let station = message.envelope.station
        switch message.body {
        case .verdict(let verdict):
            print("\(station)  \(PartLine.text(of: verdict))\(verdict.simulated ? "  simulated" : "")\(remark)")
        case .result(let result):
            if showsResults { print("\(station)  \(PartLine.text(of: result))\(remark)") }
        case .state(let report):
            show(report, of: station)
        case .event(let event):
            print("\(station)  \(event.severity.rawValue)  \(JournalTable.text(of: event))\(remark)")
        case .reject, .heartbeat, .health:
            // A reject is a verdict again, heartbeats are heard by the feed, and health is for programs.
            break
        }
    }

    private mutating func show(_ report: StateReport, of station: StationName) {
        guard report.state != lastState else { return }
        lastState = report.state
        let reason = report.reason.map { ": \($0)" } ?? ""
        print("\(station)  state \(report.state.rawValue)\(report.ready ? ", ready" : "")\(reason)")
    }
}
