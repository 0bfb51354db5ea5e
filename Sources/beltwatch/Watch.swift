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
              beltwatch watch tcp://127.0.0.1:5557 --results --station line1
              beltwatch watch tcp://127.0.0.1:5556 --json --count 100

            Shows verdicts, changes of state, missing messages and silence. Ctrl-C ends it.
            """)

    @Argument(help: ArgumentHelp("Endpoints to connect to.", valueName: "endpoint"))
    var endpoints: [String]

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
            for endpoint in endpoints { _ = try Endpoint(endpoint) }
            _ = try station.map { try StationName($0) }
        } catch {
            throw ValidationError("\(error)")
        }
    }

    func run() throws {
        try reportingErrors {
            let context = Context()
            var feed = try StationFeed(
                connecting: endpoints.map { try Endpoint($0) }, station: station.map { try StationName($0) },
                in: context)
            let interruption = Interruption()
            var display = Display(asJSON: json, showsResults: results)
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
    private(set) var verdictCount = 0
    private var lastState: InspectionState?

    init(asJSON: Bool, showsResults: Bool) {
        self.asJSON = asJSON
        self.showsResults = showsResults
    }

    mutating func show(_ event: FeedEvent) throws {
        switch event {
        case .message(let message):
            if case .verdict = message.body { verdictCount += 1 }
            if asJSON {
                print(String(decoding: try message.encoded(), as: UTF8.self))
            } else {
                show(message)
            }
        case .missed(let hole): note("missed \(hole.count) \(hole.kind.rawValue) messages of session \(hole.session)")
        case .silent(let limit): note("no heartbeat for \(Self.text(of: limit)): nothing may be accepted")
        case .heardAgain(let duration): note("heartbeats again after \(Self.text(of: duration))")
        case .unreadable(let error): note("unreadable message: \(error)")
        }
        // A pipe is buffered in blocks, and a verdict is worth nothing when it is read a minute later.
        fflush(nil)
    }

    private static func text(of duration: Duration) -> String { String(format: "%.2f s", duration.seconds) }

    private mutating func show(_ message: Message) {
        let station = "\(message.envelope.station)"
        switch message.body {
        case .verdict(let verdict):
            print("\(station)  \(PartLine.text(of: verdict))\(verdict.simulated ? "  simulated" : "")")
        case .result(let result):
            if showsResults { print("\(station)  \(PartLine.text(of: result))") }
        case .state(let report):
            guard report.state != lastState else { return }
            lastState = report.state
            let reason = report.reason.map { ": \($0)" } ?? ""
            print("\(station)  state \(report.state.rawValue)\(report.ready ? ", ready" : "")\(reason)")
        case .reject, .heartbeat:
            // A reject is a verdict again, and heartbeats are heard by the feed.
            break
        }
    }
}
