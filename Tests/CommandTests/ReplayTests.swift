import Foundation
import Glibc
import InspectionProtocol
import Testing

extension CommandTests {
    @Suite struct ReplayTests {
        @Test func theSameRecordingGivesTheSameFile() throws {
            let directory = try TemporaryDirectory()
            let trained = try Workshop.trained()
            var results: [RunningCommand.Result] = []
            for name in ["first.jsonl", "second.jsonl"] {
                results.append(
                    try succeedingBeltwatch(
                        "replay", "\(trained)/line.mkv", "--model", "\(trained)/model.safetensors", "--manifest",
                        "\(trained)/line.manifest.json", "--verdicts", directory.file(name)))
            }
            let file = try contents(of: directory.file("first.jsonl"))
            #expect(try contents(of: directory.file("second.jsonl")) == file)
            #expect(!directory.exists("first.jsonl.partial"))

            let verdicts = try file.split(separator: UInt8(ascii: "\n"))
                .map { try JSONDecoder().decode(VerdictFileLine.self, from: $0) }
            #expect(verdicts.map(\.partID.value) == Array(1...6))
            #expect(verdicts.map { $0.frameIDs.map(\.value) } == [[4], [12], [20], [28], [36], [44]])
            #expect(verdicts.allSatisfy { $0.simulated && $0.score != nil })

            let output = results[0].output
            let lines = output.split(separator: "\n")
            #expect(lines.count { $0.hasPrefix("part ") } == 6)
            let (accepted, rejected) = (
                verdicts.count { $0.disposition == .accept }, verdicts.count { $0.disposition == .reject }
            )
            #expect(
                output.contains(
                    "6 parts seen = \(accepted) accepted + 0 review + \(rejected) rejected, 48 frames"), "\(output)")
            let table = lines.filter { $0.hasPrefix("good ") || $0.hasPrefix("all ") }
                .map { $0.split(separator: " ").dropFirst().compactMap { Int($0) } }
            // parts and falsely rejected; parts, caught, missed and falsely rejected
            #expect(table.map(\.first) == [3, 6])
            let all = try #require(table.last)
            #expect(all[1] + all[2] == 3 && all[1] + all[3] == rejected, "\(output)")
        }

        @Test func aFolderOfPicturesIsALineToo() throws {
            let trained = try Workshop.trained()
            let result = try succeedingBeltwatch(
                "replay", "\(trained)/trays/test/good", "--model", "\(trained)/model.safetensors", "--json")
            struct Report: Decodable {
                let seen: Int
                let accepted: Int
                let review: Int
                let rejected: Int
                let framesReceived: Int
            }
            let decoder = JSONDecoder()
            decoder.keyDecodingStrategy = .convertFromSnakeCase
            let report = try decoder.decode(Report.self, from: Data(result.output.utf8))
            #expect(report.seen == 3 && report.framesReceived == 3)
            #expect(report.accepted + report.review + report.rejected == report.seen)
        }

        @Test func aWatcherOfAStationThatIsNotThereSaysSo() throws {
            let directory = try TemporaryDirectory()
            let watcher = try RunningCommand(["watch", "ipc://\(directory.file("verdicts"))"])
            try watcher.waitForErrors(containing: "no heartbeat for 0.35 s: nothing may be accepted")
            watcher.signal(SIGINT)
            #expect(try watcher.result().status == 0)
        }

        @Test func aManifestOfAnotherRecordingIsRefused() throws {
            let directory = try TemporaryDirectory()
            let trained = try Workshop.trained()
            let text = String(decoding: try contents(of: "\(trained)/line.manifest.json"), as: UTF8.self)
            let other = try directory.write(
                Data(text.replacing("\"frame_count\" : 48", with: "\"frame_count\" : 56").utf8), to: "manifest.json")
            try expectRefusal(
                [
                    "replay", "\(trained)/line.mkv", "--model", "\(trained)/model.safetensors", "--manifest", other,
                ], status: 65, saying: "has 48 frames", "manifest says 56")
            for (right, wrong) in [
                ("\"every\" : 8", "\"every\" : 0"), ("\"trigger_frame\" : 4", "\"trigger_frame\" : -4"),
            ] {
                let impossible = try directory.write(Data(text.replacing(right, with: wrong).utf8), to: "manifest.json")
                try expectRefusal(
                    [
                        "replay", "\(trained)/line.mkv", "--model", "\(trained)/model.safetensors", "--manifest",
                        impossible,
                    ], status: 65, saying: "trigger that no recording can have")
            }
            try expectRefusal(
                [
                    "replay", "\(trained)/line.mkv", "--model", "\(trained)/model.safetensors", "--manifest",
                    directory.file("absent"),
                ], status: 66, saying: "absent")
        }

        @Test func aTriggerThatMeetsNoFrameIsNoSuccess() throws {
            let trained = try Workshop.trained()
            try expectRefusal(
                [
                    "replay", "\(trained)/line.mkv", "--model", "\(trained)/model.safetensors", "--every", "8",
                    "--offset", "4000",
                ], status: 65, saying: "--offset")
        }

        @Test func aRecordingIsNotOverwritten() throws {
            let recording = "\(try Workshop.trained())/line.mkv"
            let before = try contents(of: recording)
            try expectRefusal(
                ["synthesize", "recording", recording, "--good", "1", "--logical", "0", "--structural", "0"],
                status: 73,
                saying: "exists already")
            #expect(try contents(of: recording) == before)
        }

        @Test func publishedVerdictsReachAWatcher() throws {
            let directory = try TemporaryDirectory()
            let trained = try Workshop.trained()
            let endpoint = "ipc://\(directory.file("verdicts"))"
            let watcher = try RunningCommand(["watch", endpoint, "--count", "6"])
            try watcher.waitForErrors(containing: "watching \(endpoint)")
            let replay = try succeedingBeltwatch(
                "replay", "\(trained)/line.mkv", "--model", "\(trained)/model.safetensors", "--every", "8", "--offset",
                "4", "--publish", endpoint)
            let watched = try watcher.result()
            #expect(watched.status == 0)
            let seen = watched.output.split(separator: "\n").filter { $0.contains("  part ") }
            #expect(seen.count == 6, "\(watched.output)")
            for (number, line) in seen.enumerated() {
                #expect(line.hasPrefix("replay  part    \(number + 1)  ") && line.contains("simulated"), "\(line)")
            }
            func dispositions(_ text: String) -> [String] {
                text.matches(of: /part +\d+  (\w+)/).map { String($0.output.1) }
            }
            #expect(dispositions(watched.output) == dispositions(replay.output))
            #expect(!watched.errors.contains("missed"), "\(watched.errors)")
        }

        @Test func aTruncatedRecordingIsNotTakenForWhole() throws {
            let directory = try TemporaryDirectory()
            let trained = try Workshop.trained()
            let whole = try contents(of: "\(trained)/line.mkv")
            let short = try directory.write(whole.prefix(whole.count * 6 / 10), to: "short.mkv")
            try expectRefusal(
                [
                    "replay", short, "--model", "\(trained)/model.safetensors", "--every", "8", "--verdicts",
                    directory.file("v.jsonl"),
                ], status: 65, saying: "is truncated", "frames", "parts", "v.jsonl.partial")
            #expect(directory.exists("v.jsonl.partial") && !directory.exists("v.jsonl"))
            let empty = try directory.write(Data(), to: "empty.mkv")
            try expectRefusal(
                ["replay", empty, "--model", "\(trained)/model.safetensors"], status: 65, saying: "empty.mkv")
        }

        @Test func aModelThatIsNotWholeIsRefused() throws {
            let directory = try TemporaryDirectory()
            let trained = try Workshop.trained()
            let whole = try contents(of: "\(trained)/model.safetensors")
            var flipped = whole
            flipped[whole.count / 2] ^= 1
            let cases: [(name: String, bytes: Data, words: String)] = [
                ("flipped", flipped, "check 'data digest' failed"),
                ("short", whole.dropLast(1000), "truncated"),
                ("text", Data("not a model at all".utf8), "no safetensors file"),
                ("checkpoint", try contents(of: "\(trained)/model.safetensors.checkpoint"), "check 'manifest' failed"),
            ]
            for (name, bytes, words) in cases {
                let model = try directory.write(bytes, to: name)
                try expectRefusal(
                    ["replay", "\(trained)/line.mkv", "--model", model], status: 65,
                    saying: "model '\(model)' is refused",
                    words)
            }
            try expectRefusal(
                ["replay", "\(trained)/line.mkv", "--model", directory.file("absent")], status: 66,
                saying: "does not exist")
        }

        @Test func whatIsMissingIsNamedBeforeTheWork() throws {
            let directory = try TemporaryDirectory()
            let trained = try Workshop.trained()
            let model = "\(trained)/model.safetensors"
            try expectRefusal(
                ["replay", "\(trained)/absent.mkv", "--model", model], status: 66, saying: "absent.mkv")
            try expectRefusal(
                ["replay", "\(trained)/line.mkv", "--model", model, "--verdicts", directory.file("absent/v.jsonl")],
                status: 73, saying: "cannot write '\(directory.file("absent"))'")
            try expectRefusal(
                ["replay", "\(trained)/line.mkv", "--model", model, "--verdicts", directory.path], status: 73,
                saying: "it is a directory")
            let station = try directory.write(
                Data("station: line1\nmodle: \(model)\n".utf8), to: "station.yaml")
            try expectRefusal(
                ["replay", "\(trained)/line.mkv", "--config", station], status: 78, saying: "station.yaml:2", "'modle'")
        }
    }
}
