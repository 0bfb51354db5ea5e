import Foundation
import Imaging
import InspectionRuntime
import Locking
import Logging
import StationAssembly

/// One running station: the line, its sockets, and the service manager that watches over it.
final class Station: Sendable {
    /// How long parts in flight may take beyond what the line itself allows them.
    private static let drainAllowance = Duration.seconds(5)

    private let plan: StationPlan
    private let logger: Logger
    private let line: StationLine
    private let serviceManager: ServiceManagerLink?

    /// Why the main thread has something to do.
    private enum Event {
        case stopRequested
        case lineEnded
    }

    private let events = Monitor<[Event]>([])

    /// Takes the state directory, opens the journal, binds the sockets, and begins to send heartbeats.
    init(_ plan: StationPlan) throws(StationError) {
        self.plan = plan
        let configuration = plan.configuration
        var logger = Logger(label: "beltwatchd")
        logger[metadataKey: "station"] = "\(configuration.station)"
        self.logger = logger

        let serviceManager = ServiceManagerLink(logger: logger)
        self.serviceManager = serviceManager
        let detector = plan.detector
        do throws(StationLineError) {
            line = try StationLine(
                configuration, configurationSHA256: plan.configurationSHA256,
                model: InspectionPipeline.Model(
                    scorer: detector, fusion: detector.model.fusion,
                    preprocessing: Preprocessing(region: configuration.region ?? detector.model.preprocessing.region),
                    healthLimits: configuration.imageHealth, mapOptions: detector.model.mapOptions,
                    sha256: plan.modelSHA256),
                listeners: serviceManager.map { [$0] } ?? [], logger: logger,
                moved: { serviceManager?.feedWatchdog() })
        } catch {
            throw .line(error)
        }
    }

    /// Inspects until SIGTERM or SIGINT.
    func run() throws(StationError) {
        let signals = StopSignals { [events] in events.withLock { $0.append(.stopRequested) } }
        defer { signals.cancel() }
        for (key, publisher) in [("verdicts", line.verdicts), ("results", line.results)] {
            // For scripts that asked for any free port.
            tell("publishing \(key) on \(publisher.endpoint)")
            logger.info("publishing", metadata: ["kind": "\(key)", "endpoint": "\(publisher.endpoint)"])
        }
        if let recovery = line.recovery {
            tell("answering recovery on \(recovery.endpoint)")
            logger.info("answering", metadata: ["kind": "recovery", "endpoint": "\(recovery.endpoint)"])
        }

        Thread.detachNewThread { [self] in
            inspect()
            events.withLock { $0.append(.lineEnded) }
        }
        // A recording that is over leaves the station up and halted: silence would look like a dead daemon.
        waitForEvent { $0.contains(.stopRequested) }
        logger.info("stopping")
        serviceManager?.tell(.stopping)
        line.pipeline.stop()
        let limit = max(plan.configuration.latencyBudget, plan.configuration.stallLimit) + Self.drainAllowance
        let hasDrained = waitForEvent(atMost: limit) { $0.contains(.lineEnded) }
        line.shutDown()
        logger.info("stopped")
        if !hasDrained { throw .didNotDrain }
    }

    /// A line on standard output. Not by `print`: flushing it takes standard error's lock as well, which a log line that
    /// nobody reads holds for ever.
    private func tell(_ line: String) { try? FileHandle.standardOutput.write(contentsOf: Data((line + "\n").utf8)) }

    /// On a thread of its own: pulls frames until there are no more, or `stop`.
    private func inspect() {
        let summary: RunSummary
        if plan.configuration.source.isLive {
            summary = line.pipeline.keepRunning { try plan.openSource() }
        } else {
            do throws(RunFailure) {
                summary = try line.pipeline.run(try plan.openSource())
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
