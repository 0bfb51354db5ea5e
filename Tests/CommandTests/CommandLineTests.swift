import Foundation
import Testing

extension CommandTests {
    /// What the command lines say and understand.
    @Suite struct CommandLineTests {
        @Test(arguments: [
            ["train"], ["evaluate"], ["replay"], ["watch"], ["benchmark"], ["synthesize"], ["synthesize", "dataset"],
            ["synthesize", "recording"], ["journal"], ["command"],
        ])
        func helpShowsAnExample(_ command: [String]) throws {
            let result = try RunningCommand(command + ["--help"]).result()
            #expect(result.status == 0)
            #expect(result.output.contains("Example"))
            #expect(result.output.contains("  beltwatch \(command.joined(separator: " ")) "), "\(result.output)")
        }

        @Test func theFirstHelpNamesEveryCommandAndExitStatus() throws {
            let help = try beltwatch("--help").output
            for word in [
                "train", "evaluate", "replay", "watch", "command", "journal", "benchmark", "synthesize", "64", "65",
                "66", "69",
                "70", "73", "77", "78", "130",
            ] {
                #expect(help.contains(word))
            }
        }

        @Test(arguments: [
            (["train", "--good", "x", "--out", "y", "--epochs", "3"], "--epochs"),
            (["train", "--good", "x"], "--out"),
            (["train", "--good", "x", "--out", "y", "--iterations", "2", "--time-budget", "3s"], "not both"),
            (["train", "--good", "x", "--out", "y", "--time-budget", "3 hours"], "3 hours"),
            (["train", "--good", "x", "--out", "y", "--false-reject-budget", "1"], "between 0 and 1"),
            (["train", "--good", "x", "--out", "y", "--region", "1,2,3"], "1,2,3"),
            (["train", "--good", "x", "--out", "y", "--size", "xl"], "'xl' is invalid"),
            (["evaluate", "x"], "--model"),
            (["replay", "x"], "either --model or --config"),
            (["replay", "x", "--model", "y", "--offset", "3"], "--offset needs --every"),
            (["replay", "x", "--model", "y", "--publish", "127.0.0.1:5556"], "neither tcp nor ipc"),
            (["watch"], "endpoint"),
            (["benchmark"], "--cpu, --model, or both"),
            (["benchmark", "--cpu", "--threads", "0"], "1 to 256"),
            (["watch", "tcp://127.0.0.1"], "not tcp://host:port"),
            (["synthesize", "recording", "x.mkv", "--good", "0", "--logical", "0", "--structural", "0"], "one part"),
            (["synthesize", "recording", "x.mp4"], ".mkv"),
            (["command", "ipc:///run/x", "trigger"], "trigger needs --token"),
            (["command", "ipc:///run/x", "reset", "--token", "3"], "belong to trigger"),
            (["command", "/run/x", "reset"], "neither tcp nor ipc"),
        ])
        func wrongUseIsExplained(_ arguments: [String], words: String) throws {
            try expectRefusal(arguments, status: 64, saying: words, "Usage: beltwatch")
        }

        @Test(arguments: ["train", "evaluate", "replay"])
        func everyExampleIsUnderstood(_ command: String) throws {
            let readme = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
                .deletingLastPathComponent().appending(path: "README.md")
            let help = try beltwatch(command, "--help").output.replacing(/\\\n\s+/, with: " ")
            let lines = (try String(contentsOf: readme, encoding: .utf8) + help).split(separator: "\n")
            let examples = lines.map { $0.drop { $0 == " " } }
                .filter { $0.hasPrefix("beltwatch \(command) ") && !$0.contains("`") }
            #expect(examples.count >= 3)
            let nowhere = try TemporaryDirectory()
            for example in examples {
                let arguments = example.prefix { $0 != ">" }.split(separator: " ").dropFirst().map(String.init)
                // Nothing that it names exists, which is another matter than not being understood.
                let result = try RunningCommand(arguments, in: nowhere.path).result()
                #expect([66, 78].contains(result.status), "\(example): \(result.errors)")
            }
        }
    }
}
