import Evaluation
import Foundation
import Testing

@testable import Experiments

/// Trials with a stand-in for `beltwatch` (`stand-in.sh`).
@Suite struct WorkbenchTests {
    private let folder = FileManager.default.temporaryDirectory.appending(path: "trials-\(UUID().uuidString)").path

    private func trial(_ name: String, _ change: (inout Trial) -> Void = { _ in }) -> Trial {
        var trial = Trial(name: name, dataset: "pictures", method: "puad", size: "s", iterations: 10)
        change(&trial)
        return trial
    }

    /// - Parameter behaviour: Lines of a shell script, run before a training succeeds; `$model` is what it shall write.
    private func run(_ trials: [Trial], jobs: Int = 1, behaviour: String = "") throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try SampleFigures.json().write(to: URL(filePath: folder + "/sample.json"))
        try Data(behaviour.utf8).write(to: URL(filePath: folder + "/behaviour"))
        let program = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "stand-in.sh").path
        try Workbench(program: program, folder: folder, jobs: jobs).run(trials)
    }

    private var calls: [String] {
        get throws {
            try String(contentsOfFile: folder + "/calls", encoding: .utf8).split(separator: "\n").map(String.init)
        }
    }

    private func failure(of work: () throws -> Void) -> TrialError? {
        do { try work() } catch { return error as? TrialError }
        return nil
    }

    @Test func aTrialIsTrainedAndEvaluatedOnce() throws {
        let one = trial("set/one") { $0.options = ["--alpha", "0"] }
        try run([one])
        try run([one])
        let calls = try calls
        #expect(calls.count == 2)
        #expect(calls[0].hasPrefix("train --good pictures --out \(folder)/set/one.safetensors --method puad --size s"))
        #expect(calls[0].hasSuffix("--json --alpha 0"))
        #expect(calls[1].hasPrefix("evaluate pictures --model \(folder)/set/one.safetensors"))

        let outcome = try #require(try TrialFiles(one, in: folder).outcome())
        #expect(outcome.figures.report.imageAUROC.fused.pooled?.value == 0.875)
        #expect(outcome.record.wallSeconds > 0)
        #expect(outcome.record.peakMemoryBytes > 0)
    }

    @Test func whatATrialNeedsIsFinishedBeforeItBegins() throws {
        let first = trial("first")
        let second = trial("second") { $0.networksFrom = "first" }
        let third = trial("third") { $0.extractorFrom = "first" }
        try run([first, second, third], jobs: 3, behaviour: "cat \"$model.checkpoint\" >> '\(folder)/resumed' || true")
        let calls = try calls
        let evaluated = try #require(calls.firstIndex { $0.hasPrefix("evaluate") && $0.contains("first") })
        let later = calls.indices.filter { calls[$0].contains("second.safetensors") || calls[$0].contains("third") }
        #expect(later.allSatisfy { $0 > evaluated })
        #expect(calls.contains { $0.contains("second.safetensors") && $0.hasSuffix("--resume") })
        #expect(calls.contains { $0.hasSuffix("--extractor \(folder)/first.safetensors") })
        let resumed = try String(contentsOfFile: folder + "/resumed", encoding: .utf8)
        #expect(resumed == "networks of \(folder)/first.safetensors\n")
        // The networks that were measured anew are still those of the first.
        #expect(
            try String(contentsOfFile: folder + "/first.safetensors.checkpoint", encoding: .utf8)
                == "networks of \(folder)/first.safetensors\n")
    }

    @Test func aTrainingThatWasInterruptedResumesAndItsTimesAddUp() throws {
        let one = trial("one")
        let stopped = failure {
            try run([one, trial("two")], behaviour: "echo half > \"$model.checkpoint\"; exit 130")
        }
        #expect(stopped == .interrupted)
        let firstAttempt = try TrialFiles(one, in: folder).record()
        #expect(firstAttempt.wallSeconds > 0)
        #expect(try TrialFiles(one, in: folder).outcome() == nil)
        #expect(try calls.count == 1)

        try run([one])
        #expect(try calls[1].hasSuffix("--resume"))
        #expect(try TrialFiles(one, in: folder).record().wallSeconds > firstAttempt.wallSeconds)
    }

    @Test func aFailureSaysWhatAndWhereAndEndsTheOthers() throws {
        // The first waits to be interrupted, the second fails once the first is at work.
        let behaviour = """
            case "$model" in
            */waits*) trap 'echo interrupted > "\(folder)/trapped"; exit 130' INT; touch '\(folder)/at-work'
                while :; do sleep 0.01; done;;
            *) until [ -e '\(folder)/at-work' ]; do sleep 0.01; done
                echo 'reading'  >&2; echo 'beltwatch: error: no pictures' >&2; exit 65;;
            esac
            """
        let failed = failure { try run([trial("waits"), trial("fails")], jobs: 2, behaviour: behaviour) }
        #expect(
            failed
                == .failed(
                    trial: "fails", step: "training", status: 65, log: folder + "/fails.log",
                    lastLine: "beltwatch: error: no pictures"))
        #expect(FileManager.default.fileExists(atPath: folder + "/trapped"))
        #expect(failed?.exitStatus == 65)
    }

    /// A second signal would end `beltwatch` before its checkpoint is written.
    @Test func everyTrainingIsInterruptedOnce() throws {
        // One fails once both others are at work; those take longer to end than the third needs to fail after the first.
        let behaviour = """
            case "$model" in
            */waits*) trap 'echo once >> "\(folder)/interruptions"' INT; touch "$model.at-work"
                until [ -e '\(folder)/interruptions' ]; do sleep 0.01; done
                until [ $(wc -l < '\(folder)/interruptions') -ge 2 ]; do sleep 0.01; done; exit 130;;
            *) until [ -e '\(folder)/waits-1.safetensors.at-work' ] && [ -e '\(folder)/waits-2.safetensors.at-work' ]
                do sleep 0.01; done; exit 65;;
            esac
            """
        let failed = failure {
            try run([trial("waits-1"), trial("waits-2"), trial("fails")], jobs: 3, behaviour: behaviour)
        }
        #expect(failed?.exitStatus == 65)
        #expect(try String(contentsOfFile: folder + "/interruptions", encoding: .utf8) == "once\nonce\n")
    }

    @Test func aTrialOfTheSameNameWithOtherSettingsIsRefused() throws {
        try run([trial("one")])
        let refused = failure { try run([trial("one") { $0.iterations = 20 }]) }
        guard case .otherSettings("one", let found, let expected, folder) = refused else {
            Issue.record("\(String(describing: refused))")
            return
        }
        #expect(found.contains("10") && expected.contains("20"))
        #expect(try calls.count == 2)
    }

    @Test func figuresThatCannotBeReadAreNamed() throws {
        let one = trial("one")
        try run([one])
        let path = TrialFiles(one, in: folder).evaluation
        try Data("{".utf8).write(to: URL(filePath: path))
        guard case .unreadable(path, _) = failure(of: { _ = try TrialFiles(one, in: folder).outcome() }) else {
            Issue.record("a broken file was read")
            return
        }
    }

    @Test func aProgramThatIsNotThereIsNamed() throws {
        let missing = failure {
            try Workbench(program: folder + "/nothing", folder: folder, jobs: 1).run([trial("one")])
        }
        #expect(missing == .notStarted(program: folder + "/nothing", reason: "No such file or directory"))
    }
}
