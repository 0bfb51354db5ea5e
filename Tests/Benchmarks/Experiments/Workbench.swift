import Dispatch
import Foundation
import Locking

/// Runs trials side by side, each as soon as what it needs is finished, and remembers on disk what is done.
final class Workbench: Sendable {
    private struct State {
        var waiting: [Trial]
        var running: [String: Work] = [:]
        var finished: Set<String> = []
        var failure: TrialError?
        var total: Int
    }

    private struct Work {
        let files: TrialFiles
        var child: ChildProcess?

        /// Whether the child was asked to end. A second time it would not stop to leave a checkpoint.
        var isInterrupted = false

        mutating func interrupt() {
            guard let child, !isInterrupted else { return }
            isInterrupted = true
            child.interrupt()
        }
    }

    private let program: String
    private let folder: String
    private let jobs: Int
    private let threads: Int
    private let state = Monitor(State(waiting: [], total: 0))

    /// - Parameter jobs: How many trials run at once, each with its share of the processors.
    init(program: String, folder: String, jobs: Int) {
        self.program = program
        self.folder = folder
        self.jobs = jobs
        threads = max(1, ProcessInfo.processInfo.activeProcessorCount / jobs)
    }

    /// Returns when all trials are finished.
    ///
    /// - Precondition: What a trial needs is among the trials, before it.
    /// - Throws: What ended the first trial that failed; the others are asked to end and leave checkpoints.
    func run(_ trials: [Trial]) throws(TrialError) {
        precondition(
            trials.indices.allSatisfy { trials[$0].needs.isSubset(of: trials[..<$0].map(\.name)) },
            "a trial that needs one that is not before it would wait for ever")
        state.withLock { $0 = State(waiting: trials, total: trials.count) }
        StopRequest.ofThisProcess.handled(by: { [self] in stop() }, during: work)
        if let failure = state.withLock({ $0.failure }) { throw failure }
    }

    /// All lanes until they have nothing more to do.
    private func work() {
        let lanes = DispatchGroup()
        for _ in 0..<jobs {
            lanes.enter()
            Thread.detachNewThread { [self] in
                while let trial = nextTrial() { finish(trial) }
                lanes.leave()
            }
        }
        let isTerminal = isatty(STDERR_FILENO) == 1
        while lanes.wait(timeout: .now() + (isTerminal ? 1 : 30)) == .timedOut { showProgress(onTerminal: isTerminal) }
        if isTerminal { FileHandle.standardError.write(Data("\r\u{1B}[K".utf8)) }
    }

    // MARK: - Lanes

    private enum Turn {
        case trial(Trial)
        case over
    }

    /// The first trial that can begin, waited for if need be; nil when this lane has nothing more to do.
    private func nextTrial() -> Trial? {
        while true {
            let turn: Turn? = state.wait(atMost: .seconds(3600)) { [folder] state in
                if state.failure != nil || state.waiting.isEmpty { return .over }
                guard let ready = state.waiting.firstIndex(where: { $0.needs.isSubset(of: state.finished) }) else {
                    return nil
                }
                let trial = state.waiting.remove(at: ready)
                state.running[trial.name] = Work(files: TrialFiles(trial, in: folder))
                return .trial(trial)
            }
            switch turn {
            case .trial(let trial): return trial
            case .over: return nil
            case nil: continue
            }
        }
    }

    private func finish(_ trial: Trial) {
        var failure: TrialError?
        do throws(TrialError) { try complete(trial) } catch { failure = error }
        state.withLock { state in
            state.running[trial.name] = nil
            if let failure {
                state.failure = state.failure ?? failure
            } else {
                state.finished.insert(trial.name)
            }
        }
        if failure != nil { interruptAll() }
    }

    /// Does the steps that are not done yet.
    private func complete(_ trial: Trial) throws(TrialError) {
        let files = TrialFiles(trial, in: folder)
        var record = try files.record()
        if files.isTrained, files.isEvaluated { return }
        try files.prepare()
        if !files.isTrained {
            let start = ContinuousClock.now
            let (status, usage) = try run(
                files.trainingArguments(threads: threads), writing: files.training, of: files)
            record.wallSeconds += (ContinuousClock.now - start) / .seconds(1)
            record.processorSeconds += usage.processorSeconds
            record.peakMemoryBytes = max(record.peakMemoryBytes, usage.peakMemoryBytes)
            try files.save(record)
            try check(status, step: "training", of: files)
            try keep(files.training)
            say("\(trial.name): trained")
        }
        let (status, _) = try run(files.evaluationArguments(threads: threads), writing: files.evaluation, of: files)
        try check(status, step: "evaluation", of: files)
        try keep(files.evaluation)
        say("\(trial.name): evaluated")
    }

    /// Runs `beltwatch` with its output in a file that gets its name only by `keep`.
    private func run(
        _ arguments: [String], writing output: String, of files: TrialFiles
    ) throws(TrialError) -> (status: Int32, usage: ChildProcess.Usage) {
        let name = files.trial.name
        if state.withLock({ $0.failure }) != nil { throw .interrupted }
        let child = try ChildProcess(program, arguments, output: Self.partial(output), log: files.log)
        state.withLock { state in
            state.running[name]?.child = child
            if state.failure != nil { state.running[name]?.interrupt() }
        }
        child.waitForEnd()
        // Before it is collected: an identifier that is free again may soon be another process's.
        state.withLock { $0.running[name]?.child = nil }
        return child.collect()
    }

    private func check(_ status: Int32, step: String, of files: TrialFiles) throws(TrialError) {
        if status == 130 { throw .interrupted }
        guard status == 0 else {
            throw .failed(
                trial: files.trial.name, step: step, status: status, log: files.log, lastLine: files.progress)
        }
    }

    private func keep(_ output: String) throws(TrialError) {
        guard rename(Self.partial(output), output) == 0 else {
            throw .notWritable(path: output, reason: String(cString: strerror(errno)))
        }
    }

    private static func partial(_ output: String) -> String { output + ".partial" }

    // MARK: - Signals and progress

    private func stop() {
        state.withLock { $0.failure = $0.failure ?? .interrupted }
        interruptAll()
    }

    private func interruptAll() {
        state.withLock { state in
            for name in state.running.keys { state.running[name]?.interrupt() }
        }
    }

    private func showProgress(onTerminal isTerminal: Bool) {
        let (finished, total, running) = state.withLock {
            ($0.finished.count, $0.total, $0.running.values.map(\.files).sorted { $0.trial.name < $1.trial.name })
        }
        let work = running.map { "\($0.trial.name): \($0.progress)" }
        let line = (["\(finished) of \(total) done"] + work).joined(separator: "; ")
        FileHandle.standardError.write(Data((isTerminal ? "\r\u{1B}[K" + line.prefix(160) : line + "\n").utf8))
    }

    private func say(_ line: String) {
        note((isatty(STDERR_FILENO) == 1 ? "\r\u{1B}[K" : "") + line)
    }
}
