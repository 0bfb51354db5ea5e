import Archive
import Foundation
import Imaging
import InspectionProtocol
import InspectionRuntime
import Journal
import Locking
import Logging
import Messaging
import StationAssembly

/// One running station: the line, its sockets, and the service manager that watches over it.
final class Station: Sendable {
    /// How long parts in flight may take beyond what the line itself allows them.
    private static let drainAllowance = Duration.seconds(5)

    private let plan: StationPlan
    private let logger: Logger
    private let context: Context
    private let endpoints: [(key: String, publisher: Publisher)]
    private let journal: JournalWriter
    private let recovery: RecoveryServer?
    private let pipeline: InspectionPipeline
    private let serviceManager: ServiceManagerLink?

    /// Why the main thread has something to do.
    private enum Event {
        case stopRequested
        case lineEnded
    }

    private let events = Monitor<[Event]>([])

    /// Takes the state directory, opens the journal, binds both sockets, and begins to send heartbeats.
    init(_ plan: StationPlan) throws(StationError) {
        self.plan = plan
        let configuration = plan.configuration
        var logger = Logger(label: "beltwatchd")
        logger[metadataKey: "station"] = "\(configuration.station)"
        self.logger = logger

        let journal = try Self.openJournal(plan, logger)
        self.journal = journal
        let context = Context()
        self.context = context
        func bind(
            _ key: String, _ endpoint: Endpoint, _ settings: Publisher.Configuration
        ) throws(StationError) -> Publisher {
            do throws(SocketError) {
                return try Publisher(binding: endpoint, in: context, configuration: settings)
            } catch {
                throw .endpoint(key: key, error)
            }
        }
        let verdicts = try bind("verdicts", configuration.endpoints.verdicts, .verdicts)
        let results = try bind("results", configuration.endpoints.results, .results)
        endpoints = [("verdicts", verdicts), ("results", results)]

        let serviceManager = ServiceManagerLink(logger: logger)
        self.serviceManager = serviceManager
        let memory = StationMemory(session: journal.session)
        let output = PublishingOutput(
            verdicts: { try verdicts.publish($0) }, results: { try results.publish($0) },
            mailbox: configuration.mailboxes.publish, logger: logger, published: { memory.keep($0) })
        let partIDs: ReservedPartIDs
        do throws(StationStateError) {
            partIDs = try ReservedPartIDs(journal: journal, logger: logger)
        } catch {
            throw .state(error)
        }
        let pipeline = InspectionPipeline(
            Self.lineConfiguration(plan, session: journal.session),
            model: InspectionPipeline.Model(
                scorer: plan.detector, fusion: plan.detector.model.fusion,
                preprocessing: Preprocessing(
                    region: configuration.region ?? plan.detector.model.preprocessing.region),
                healthLimits: configuration.imageHealth, sha256: plan.modelSHA256),
            // The journal first: a verdict goes out once it is handed over to be kept.
            partIDs: partIDs, outputs: [journal, memory, output] + (serviceManager.map { [$0] } ?? []),
            record: journal, logger: logger, moved: { serviceManager?.feedWatchdog() })
        self.pipeline = pipeline
        recovery = try configuration.endpoints.recovery.map { endpoint throws(StationError) in
            try Self.serveRecovery(
                on: endpoint, in: context, logger,
                source: StationRecovery(
                    station: configuration.station, session: journal.session, memory: memory,
                    journalPath: journal.files.database, commands: { pipeline.perform($0) }))
        }
    }

    private static func serveRecovery(
        on endpoint: Endpoint, in context: Context, _ logger: Logger, source: StationRecovery
    ) throws(StationError) -> RecoveryServer {
        do throws(SocketError) {
            // Over ipc the directory says who may; over tcp nothing does before there are keys.
            let isPermitted = if case .ipc = endpoint.transport { true } else { false }
            return try RecoveryServer(binding: endpoint, in: context, source: source) { command, _ in
                logger.notice(
                    "command", metadata: ["name": "\(command.name.rawValue)", "permitted": "\(isPermitted)"])
                return isPermitted
            }
        } catch {
            throw .endpoint(key: "recovery", error)
        }
    }

    private static func openJournal(_ plan: StationPlan, _ logger: Logger) throws(StationError) -> JournalWriter {
        let directory: StationDirectory
        do throws(StationStateError) {
            directory = try StationDirectory(taking: plan.configuration.stateDirectory)
        } catch {
            throw .state(error)
        }
        do throws(JournalError) {
            return try JournalWriter(
                in: directory,
                facts: JournalSessionFacts(
                    station: plan.configuration.station, version: SoftwareVersion.current,
                    modelSHA256: plan.modelSHA256, configurationSHA256: plan.configurationSHA256),
                settings: plan.configuration.journal, mailbox: plan.configuration.mailboxes.journal, logger: logger)
        } catch {
            throw .journal(error)
        }
    }

    private static func lineConfiguration(
        _ plan: StationPlan, session: SessionNumber
    ) -> InspectionPipeline.Configuration {
        let station = plan.configuration
        var line = InspectionPipeline.Configuration(
            station: station.station, session: session, recipe: station.recipe, trigger: station.trigger,
            pace: .live(latencyBudget: station.latencyBudget, mailboxes: station.mailboxes),
            isLive: station.source.isLive, version: SoftwareVersion.current)
        line.recipeRevision = station.recipeRevision
        line.starvedAfter = station.starvedAfter
        line.stallLimit = station.stallLimit
        line.lineStop = station.lineStop
        line.configurationSHA256 = plan.configurationSHA256
        return line
    }

    /// Inspects until SIGTERM or SIGINT.
    func run() throws(StationError) {
        let signals = StopSignals { [events] in events.withLock { $0.append(.stopRequested) } }
        defer { signals.cancel() }
        for (key, publisher) in endpoints {
            // For scripts that asked for any free port.
            print("publishing \(key) on \(publisher.endpoint)")
            logger.info("publishing", metadata: ["kind": "\(key)", "endpoint": "\(publisher.endpoint)"])
        }
        if let recovery {
            print("answering recovery on \(recovery.endpoint)")
            logger.info("answering", metadata: ["kind": "recovery", "endpoint": "\(recovery.endpoint)"])
        }
        fflush(nil)

        Thread.detachNewThread { [self] in
            inspect()
            events.withLock { $0.append(.lineEnded) }
        }
        // A recording that is over leaves the station up and halted: silence would look like a dead daemon.
        waitForEvent { $0.contains(.stopRequested) }
        logger.info("stopping")
        serviceManager?.tell(.stopping)
        pipeline.stop()
        let line = plan.configuration
        let limit = max(line.latencyBudget, line.stallLimit) + Self.drainAllowance
        let hasDrained = waitForEvent(atMost: limit) { $0.contains(.lineEnded) }
        pipeline.shutDown()
        recovery?.close()
        journal.close()
        for (_, publisher) in endpoints { publisher.close() }
        context.close()
        logger.info("stopped")
        if !hasDrained { throw .didNotDrain }
    }

    /// On a thread of its own: pulls frames until there are no more, or `stop`.
    private func inspect() {
        let summary: RunSummary
        if plan.configuration.source.isLive {
            summary = pipeline.keepRunning { try plan.openSource() }
        } else {
            do throws(RunFailure) {
                summary = try pipeline.run(try plan.openSource())
            } catch {
                summary = error.summary
            }
        }
        logger.info(
            "line ended",
            metadata: [
                "seen": "\(summary.parts.seen)", "accepted": "\(summary.parts.accepted)",
                "rejected": "\(summary.parts.rejected)", "frames": "\(summary.frames.received)",
            ])
    }

    @discardableResult
    private func waitForEvent(
        atMost limit: Duration = .seconds(365 * 86_400), _ condition: ([Event]) -> Bool
    ) -> Bool {
        events.wait(atMost: limit) { condition($0) ? true : nil } ?? false
    }
}
