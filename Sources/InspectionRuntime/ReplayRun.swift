import Imaging
import InspectionProtocol
import Locking
import Logging

/// A recording through the line, losslessly: `beltwatch replay`.
///
/// The same pipeline as the daemon's, at the pace of its slowest stage. Every verdict is marked `simulated`, nothing is
/// ever late, the station is never ready. Parts are numbered from 1, so the same frames, model and settings give the same
/// verdicts in the same order.
public final class ReplayRun: Sendable {
    public struct Configuration: Sendable {
        /// The name in messages; default `replay`.
        public var station: StationName
        public var session: SessionNumber = 1

        /// The name in messages; default `replay`.
        public var recipe = "replay"
        public var recipeRevision = 1
        public var trigger: TriggerMode

        /// How many frames show one part; see `InspectionPipeline.Configuration`.
        public var views = 1
        public var version: String

        public init(station: StationName, trigger: TriggerMode, version: String) {
            self.station = station
            self.trigger = trigger
            self.version = version
        }
    }

    private let pipeline: InspectionPipeline

    /// - Parameter outputs: Hear every message in order; `PartResultWriter` for a line per part.
    /// - Throws: `ReplayError.externalTrigger` where a controller would have to say what is a part.
    public init(
        _ configuration: Configuration, model: InspectionPipeline.Model, outputs: [any InspectionOutput], logger: Logger
    ) throws(ReplayError) {
        guard configuration.trigger != .external else { throw .externalTrigger }
        var line = InspectionPipeline.Configuration(
            station: configuration.station, session: configuration.session, recipe: configuration.recipe,
            trigger: configuration.trigger, pace: .lossless, isLive: false, version: configuration.version)
        line.views = configuration.views
        line.recipeRevision = configuration.recipeRevision
        // A debugger or a paused machine is no fault of a replay.
        line.stallLimit = .seconds(600)
        pipeline = InspectionPipeline(
            line, model: model, partIDs: ConsecutivePartIDs(), outputs: outputs, logger: logger)
    }

    /// Runs to the end of the source, on the calling thread, and lets the outputs finish.
    ///
    /// - Throws: `RunFailure` where the source failed, such as by the end of a truncated file; the parts seen until then
    ///   were answered, written, and are in its summary.
    public func run(_ source: any FrameSource) throws(RunFailure) -> RunSummary {
        defer { pipeline.shutDown() }
        return try pipeline.run(source)
    }

    /// Takes in no more frames; `run` answers the parts in flight and returns. For Ctrl-C.
    public func stop() { pipeline.stop() }
}

/// Why a recording cannot be replayed.
public enum ReplayError: Error, Hashable, CustomStringConvertible {
    /// The triggers that came while it was recorded are not in it.
    case externalTrigger

    public var description: String {
        switch self {
        case .externalTrigger:
            "the trigger mode is external, and a recording has no controller that gives triggers; say which frames are "
                + "parts, such as every 30th"
        }
    }
}

/// Part ids from 1 on, for runs that nothing refers to afterwards.
public final class ConsecutivePartIDs: PartIDSource {
    private let last = Lock<UInt64>(0)

    public init() {}

    public func next() -> PartID {
        PartID(
            last.withLock { last in
                last += 1
                return last
            })
    }
}
