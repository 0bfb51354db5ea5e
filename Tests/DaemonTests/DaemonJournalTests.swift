import Foundation
import Glibc
import InspectionProtocol
import Journal
import Messaging
import Testing

/// What the daemon keeps, and what it does when it cannot.
extension DaemonTests {
    private static let moving = "pipeline: videotestsrc is-live=true ! video/x-raw,width=320,height=240,framerate=10/1"

    private static func reader(_ station: StationFixture) throws -> JournalReader {
        try JournalReader(path: JournalFiles(in: "\(station.directory)/state").database)
    }

    @Test func whatSubscribersHearIsInTheJournalByteForByte() throws {
        let station = try StationFixture(source: [Self.moving, "live: false"])
        let daemon = try RunningDaemon(["--config", station.configuration])
        var subscriber = try daemon.subscriber()
        var heard = try subscriber.receive { $0.count { $0.result != nil } >= 5 }
        daemon.signal(SIGTERM)
        #expect(try daemon.exitStatus() == 0, "\(daemon.errors)")
        heard += try subscriber.receive { $0.contains { $0.state?.state == .halted } }
        let reader = try Self.reader(station)
        for message in heard where message.body.kind.isJournalled {
            let sequence = message.envelope.sequence
            let kept = try reader.messages(message.body.kind, of: 1, sequence...sequence, limit: 1)
            #expect(try kept.map(\.json) == [message.encoded()])
        }
        let session = try #require(try reader.sessions().last)
        let state = try #require(heard.compactMap(\.state).last)
        #expect(session.station.text == "line1" && session.version == state.version)
        #expect(session.modelSHA256 == state.modelSHA256 && session.configurationSHA256 == state.configurationSHA256)
        #expect(session.endedAt != nil)
        let files = try FileManager.default.contentsOfDirectory(atPath: "\(station.directory)/state").sorted()
        #expect(files == ["counters", "evidence", "journal.reserve", "journal.sqlite", "lock"])
    }

    /// Killed at moments that nobody chose: nothing repeats, and what was heard for longer than the disk may take is kept.
    @Test func aKillRepeatsNothingAndCostsNoMoreThanTheSyncWindow() throws {
        let station = try StationFixture(source: [Self.moving, "live: false"])
        var generator = SystemRandomNumberGenerator()
        var lastPart: UInt64 = 0
        for session: SessionNumber in [1, 2, 3, 4, 5] {
            let daemon = try RunningDaemon(["--config", station.configuration])
            var subscriber = try daemon.subscriber()
            let enough = Int.random(in: 20...60, using: &generator)
            var heard = try subscriber.receive { $0.count >= enough && $0.contains { $0.verdict != nil } }
            daemon.signal(SIGKILL)
            #expect(try daemon.exitStatus() == -SIGKILL)
            while let received = try subscriber.receive(timeout: .milliseconds(300)) { heard.append(received.message) }

            #expect(heard.allSatisfy { $0.envelope.session == session })
            let parts = heard.compactMap(\.verdict).map(\.partID.value)
            #expect(parts == parts.sorted() && Set(parts).count == parts.count)
            #expect(try #require(parts.first) > lastPart)
            lastPart = try #require(parts.last)

            let reader = try Self.reader(station)
            #expect(try reader.sessions().map(\.number.value) == Array(1...session.value))
            #expect(try reader.sessions().last?.endedAt == nil)
            let kept = try reader.messages(.verdict, of: session, 1...10_000, limit: 10_000)
            #expect(kept.map(\.sequence.value) == Array(1...10_000).prefix(kept.count).map(UInt64.init))
            // The window of 50 ms, and a second for a disk that many share.
            let lived = try #require(heard.last?.envelope.sentMonotonicMicroseconds)
            for message in heard where message.verdict != nil {
                let isOld = message.envelope.sentMonotonicMicroseconds + 1_050_000 < lived
                let entry = kept.first { $0.sequence == message.envelope.sequence }
                if isOld { #expect(entry != nil, "verdict \(message.envelope.sequence) of session \(session) is lost") }
                if let entry { #expect(try entry.json == message.encoded()) }
            }
        }
    }

    @Test func aFullDiskIsAFlagWithinASecondAndStopsNoVerdict() throws {
        let station = try StationFixture(
            source: [Self.moving, "live: false"], more: ["journal: {reserve: 2MiB}", "evidence: {keep: off}"])
        let state = "\(station.directory)/state"
        try FileManager.default.createDirectory(atPath: state, withIntermediateDirectories: true)
        let daemon = try RunningDaemon(["--config", station.configuration], disk: state)
        guard !daemon.mayNotMount() else {
            print("skipped: this sandbox does not allow mounts, so no disk was full")
            return
        }
        var subscriber = try daemon.subscriber()
        var heard = try subscriber.receive { $0.contains { $0.verdict != nil } }
        #expect(heard.compactMap(\.state).allSatisfy { !$0.flags.contains(.degradedEvidence) })

        let disk = "/proc/\(daemon.processID)/root\(state)"
        let filler = open("\(disk)/filler", O_WRONLY | O_CREAT, 0o600)
        try #require(filler >= 0)
        let page = [UInt8](repeating: 0, count: 4096)
        while write(filler, page, page.count) > 0 {}
        close(filler)

        let isFlagged = { @Sendable (message: Message) in message.state?.flags.contains(.degradedEvidence) == true }
        heard += try subscriber.receive { $0.contains(where: isFlagged) }
        let flag = try #require(heard.first(where: isFlagged))
        #expect(flag.state?.state == .running)
        heard += try subscriber.receive { $0.count { $0.verdict != nil } >= 10 }
        #expect(heard.compactMap(\.verdict).allSatisfy { $0.disposition == .accept })

        let copy = try daemon.copyOfJournal(in: disk, to: station.directory)
        let kept = try copy.lastSequences(of: 1)
        let lastHeard = try #require(heard.last { $0.verdict != nil })
        // All but what came in the last moment.
        #expect(try #require(kept.verdict).value + 5 >= lastHeard.envelope.sequence.value)
        let firstLost = try #require(heard.first { $0.result != nil && $0.envelope.sequence > kept.result ?? 0 })
        let delay =
            Int64(flag.envelope.sentMonotonicMicroseconds) - Int64(firstLost.envelope.sentMonotonicMicroseconds)
        #expect(delay < 1_000_000, "flagged after \(delay) µs")

        unlink("\(disk)/filler")
        _ = try subscriber.receive { $0.contains { $0.state?.flags == [.replay] } }
        daemon.signal(SIGTERM)
        #expect(try daemon.exitStatus() == 0, "\(daemon.errors)")
        #expect(daemon.errors.contains("disk full, journal keeps verdicts only"))
        #expect(daemon.errors.contains("messages not journalled"))
    }

    @Test func aDamagedJournalIsMovedAsideAndSaid() throws {
        let station = try StationFixture(source: [Self.moving, "live: false"])
        let state = "\(station.directory)/state"
        var lastPart: UInt64 = 0
        for session: SessionNumber in [1, 2] {
            let daemon = try RunningDaemon(["--config", station.configuration])
            var subscriber = try daemon.subscriber()
            let heard = try subscriber.receive { $0.contains { $0.verdict != nil } }
            let verdict = try #require(heard.last?.verdict)
            #expect(heard.last?.envelope.session == session && verdict.partID.value > lastPart)
            lastPart = verdict.partID.value
            daemon.signal(SIGTERM)
            #expect(try daemon.exitStatus() == 0)
            if session == 1 {
                try Data("no database".utf8).write(to: URL(filePath: "\(state)/journal.sqlite"))
            } else {
                #expect(daemon.errors.contains("damaged journal moved aside"), "\(daemon.errors)")
            }
        }
        #expect(try Self.reader(station).sessions().map(\.number) == [2])
    }
}

extension RunningDaemon {
    /// Whether the process ended because it was to have a disk of its own and may not mount one.
    func mayNotMount() -> Bool {
        hasEndedBeforePublishing() && (errors.contains("unshare") || errors.contains("mount"))
    }

    /// A copy of the journal on the daemon's own disk, made while the daemon holds still.
    func copyOfJournal(in disk: String, to directory: String) throws -> JournalReader {
        signal(SIGSTOP)
        defer { signal(SIGCONT) }
        let copy = "\(directory)/copy.sqlite"
        for suffix in ["", "-wal"] {
            try Data(contentsOf: URL(filePath: "\(disk)/journal.sqlite\(suffix)")).write(
                to: URL(filePath: copy + suffix))
        }
        return try JournalReader(path: copy)
    }
}
