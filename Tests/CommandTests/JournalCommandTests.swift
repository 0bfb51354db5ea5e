import Archive
import Foundation
import InspectionProtocol
import InspectionRuntime
import Journal
import Logging
import Testing

extension CommandTests {
    /// The journal of a station as people and scripts read it.
    @Suite struct JournalCommandTests {
        /// Six parts of one session, a minute apart: 2 and 4 are anomalies, 5 was late.
        private let directory: TemporaryDirectory
        private let messages: [Message]

        private static let start: Int64 = 1_795_255_200_000_000  // 2026-11-21T10:00:00Z

        init() throws {
            directory = try TemporaryDirectory()
            messages = try Self.makeJournal(in: directory, parts: 6)
        }

        private static func makeJournal(in directory: TemporaryDirectory, parts: UInt64) throws -> [Message] {
            let writer = try JournalWriter(
                in: StationDirectory(taking: directory.path),
                facts: JournalSessionFacts(
                    station: try StationName("line1"), version: "1", modelSHA256: "ab", configurationSHA256: "cd"),
                settings: StationConfiguration.Journal(),
                mailbox: MailboxConfiguration(capacity: 1024, overflow: .dropOldest),
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
            var made: [Message] = []
            for part in 1...parts {
                made += try messages(about: part, reason: [2: .anomaly, 4: .anomaly, 5: .late][part] ?? .none)
            }
            for message in made { writer.send(message) }
            writer.close()
            return made
        }

        /// Runs a line of shell with the program as `$0` and a journal as `$1`, and returns its status.
        private func shell(_ line: String, _ journal: String) throws -> Int32 {
            let tests = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
            let process = Process()
            process.executableURL = URL(filePath: "/bin/bash")
            process.arguments = [
                "-o", "pipefail", "-c", line,
                URL(filePath: tests).deletingLastPathComponent().appending(path: "beltwatch").path, journal,
            ]
            process.standardError = FileHandle.nullDevice
            try process.run()
            process.waitUntilExit()
            return process.terminationStatus
        }

        private static func messages(about part: UInt64, reason: Reason) throws -> [Message] {
            let time = UTCTimestamp(microsecondsSince1970: start + Int64(part) * 60_000_000)
            let score: Double? = reason == .late ? nil : Double(part) / 2
            let verdict = Verdict(
                partID: PartID(part), triggerID: TriggerID(part), triggerSource: .everyFrame, capturedAt: time,
                capturedMonotonicMicroseconds: 1, timestampQuality: .file,
                disposition: reason == .none ? .accept : .reject, reason: reason, inspected: score != nil,
                score: score, threshold: 0.75, deadlineMonotonicMicroseconds: nil, latencyMicroseconds: 1500,
                deadlineMarginMicroseconds: nil, framesUsed: 1, recipe: "tray, \"large\"", recipeRevision: 3,
                modelSHA256: "ab", mode: .production, simulated: false, consecutiveRejects: 0)
            let details = PartResult.Details(
                picturable: BranchReport(raw: 1, mean: 2, deviation: 3, z: 1.5),
                unpicturable: BranchReport(raw: 1, mean: 2, deviation: 3, z: -0.5), responsibleBranch: .picturable,
                regions: [], stageDurations: StageDurations(), frameIDs: [],
                evidence: reason == .anomaly ? Evidence(path: "evidence/1/\(part)", sha256: nil, state: .queued) : .off,
                late: reason == .late)
            let stored = StationEvent(
                .evidenceStored, .info, "pictures stored in evidence/1/\(part)", partID: PartID(part),
                details: ["path": "evidence/1/\(part)", "sha256": "ef"])
            func message(_ body: MessageBody, sequence: UInt64) throws -> Message {
                Message(
                    envelope: Envelope(
                        station: try StationName("line1"), session: 1, sequence: SequenceNumber(sequence), sentAt: time,
                        sentMonotonicMicroseconds: part),
                    body: body)
            }
            let said = [
                try message(.verdict(verdict), sequence: part),
                try message(.result(PartResult(verdict: verdict, details: details)), sequence: part),
            ]
            // Every other part is an anomaly.
            return said + (reason == .anomaly ? [try message(.event(stored), sequence: part / 2)] : [])
        }

        private func journal(_ arguments: String...) throws -> [Substring] {
            let result = try RunningCommand(["journal", directory.path] + arguments).result()
            #expect(result.status == 0, "\(result.errors)")
            return result.output.split(whereSeparator: \.isNewline)
        }

        @Test func showsVerdictsOldestFirst() throws {
            let lines = try journal()
            #expect(lines.count == 7)
            #expect(lines[0].hasPrefix("time (UTC)"))
            #expect(lines[1].hasPrefix("2026-11-21 10:01:00.000          1          1  verdict  accept       none"))
            #expect(
                lines[5].contains("reject       late                            -       0.75     1.5 ms"), "\(lines[5])"
            )
            #expect(
                try journal("--limit", "2").dropFirst().map { $0.prefix(16) } == [
                    "2026-11-21 10:05", "2026-11-21 10:06",
                ])
        }

        @Test func linesOfJSONAreWhatWasPublished() throws {
            let result = try beltwatch(
                "journal", directory.path, "--json-lines", "--kind", "result", "--kind", "verdict")
            let published = try messages.filter { $0.body.kind != .event }
                .map { String(decoding: try $0.encoded(), as: UTF8.self) }
            let lines = result.output.split(separator: "\n").map(String.init)
            #expect(lines.sorted() == published.sorted())
            #expect(try journal("--json-lines", "--part", "4").map(String.init) == [published[6]])
        }

        @Test func criteriaCombine() throws {
            #expect(try journal("--disposition", "reject").count == 4)
            #expect(try journal("--disposition", "reject", "--reason", "late").count == 2)
            #expect(try journal("--reason", "late", "--reason", "anomaly").count == 4)
            #expect(try journal("--session", "2").isEmpty)
            #expect(try journal("--since", "2026-11-21T10:03").count == 5)
            #expect(try journal("--since", "2026-11-21T10:03:00Z", "--until", "2026-11-21T10:05:00Z").count == 3)
            #expect(try journal("--until", "2026-11-21").isEmpty)
            #expect(try journal("--kind", "reject").isEmpty)
        }

        @Test func valuesAreSeparatedAsTheRFCSays() throws {
            let result = try beltwatch("journal", directory.path, "--csv", "--kind", "result", "--reason", "late")
            let header =
                "kind,session,seq,t_utc,station,part_id,trigger_id,captured_at,disposition,reason,inspected,score,threshold,"
                + "latency_us,deadline_margin_us,recipe,recipe_revision,model_sha256,simulated,picturable_z,unpicturable_z,"
                + "branch_responsible,late,event,severity,message,peer,evidence,evidence_state,evidence_sha256,"
                + "plc_token,encoder\r\n"
            let line =
                "result,1,5,2026-11-21T10:05:00.000000Z,line1,5,5,2026-11-21T10:05:00.000000Z,reject,late,false,,0.75,1500,,"
                + "\"tray, \"\"large\"\"\",3,ab,false,1.5,-0.5,picturable,true,,,,,,off,,,\r\n"
            #expect(result.output == header + line)
            let empty = try beltwatch("journal", directory.path, "--csv", "--session", "9")
            #expect(empty.status == 0 && empty.output == header)
        }

        /// Somebody who asks about a part wants to see it.
        @Test func aPartLeadsToItsPictures() throws {
            let lines = try journal("--part", "4", "--kind", "result", "--kind", "event").dropFirst()
            #expect(lines.first { $0.contains("result") }?.hasSuffix("  pictures in evidence/1/4") == true, "\(lines)")
            #expect(
                lines.first { $0.contains(" event ") }?.hasSuffix(
                    "evidence_stored: pictures stored in evidence/1/4") == true, "\(lines)")
            let values = try journal("--part", "4", "--kind", "result", "--kind", "event", "--csv").dropFirst()
            let ends = values.map { $0.split(separator: ",", omittingEmptySubsequences: false).suffix(5).prefix(3) }
            #expect(Set(ends.map(Array.init)) == [["evidence/1/4", "queued", ""], ["evidence/1/4", "stored", "ef"]])
        }

        @Test func aSummaryAddsUp() throws {
            let result = try beltwatch("journal", directory.path, "--summary")
            #expect(
                result.output == """
                    session 1, 2026-11-21 10:01:00 to 2026-11-21 10:06:00 UTC

                    6 parts seen = 3 accepted + 0 review + 3 rejected
                      reject for anomaly: 2
                      reject for late: 1
                    no message is missing

                    """)
            #expect(try journal("--summary", "--session", "7") == ["no verdicts in the journal fit"])
        }

        @Test func aStationsFileAndADatabaseNameTheSameJournal() throws {
            let file = try directory.write(
                Data(
                    """
                    station: line1
                    model: absent
                    state_directory: .
                    source: {pipeline: videotestsrc, live: false}
                    latency_budget: 1s
                    endpoints: {verdicts: "tcp://127.0.0.1:*", results: "tcp://127.0.0.1:*"}

                    """.utf8), to: "line1.yaml")
            let outputs = try [directory.path, file, directory.file("journal.sqlite")].map {
                try beltwatch("journal", $0, "--csv").output
            }
            #expect(Set(outputs).count == 1 && outputs[0].count > 1000)
        }

        @Test func whatCannotBeReadIsNamed() throws {
            try expectRefusal(["journal", "/nowhere"], status: 66, saying: "'/nowhere'")
            let empty = try TemporaryDirectory()
            try expectRefusal(["journal", empty.path], status: 66, saying: "no journal", "first start")
            let text = try empty.write(Data("station: line1\n".utf8), to: "line1.yaml")
            try expectRefusal(["journal", text], status: 78, saying: "line1.yaml:1", "'model'")
            let garbage = try empty.write(Data(repeating: 1, count: 9000), to: "journal.sqlite")
            try expectRefusal(["journal", garbage], status: 65, saying: "damaged", "-wal")
        }

        /// By default a signal ends the writer, which a shell with `pipefail` counts as a failure.
        @Test func aReaderThatHasSeenEnoughIsNoError() throws {
            let large = try TemporaryDirectory()
            _ = try Self.makeJournal(in: large, parts: 500)
            let seen = large.file("seen")
            #expect(
                try shell("\"$0\" journal \"$1\" --json-lines --kind result | head -c 10 > '\(seen)'", large.path) == 0)
            #expect(try contents(of: seen).count == 10)
        }

        @Test func anOutputThatCannotBeWrittenIsAnError() throws {
            #expect(try shell("\"$0\" journal \"$1\" > /dev/full", directory.path) == 73)
        }
    }
}
