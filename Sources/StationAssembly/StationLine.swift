import Archive
import EvidenceKeeping
import Imaging
import InspectionProtocol
import InspectionRuntime
import Journal
import Logging
import Messaging

/// A station's line, and everybody that hears it: the journal, both sockets, and the endpoint that sends again.
///
/// The daemon puts a camera before it and a service manager beside it. The load figure puts a generator before it, so
/// that what is measured is what runs.
public final class StationLine: Sendable {
    public let journal: JournalWriter
    public let pipeline: InspectionPipeline

    /// PUB A.
    public let verdicts: Publisher

    /// PUB B.
    public let results: Publisher

    /// Nil where the station's file names no recovery endpoint.
    public let recovery: RecoveryServer?

    /// Nil where no pictures are kept.
    public let evidence: EvidenceWriter?
    private let recoverySource: StationRecovery
    private let vitals: VitalsMonitor
    private let context: Context

    /// Threads of its own: what floods the recovery endpoint waits for its own like, and not verdicts with it.
    private let recoveryContext: Context

    /// Takes the state directory, opens the journal, binds the sockets, and begins to send heartbeats.
    ///
    /// - Parameters:
    ///   - configurationSHA256: Digest of the station's file, hexadecimal.
    ///   - listeners: Hear every message after the journal and the sockets, on `beltwatch.decide`.
    ///   - moved: As `InspectionPipeline.init` has it.
    public init(
        _ configuration: StationConfiguration, configurationSHA256: String?, model: InspectionPipeline.Model,
        listeners: [any InspectionOutput] = [], logger: Logger, moved: @escaping @Sendable () -> Void = {}
    ) throws(StationLineError) {
        FreedMemory.keep()
        let journal = try Self.openJournal(
            configuration, configurationSHA256: configurationSHA256, modelSHA256: model.sha256, logger)
        let context = Context()
        let verdicts = try Self.closing(journal) { () throws(StationLineError) in
            try Self.bind("verdicts", configuration.endpoints.verdicts, .verdicts, in: context)
        }
        let results = try Self.closing(journal) { () throws(StationLineError) in
            try Self.bind("results", configuration.endpoints.results, .results, in: context)
        }
        let memory = StationMemory(session: journal.session)
        let lineStop = LineStopRecord(in: configuration.stateDirectory, logger: logger)
        let output = PublishingOutput(
            verdicts: { try verdicts.publish($0) }, results: { try results.publish($0) },
            mailbox: configuration.mailboxes.publish, logger: logger, published: { memory.keep($0) })
        let partIDs = try Self.closing(journal) { () throws(StationLineError) in
            do throws(StationStateError) {
                return try ReservedPartIDs(journal: journal, logger: logger)
            } catch {
                throw .state(error)
            }
        }
        let evidence: EvidenceWriter? =
            configuration.evidence.keep == .off
            ? nil
            : EvidenceWriter(
                in: configuration.stateDirectory, settings: configuration.evidence,
                preprocessing: model.preprocessing, mapOptions: model.mapOptions, logger: logger)
        let vitals = VitalsMonitor(directory: configuration.stateDirectory, journal: journal, evidence: evidence)
        let pipeline = InspectionPipeline(
            Self.lineConfiguration(
                configuration, configurationSHA256, session: journal.session, standingLineStop: lineStop.standing()),
            model: model,
            // The journal first: a verdict goes out once it is handed over to be kept.
            partIDs: partIDs, outputs: [journal, memory, output, lineStop] + listeners, record: journal,
            evidence: evidence, vitals: { vitals.vitals }, logger: logger, moved: moved)
        self.journal = journal
        self.context = context
        let recoveryContext = Context()
        self.recoveryContext = recoveryContext
        self.verdicts = verdicts
        self.results = results
        self.pipeline = pipeline
        self.vitals = vitals
        self.evidence = evidence
        evidence?.report(to: { pipeline.report(StationEvent($0)) })
        let source = StationRecovery(
            station: configuration.station, session: journal.session, memory: memory,
            journalPath: journal.files.database, takes: pipeline.commands,
            commands: { command, peer in
                let receivedAt = peer.receivedAtNanoseconds.map { MonotonicInstant(nanoseconds: $0) }
                return pipeline.perform(command, by: "\(peer)", receivedAt: receivedAt)
            })
        recoverySource = source
        recovery = try Self.closing(journal, after: { pipeline.shutDown() }) { () throws(StationLineError) in
            try configuration.endpoints.recovery.map { endpoint throws(StationLineError) in
                try Self.serveRecovery(on: endpoint, in: recoveryContext, pipeline, source: source)
            }
        }
        if let recovery {
            vitals.watch(recovery) { failure in
                pipeline.report(
                    StationEvent(.recoveryFailed, .alarm, "the recovery endpoint answers nobody any more: \(failure)"))
            }
        }
        for event in StationEvent.atStart(
            modelSHA256: model.sha256, configurationSHA256: configurationSHA256, after: journal.previousSession)
        {
            pipeline.report(event)
        }
    }

    /// Ends the heartbeat, keeps and sends what is left, and gives sockets and directory back.
    ///
    /// To be called when the pipeline's run is over, or will not be waited for any longer.
    public func shutDown() {
        // Commands first, so that none opens a part that nobody answers.
        recovery?.close()
        recoverySource.close()
        // Then pictures, so that it can still be said what became of the last ones.
        evidence?.close()
        pipeline.shutDown()
        vitals.close()
        journal.close()
        verdicts.close()
        results.close()
        context.close()
        recoveryContext.close()
    }

    // MARK: Parts

    /// A start that fails is no session that was lost: the journal notes its orderly end.
    private static func closing<Value>(
        _ journal: JournalWriter, after shutDown: () -> Void = {}, unless body: () throws(StationLineError) -> Value
    ) throws(StationLineError) -> Value {
        do throws(StationLineError) {
            return try body()
        } catch {
            shutDown()
            journal.close()
            throw error
        }
    }

    private static func bind(
        _ key: String, _ endpoint: Endpoint, _ settings: Publisher.Configuration, in context: Context
    ) throws(StationLineError) -> Publisher {
        do throws(SocketError) {
            return try Publisher(binding: endpoint, in: context, configuration: settings)
        } catch {
            throw .endpoint(key: key, error)
        }
    }

    private static func serveRecovery(
        on endpoint: Endpoint, in context: Context, _ pipeline: InspectionPipeline, source: StationRecovery
    ) throws(StationLineError) -> RecoveryServer {
        do throws(SocketError) {
            // Over ipc the directory says who may; over tcp nothing does before there are keys.
            let isPermitted = if case .ipc = endpoint.transport { true } else { false }
            return try RecoveryServer(binding: endpoint, in: context, source: source) { command, peer in
                if !isPermitted {
                    let event = StationEvent(
                        .commandDenied, .warning, "\(command.name.rawValue) denied: commands are taken over ipc alone",
                        peer: "\(peer)", details: ["command": command.name.rawValue])
                    pipeline.report(event, limitedBy: "denied \(command.name) \(peer)")
                }
                return isPermitted
            }
        } catch {
            throw .endpoint(key: "recovery", error)
        }
    }

    private static func openJournal(
        _ configuration: StationConfiguration, configurationSHA256: String?, modelSHA256: String?, _ logger: Logger
    ) throws(StationLineError) -> JournalWriter {
        let directory: StationDirectory
        do throws(StationStateError) {
            directory = try StationDirectory(taking: configuration.stateDirectory)
        } catch {
            throw .state(error)
        }
        do throws(JournalError) {
            return try JournalWriter(
                in: directory,
                facts: JournalSessionFacts(
                    station: configuration.station, version: SoftwareVersion.current, modelSHA256: modelSHA256,
                    configurationSHA256: configurationSHA256),
                settings: configuration.journal, mailbox: configuration.mailboxes.journal, logger: logger)
        } catch {
            throw .journal(error)
        }
    }

    private static func lineConfiguration(
        _ station: StationConfiguration, _ configurationSHA256: String?, session: SessionNumber,
        standingLineStop: String?
    ) -> InspectionPipeline.Configuration {
        var line = InspectionPipeline.Configuration(
            station: station.station, session: session, recipe: station.recipe, trigger: station.trigger,
            pace: .live(latencyBudget: station.latencyBudget, mailboxes: station.mailboxes),
            isLive: station.source.isLive, version: SoftwareVersion.current)
        line.views = station.views
        line.staleAfter = station.source.staleAfter
        line.recipeRevision = station.recipeRevision
        line.starvedAfter = station.starvedAfter
        line.stallLimit = station.stallLimit
        line.lineStop = station.lineStop
        line.standingLineStop = standingLineStop
        line.armsItself = station.armsItself
        line.configurationSHA256 = configurationSHA256
        return line
    }
}

/// Why a station's line cannot start.
public enum StationLineError: Error, CustomStringConvertible {
    case state(StationStateError)
    case journal(JournalError)

    /// The key below `endpoints`.
    case endpoint(key: String, SocketError)

    public var description: String {
        switch self {
        case .state(let error): "\(error)"
        case .journal(let error): "\(error)"
        case .endpoint(let key, let error): "'endpoints.\(key)': \(error)"
        }
    }
}
