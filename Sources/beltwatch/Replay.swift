import AnomalyScoring
import Archive
import ArgumentParser
import Capture
import Foundation
import Imaging
import InspectionProtocol
import InspectionRuntime
import Locking
import Logging
import Messaging
import SyntheticLine

/// `beltwatch replay`: what would the line have said to this recording?
struct Replay: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Runs a recording through the daemon's pipeline, losslessly.",
        discussion: """
            Examples:

              beltwatch replay line.mkv --model parts.safetensors --every 30 --offset 12
              beltwatch replay line.mkv --config /etc/beltwatchd/line1.yaml --verdicts line.jsonl
              beltwatch replay line.mkv --model trays.safetensors --manifest line.manifest.json
              beltwatch replay pictures/ --model parts.safetensors --json

            A line per part, then a summary. Nothing is dropped and nothing is late; every verdict is marked simulated. \
            The same recording, model and settings give the same verdict file, byte for byte. With a manifest, as \
            `beltwatch synthesize recording` writes it, the parts' true labels are compared with the verdicts.
            """)

    @Argument(help: ArgumentHelp("A recording or a folder of pictures.", valueName: "recording"))
    var recording: String

    @Option(help: ArgumentHelp("The model file.", valueName: "file"))
    var model: String?

    @Option(help: ArgumentHelp("Model, region, trigger, views and recipe of this station's file.", valueName: "file"))
    var config: String?

    @Option(help: "Every Nth frame is a part. (default: as the manifest or the station's file says, else every frame)")
    var every: Int?

    @Option(help: "The number of the first frame that is a part.")
    var offset: Int?

    @Option(help: ArgumentHelp("What the parts really are, and which frames show them.", valueName: "file"))
    var manifest: String?

    @Option(help: ArgumentHelp("Write a line of JSON per part here.", valueName: "file"))
    var verdicts: String?

    @Option(
        help: ArgumentHelp(
            "Publish the messages, all marked as simulated, as soon as somebody subscribes or after 10 s.",
            valueName: "endpoint"))
    var publish: String?

    @Option(help: "How many threads compute.")
    var threads = ProcessInfo.processInfo.activeProcessorCount

    @Flag(help: "Print the summary as JSON on standard output, and no line per part.")
    var json = false

    func validate() throws {
        guard (model == nil) != (config == nil) else { throw ValidationError("give either --model or --config") }
        guard (1...256).contains(threads) else { throw ValidationError("--threads must be 1 to 256, not \(threads)") }
        if let every, every < 1 { throw ValidationError("--every counts frames: 1 or more, not \(every)") }
        if let offset, offset < 0 { throw ValidationError("--offset counts frames: 0 or more, not \(offset)") }
        if offset != nil, every == nil { throw ValidationError("--offset needs --every") }
        do { _ = try publish.map { try Endpoint($0) } } catch { throw ValidationError("\(error)") }
    }

    func run() throws {
        try reportingErrors { try ReplaySession(command: self).run() }
    }
}

/// One run of `beltwatch replay`.
private struct ReplaySession {
    let command: Replay

    func run() throws {
        if let path = command.verdicts { try AtomicFile.checkReplaceable(path) }
        let source = try openSource()
        // Bound before the model is loaded, so that readers find it meanwhile.
        let context = Context()
        let publisher = try command.publish.map {
            var configuration = Publisher.Configuration.verdicts
            configuration.observesSubscriptions = true
            return try Publisher(binding: Endpoint($0), in: context, configuration: configuration)
        }
        // The stages let go of the publisher on queues of their own, perhaps after the process would have ended.
        defer {
            publisher?.close()
            context.close()
        }
        if let publisher { note("publishing on \(publisher.endpoint)") }

        let station = try command.config.map { file in
            try StationConfiguration(parsing: StationConfiguration.text(of: file), file: file)
        }
        let manifest = try command.manifest.map { try loadManifest($0) }
        let loaded = try LoadedDetector(path: command.model ?? station?.model ?? "", threads: command.threads)
        var preprocessing = loaded.model.preprocessing
        if let region = station?.region { preprocessing.region = region }

        var configuration = ReplayRun.Configuration(
            station: try station?.station ?? StationName("replay"),
            trigger: trigger(station: station, manifest: manifest), version: SoftwareVersion.current)
        if let station {
            configuration.recipe = station.recipe
            configuration.recipeRevision = station.recipeRevision
            if configuration.trigger == station.trigger { configuration.views = station.views }
        }

        let results = Lock<[PartResult]>([])
        let lines = try command.verdicts.map { try VerdictLines(path: $0) }
        let writer = PartResultWriter { [isQuiet = command.json] result in
            results.withLock { $0.append(result) }
            if !isQuiet {
                print(PartLine.text(of: result))
                // A pipe is buffered in blocks, and a person behind `| tee` waits for the next part.
                fflush(nil)
            }
            try lines?.append(VerdictFileLine(result))
        }
        var outputs: [any InspectionOutput] = [writer]
        var logger = Logger(label: "beltwatch") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = .warning
        if let publisher {
            outputs.append(
                PublishingOutput(
                    verdicts: { try publisher.publish($0) }, results: { try publisher.publish($0) },
                    mailbox: MailboxConfiguration(capacity: 256, overflow: .wait), logger: logger))
        }
        let replay = try ReplayRun(
            configuration,
            model: InspectionPipeline.Model(
                scorer: loaded.detector, fusion: loaded.model.fusion, preprocessing: preprocessing,
                healthLimits: station?.imageHealth ?? ImageHealth.Limits(), sha256: loaded.sha256),
            outputs: outputs, logger: logger)
        if let publisher, try !publisher.waitForSubscriber(atMost: .seconds(10)) {
            note("nobody subscribed within 10 s; publishing all the same")
        }
        let interruption = Interruption { replay.stop() }

        let start = Date()
        let summary: RunSummary
        do { summary = try replay.run(source) } catch {
            throw Failure("'\(command.recording)' ended early: \(error)\(whereVerdictsAre)", .unusableInput)
        }
        try writer.checkWritten()
        if interruption.isRequested {
            throw Failure("interrupted after \(summary.parts.seen) parts\(whereVerdictsAre)", .interrupted)
        }
        try lines?.finish()
        guard summary.parts.seen > 0 else {
            throw Failure(
                "none of the \(summary.frames.received) frames of '\(command.recording)' is a part; check --every and --offset",
                .unusableInput)
        }
        let outcome = try manifest.map { manifest in
            guard summary.frames.received == manifest.frameCount else {
                throw Failure(
                    """
                    '\(command.recording)' has \(summary.frames.received) frames, but its manifest says \
                    \(manifest.frameCount); the recording is not whole, and its verdicts prove nothing
                    """, .unusableInput)
            }
            return DetectionOutcome(results.withLock { $0 }, manifest: manifest)
        }
        try report(summary, outcome: outcome, seconds: Date().timeIntervalSince(start))
    }

    /// What becomes of the verdict file of a run that did not reach its end.
    private var whereVerdictsAre: String {
        command.verdicts.map { "; the verdicts until then are in '\($0).partial'" } ?? ""
    }

    private func openSource() throws -> any FrameSource {
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: command.recording, isDirectory: &isDirectory) else {
            throw Failure("'\(command.recording)' does not exist", .inputNotFound)
        }
        let pool = FramePool(capacity: 8)
        if isDirectory.boolValue {
            return try ImageFolderSource(directory: command.recording, pool: pool, unreadableImages: .refuse)
        }
        return try RecordingSource.open(path: command.recording, pool: pool)
    }

    private func trigger(station: StationConfiguration?, manifest: RecordingManifest?) -> TriggerMode {
        if let every = command.every { return .frames(every: every, offset: command.offset ?? 0) }
        if let manifest { return .frames(every: manifest.trigger.every, offset: manifest.trigger.offset) }
        return station?.trigger ?? .everyFrame
    }

    private func loadManifest(_ path: String) throws -> RecordingManifest {
        let data: Data
        do { data = try Data(contentsOf: URL(filePath: path)) } catch {
            throw Failure("cannot read the manifest '\(path)': \(error.localizedDescription)", .inputNotFound)
        }
        let manifest: RecordingManifest
        do { manifest = try JSONDecoder().decode(RecordingManifest.self, from: data) } catch {
            throw Failure("'\(path)' is not a manifest of a recording: \(error)", .unusableInput)
        }
        let trigger = manifest.trigger
        guard trigger.every >= 1, trigger.offset >= 0, manifest.parts.allSatisfy({ $0.triggerFrame >= 0 }) else {
            throw Failure(
                """
                the manifest '\(path)' has a trigger that no recording can have: every \(trigger.every) frames from \
                frame \(trigger.offset), or a part at a negative frame
                """, .unusableInput)
        }
        return manifest
    }

    private func report(_ summary: RunSummary, outcome: DetectionOutcome?, seconds: Double) throws {
        if command.json {
            let report = ReplayReport(summary, outcome: outcome, seconds: seconds)
            print(String(decoding: try JSONEncoder.sorted.encode(report), as: UTF8.self))
            return
        }
        let parts = summary.parts
        print("")
        print(
            """
            \(parts.seen) parts seen = \(parts.accepted) accepted + \(parts.review) review + \(parts.rejected) rejected, \
            \(summary.frames.received) frames in \(String(format: "%.1f", seconds)) s
            """)
        for (reason, count) in summary.rejectionsByReason.sorted(by: { $0.key.code < $1.key.code }) {
            print("  rejected for \(reason.text): \(count)")
        }
        if let median = summary.latencies.percentile(0.5), let tail = summary.latencies.percentile(0.99) {
            print(
                String(
                    format: "capture to verdict, waiting included: p50 %.0f ms, p99 %.0f ms, longest %.0f ms",
                    median.seconds * 1000, tail.seconds * 1000, summary.latencies.longest.seconds * 1000))
        }
        if let outcome { print("\n" + outcome.table) }
    }
}

/// The verdict file of a replay.
private final class VerdictLines: @unchecked Sendable {
    // Sendable because `append` is called on `beltwatch.write` alone, and `finish` once that queue has drained.
    private var writer: VerdictFileWriter?

    init(path: String) throws { writer = try VerdictFileWriter(path: path) }

    func append(_ line: VerdictFileLine) throws { try writer?.append(line) }

    func finish() throws { try writer.take()?.finish() }
}

/// What `beltwatch replay --json` prints.
private struct ReplayReport: Encodable {
    let seen: Int
    let accepted: Int
    let review: Int
    let rejected: Int
    let rejectedByReason: [String: Int]
    let framesReceived: Int
    let seconds: Double
    let latencyP50Us: Int64?
    let latencyP99Us: Int64?
    let latencyMaxUs: Int64
    let detection: DetectionOutcome?

    init(_ summary: RunSummary, outcome: DetectionOutcome?, seconds: Double) {
        seen = summary.parts.seen
        accepted = summary.parts.accepted
        review = summary.parts.review
        rejected = summary.parts.rejected
        rejectedByReason = Dictionary(
            summary.rejectionsByReason.map { ($0.key.text, $0.value) }, uniquingKeysWith: +)
        framesReceived = summary.frames.received
        self.seconds = seconds
        latencyP50Us = summary.latencies.percentile(0.5)?.microseconds
        latencyP99Us = summary.latencies.percentile(0.99)?.microseconds
        latencyMaxUs = summary.latencies.longest.microseconds
        detection = outcome
    }
}
