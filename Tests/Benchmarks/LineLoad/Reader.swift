import ArgumentParser
import Foundation
import InspectionClient
import InspectionProtocol
import Messaging

/// A subscriber as it should be, in a process of its own: hears a station to the end, recovers what it missed, and
/// reports what came when.
struct Reader: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reader", abstract: "Hears a station to its end; started by measure.", shouldDisplay: false)

    @OptionGroup var station: StationEndpoints

    @Flag(name: .customLong("with-results"), help: "Hear the results as well.")
    var hearsResults = false

    func run() throws {
        endWithParent()
        let name = try StationName(LineSettings.station)
        let context = Context()
        var feed = try StationFeed(
            connecting: [station.verdicts] + (hearsResults ? [station.results] : []), recovery: station.recovery,
            in: context)
        var report = ReaderReport()
        var isReady = false
        var end: LastSequences?
        while true {
            let event = try feed.next(timeout: .milliseconds(100))
            let now = MonotonicMoment.now
            switch event {
            case .message(let message):
                report.note(message, at: now, isRecovered: false)
                // Once the station says so, there is nothing to come but what is on its way.
                if case .heartbeat(let heartbeat) = message.body, heartbeat.state == .halted {
                    end = heartbeat.lastSequence
                }
            case .recovered(let message): report.note(message, at: now, isRecovered: true)
            case .lost(let hole, let reason) where hole.kind.isReplayable:
                report.lost.append("\(hole.kind.rawValue) \(hole.missing): \(reason)")
            case .unreadable(let error): report.unreadable.append("\(error)")
            case .silent: report.silences += 1
            case .snapshot where !isReady:
                isReady = true
                say("ready")
            // Heartbeats and states that were missed are worth nothing any more, and not kept.
            case .lost, .snapshot, .greeted, .missed, .recoveryUnavailable, .heardAgain, nil: break
            }
            if let end, let position = feed.position(at: name), hasAll(upTo: end, position) { break }
        }
        say(String(decoding: try JSONEncoder().encode(report), as: UTF8.self))
    }

    private func hasAll(upTo end: LastSequences, _ position: ReadingPosition) -> Bool {
        let wanted =
            [(MessageKind.verdict, end.verdict), (.reject, end.reject)] + (hearsResults ? [(.result, end.result)] : [])
        return wanted.allSatisfy { kind, last in position.last[kind] ?? 0 >= last ?? 0 }
    }
}

/// What a reader heard.
struct ReaderReport: Codable, Sendable {
    /// One message, as it came.
    struct Arrival: Codable, Hashable, Sendable {
        var sequence: UInt64
        var partID: UInt64

        /// CLOCK_MONOTONIC, read when the message had been taken from the socket and decoded.
        var arrivedMicroseconds: UInt64

        /// What the message says about the way from capture to verdict.
        var latencyMicroseconds: Int64?

        /// Whether it had been missed, and came by REPLAY.
        var isRecovered: Bool
    }

    var verdicts: [Arrival] = []
    var rejects: [Arrival] = []
    var results: [Arrival] = []

    /// Verdicts, rejects and results that nobody had any more.
    var lost: [String] = []
    var unreadable: [String] = []

    /// How often no heartbeat came for 350 ms.
    var silences = 0

    mutating func note(_ message: Message, at now: MonotonicMoment, isRecovered: Bool) {
        func arrival(_ verdict: Verdict) -> Arrival {
            Arrival(
                sequence: message.envelope.sequence.value, partID: verdict.partID.value,
                arrivedMicroseconds: now.microseconds, latencyMicroseconds: verdict.latencyMicroseconds,
                isRecovered: isRecovered)
        }
        switch message.body {
        case .verdict(let verdict): verdicts.append(arrival(verdict))
        case .reject(let verdict): rejects.append(arrival(verdict))
        case .result(let result): results.append(arrival(result.verdict))
        default: break
        }
    }
}
