import Foundation
import Imaging
import InspectionProtocol
import Yams

/// Everything that one station's file says: what it looks at, what counts as a part, and where the answers go.
///
/// Relative paths are relative to the directory of the file.
public struct StationConfiguration: Hashable, Sendable {
    /// `station`: the name in topics and messages; letters, digits, `-`, `_`.
    public var station: StationName

    /// `recipe`: what is inspected, for people and logs; default `default`.
    public var recipe: String

    /// `recipe_revision`: goes up when anything about the recipe changes; default 1.
    public var recipeRevision: Int

    /// `model`: the model file that `beltwatch train` wrote.
    public var model: String

    /// `state_directory`: where the journal, pictures, the session counter and the part ids are kept; one directory per
    /// station.
    public var stateDirectory: String

    /// `source`: where frames come from.
    public var source: Source

    /// `trigger`: which frames are parts; default every frame.
    public var trigger: TriggerMode

    /// `trigger.views`: how many frames show one part, 1…16, the one at its trigger and those right after it; default 1. The
    /// worst of them decides, and the latency budget counts from the first. More sees more sides of a part and costs the
    /// time of as many scores.
    public var views: Int

    /// `region`: the rectangle to look at, in source pixels, instead of the one in the model file.
    public var region: RegionOfInterest?

    /// `image_health`: which pictures can be judged at all; `minimum_brightness` and `minimum_contrast` 0…255,
    /// `maximum_saturated_share` 0…1. Tighter limits catch a failing lamp sooner and need a steadier picture.
    public var imageHealth: ImageHealth.Limits

    /// `latency_budget`: from capture to the latest useful verdict, 1 ms…60 s; with an external trigger, from the trigger.
    /// A part without a score by then is rejected as late. More tolerates a slower machine and needs a gate further down the belt.
    public var latencyBudget: Duration

    /// `starved_after`: how long no part may come before the state says so, 100 ms…1 h; default 10 s. It changes nothing
    /// but the state.
    public var starvedAfter: Duration

    /// `stall_limit`: how long a stage may be busy with one element before the station reports an error and stops feeding
    /// the watchdog, 100 ms…10 min; default 5 s. Less notices a hang sooner; a slow machine needs more. With an `interval`
    /// trigger also how long a live source may give no frame before it is opened again.
    public var stallLimit: Duration

    /// `endpoints`: where messages are published. Required, because several stations share a box.
    public var endpoints: Endpoints

    /// `mailboxes`: what each stage takes in, and what happens beyond.
    public var mailboxes: Mailboxes

    /// `journal`: how what the station said is kept.
    public var journal: Journal

    /// `evidence`: which pictures of parts are kept, and in how much space.
    public var evidence: Evidence

    /// `arm`: whether parts are judged as soon as frames come, `at_start`, which is the default, or when the command `Arm`
    /// says so, `by_command`.
    public var armsItself: Bool

    /// `line_stop`: after what the line should stop; by default never.
    public var lineStop: LineStop

    public struct Source: Hashable, Sendable {
        /// `source.pipeline`, a gst-launch string up to where the frames are; or `source.pipeline_file`, the path of a
        /// file that holds one.
        public var pipeline: Pipeline

        /// `source.live`: whether the frames are happening now. If not, everything is marked `simulated`. Required,
        /// because a controller acts on it and a pipeline does not tell.
        public var isLive: Bool

        /// `source.keep_time`: whether frames of a source that is not live come at the pace of their time stamps, which is
        /// the default, instead of as fast as the line takes them.
        public var keepsTime: Bool

        /// `source.stale_after`: how old a frame of a live source may be when it gets here, 1 ms…60 s; default the latency
        /// budget. An older one, such as a network camera sends after it was frozen, is not looked at and its part
        /// rejected. Less notices sooner that the camera or the network lags.
        public var staleAfter: Duration

        /// `source.frame_pool`: frames that may be in the system at once, up to 4096; default 16. Bounds the memory at one
        /// frame's bytes each; must hold what the gate's and the preprocessing mailbox hold, and three in the making, so
        /// at least 11 with mailboxes of the default size. Where evidence is kept, a frame goes all the way with its part:
        /// 15 more, for the mailboxes of `score` and `fuse`, the queue of `evidence` and what is at work there; the
        /// default is then 26, and 6 more for each further view of a part. Nothing is copied, and a slow disk cannot
        /// take the frames that the camera needs.
        public var framePool: Int

        public enum Pipeline: Hashable, Sendable {
            case text(String)
            case file(path: String)
        }
    }

    public struct Endpoints: Hashable, Sendable {
        /// `endpoints.verdicts`: PUB A, with `verdict/`, `reject/`, `heartbeat/` and `state/`.
        public var verdicts: Endpoint

        /// `endpoints.results`: PUB B, with `result/`.
        public var results: Endpoint

        /// `endpoints.recovery`: ROUTER, where readers ask for what they missed, and commands come in. Commands need an ipc
        /// endpoint, whose directory says who may give them. Nil: what was missed stays missed.
        public var recovery: Endpoint?
    }

    public struct Journal: Hashable, Sendable {
        /// `journal.sync_window`: how long messages may wait to be synced together, 1 ms…1 s. A power cut or a kill costs
        /// the messages of the last window. Less costs a sync more often: 20 a second at the default.
        public var syncWindow = Duration.milliseconds(50)

        /// `journal.keep`: how long messages stay, 1 h…3650 d.
        public var keep = Duration.seconds(30 * 86_400)

        /// `journal.size`: what the database may hold, 16 MiB…1 TiB, in bytes; the oldest messages make room. A part
        /// takes some 4 KiB.
        public var size = 1 << 30

        /// `journal.reserve`: disk space that is kept occupied, 1 MiB…1 GiB, in bytes, and given to verdicts alone when
        /// the disk is full. A verdict takes some 2 KiB.
        public var reserve = 16 << 20

        public init() {}
    }

    public struct Evidence: Hashable, Sendable {
        /// Which parts.
        public enum Keep: String, CaseIterable, Sendable {
            /// What is not accepted and was seen by a frame.
            case rejects
            case off
        }

        /// `evidence.keep`: the parts whose pictures are kept, `rejects` (the default) or `off`.
        public var keep = Keep.rejects

        /// `evidence.size`: what the pictures may take, 16 MiB…1 TiB, in bytes; the oldest parts make room. A part of
        /// 640×480 pixels takes some 750 KiB.
        public var size = 1 << 30

        /// `evidence.free`: what pictures leave free on their disk, 1 MiB…1 TiB, in bytes. With less than that no picture is
        /// kept and the flag `degraded_evidence` shows; verdicts and journal go on. More leaves them more room.
        public var free = 256 << 20

        /// `evidence.queue`: parts that may wait for the disk, 1…256, each with its frame. Of parts beyond it no picture is
        /// kept. More rides out a longer row of rejects and needs the memory of as many frames.
        public var queue = 4

        public init() {}
    }

    /// How much is too much. Then the state is `held`, heartbeats ask for a line stop and every part is rejected as
    /// `not_ready`, until the command `Reset`; a restart changes nothing about that.
    public struct LineStop: Hashable, Sendable {
        /// `line_stop.consecutive_rejects`: so many rejects in a row, 1…100,000.
        public var consecutiveRejects: Int?

        /// `line_stop.uninspected`: so many parts in a row that nothing looked at, 1…100,000.
        public var uninspected: Int?

        public init(consecutiveRejects: Int? = nil, uninspected: Int? = nil) {
            self.consecutiveRejects = consecutiveRejects
            self.uninspected = uninspected
        }
    }

    /// One mailbox before each stage. See `OverflowPolicy` for `overflow`; `capacity` is 1…1024.
    public struct Mailboxes: Hashable, Sendable {
        /// `mailboxes.gate`: whole frames. The gate only counts, so this fills only when the machine is starved.
        public var gate = MailboxConfiguration(capacity: 4, overflow: .dropOldest)

        /// `mailboxes.preprocess`: whole frames that are parts.
        public var preprocess = MailboxConfiguration(capacity: 4, overflow: .dropOldest)

        /// `mailboxes.score`: model inputs, 768 KiB each. Scoring is the slow stage, so this is where overload shows:
        /// capacity × time per part should stay below the latency budget.
        public var score = MailboxConfiguration(capacity: 4, overflow: .dropOldest)

        /// `mailboxes.fuse`: raw scores with their maps, 256 KiB each.
        public var fuse = MailboxConfiguration(capacity: 4, overflow: .dropOldest)

        /// `mailboxes.publish`: `result/` messages on their way to PUB B. A result lost here leaves a hole in its sequence
        /// numbers; verdicts do not come this way. `wait` is refused, because the decision path would be what waits.
        public var publish = MailboxConfiguration(capacity: 256, overflow: .dropOldest)

        /// `mailboxes.journal`: messages on their way to the disk, some 1 KiB each; results have a lane of their own, as
        /// wide again. Rides out a disk that stops for a moment: at 200 parts a second, 1024 last for three seconds of
        /// rejects. `wait` is refused as with `publish`.
        public var journal = MailboxConfiguration(capacity: 1024, overflow: .dropOldest)

        public init() {}

        /// Every stage waits for the next: nothing is lost, and the slowest sets the pace.
        public static var lossless: Mailboxes {
            var mailboxes = Mailboxes()
            mailboxes.gate.overflow = .wait
            mailboxes.preprocess.overflow = .wait
            mailboxes.score.overflow = .wait
            mailboxes.fuse.overflow = .wait
            mailboxes.publish.overflow = .wait
            return mailboxes
        }
    }
}

extension StationConfiguration {
    enum Key: String, CaseIterable {
        case station, recipe, model, source, trigger, region, endpoints, mailboxes, journal, evidence, arm
        case recipeRevision = "recipe_revision"
        case stateDirectory = "state_directory"
        case imageHealth = "image_health"
        case latencyBudget = "latency_budget"
        case starvedAfter = "starved_after"
        case stallLimit = "stall_limit"
        case lineStop = "line_stop"
    }

    enum SourceKey: String, CaseIterable {
        case pipeline, live
        case pipelineFile = "pipeline_file"
        case keepTime = "keep_time"
        case staleAfter = "stale_after"
        case framePool = "frame_pool"
    }

    enum TriggerKey: String, CaseIterable { case mode, every, offset, views }
    enum TriggerWord: String, CaseIterable {
        case everyFrame = "every_frame"
        case interval, external
    }
    enum RegionKey: String, CaseIterable { case x, y, width, height }
    enum HealthKey: String, CaseIterable {
        case minimumBrightness = "minimum_brightness"
        case minimumContrast = "minimum_contrast"
        case maximumSaturatedShare = "maximum_saturated_share"
    }
    enum EndpointKey: String, CaseIterable { case verdicts, results, recovery }
    enum JournalKey: String, CaseIterable {
        case syncWindow = "sync_window"
        case keep, size, reserve
    }
    enum EvidenceKey: String, CaseIterable { case keep, size, free, queue }
    enum LineStopKey: String, CaseIterable {
        case consecutiveRejects = "consecutive_rejects"
        case uninspected
    }
    enum MailboxesKey: String, CaseIterable { case gate, preprocess, score, fuse, publish, journal }
    enum MailboxKey: String, CaseIterable { case capacity, overflow }

    /// Reads and checks a station's file.
    public init(contentsOf path: String) throws(ConfigurationError) {
        try self.init(parsing: Self.text(of: path), file: path)
    }

    /// The text of a station's file, for those who also want its digest.
    public static func text(of path: String) throws(ConfigurationError) -> String {
        do {
            return try String(contentsOfFile: path, encoding: .utf8)
        } catch {
            let reason =
                FileManager.default.fileExists(atPath: path) ? "it is no readable UTF-8 text" : "there is no such file"
            throw ConfigurationError(file: path, line: nil, key: "", problem: .unreadable(reason: reason))
        }
    }

    /// Checks a station's file that was read already.
    ///
    /// - Parameter file: Names the file in errors; relative paths are relative to its directory.
    public init(parsing text: String, file: String) throws(ConfigurationError) {
        let root = try ConfigurationSection<Key>(composeYAML(text, file: file), file: file, path: [])
        let directory = URL(fileURLWithPath: file).deletingLastPathComponent()
        func path(_ key: Key, _ expected: String) throws(ConfigurationError) -> String {
            let text = try root.required(key, expected, root.text(key, expected))
            return URL(fileURLWithPath: text, relativeTo: directory).path
        }

        station = try Self.station(root)
        recipe = try root.text(.recipe, "a short text") ?? "default"
        recipeRevision = try root.integer(.recipeRevision, in: 1...1_000_000, "revisions") ?? 1
        model = try path(.model, "the path of a model file")
        stateDirectory = try path(.stateDirectory, "the path of a directory of this station's own")
        mailboxes = try Self.mailboxes(root)
        evidence = try Self.evidence(root)
        let budget = try root.duration(.latencyBudget, in: .milliseconds(1)...(.seconds(60)))
        latencyBudget = try root.required(.latencyBudget, "a duration such as 250ms", budget)
        (trigger, views) = try Self.trigger(root)
        source = try Self.source(
            root, directory: directory, mailboxes: mailboxes, evidence: evidence, views: views,
            latencyBudget: latencyBudget)
        region = try Self.region(root)
        imageHealth = try Self.imageHealth(root)
        starvedAfter = try root.duration(.starvedAfter, in: .milliseconds(100)...(.seconds(3600))) ?? .seconds(10)
        stallLimit = try root.duration(.stallLimit, in: .milliseconds(100)...(.seconds(600))) ?? .seconds(5)
        endpoints = try Self.endpoints(root, trigger: trigger)
        journal = try Self.journal(root)
        lineStop = try Self.lineStop(root)
        armsItself = try root.choice(.arm, ArmingWord.self) != .byCommand
        // Over tcp every command is denied: nobody could ever release such a station, or arm it.
        var takesCommands = false
        if case .ipc? = endpoints.recovery?.transport { takesCommands = true }
        if !takesCommands, lineStop != LineStop() {
            throw root.error(
                .lineStop,
                .outOfRange(
                    found: "there",
                    expected: "absent, unless 'endpoints.recovery' is an ipc:// path, where alone Reset is taken"))
        }
        if !takesCommands, !armsItself {
            throw root.error(
                .arm,
                .outOfRange(
                    found: "'by_command'",
                    expected: "at_start, unless 'endpoints.recovery' is an ipc:// path, where alone Arm is taken"))
        }
    }

    private static func station(_ root: ConfigurationSection<Key>) throws(ConfigurationError) -> StationName {
        let expected = "a name of 1 to \(StationName.maximumLength) letters, digits, - and _"
        let text = try root.required(.station, expected, root.text(.station, expected))
        do {
            return try StationName(text)
        } catch {
            throw root.error(.station, .outOfRange(found: "'\(text)'", expected: expected))
        }
    }

    private static func source(
        _ root: ConfigurationSection<Key>, directory: URL, mailboxes: Mailboxes, evidence: Evidence, views: Int,
        latencyBudget: Duration
    ) throws(ConfigurationError) -> Source {
        let expected = "a gst-launch string, or else give the path of a file with one as 'source.pipeline_file'"
        guard let section = try root.section(.source, SourceKey.self) else {
            throw root.error(.source, .missing(expected: "a mapping with 'pipeline' or 'pipeline_file'"))
        }
        let written = try section.text(.pipeline, "a gst-launch string")
        let file = try section.text(.pipelineFile, "the path of a file with a gst-launch string")
        let pipeline: Source.Pipeline
        switch (written, file) {
        case (let text?, nil):
            pipeline = .text(text)
        case (nil, let file?):
            pipeline = .file(path: URL(fileURLWithPath: file, relativeTo: directory).path)
        case (nil, nil):
            throw section.error(.pipeline, .missing(expected: expected))
        case (_?, _?):
            throw section.error(
                .pipelineFile, .outOfRange(found: "there beside 'source.pipeline'", expected: "the only one of the two")
            )
        }
        let liveExpected = "true for a camera, false for a recording or a test picture"
        let isLive = try section.required(.live, liveExpected, section.truth(.live, liveExpected))
        let keepsTime = try section.truth(.keepTime, "true or false")
        if isLive, keepsTime != nil {
            throw section.error(.keepTime, .outOfRange(found: "there", expected: "absent when 'source.live' is true"))
        }
        let staleAfter = try section.duration(.staleAfter, in: .milliseconds(1)...(.seconds(60)))
        if !isLive, staleAfter != nil {
            throw section.error(
                .staleAfter, .outOfRange(found: "there", expected: "absent when 'source.live' is false"))
        }
        var least = mailboxes.gate.capacity + mailboxes.preprocess.capacity + 3
        if evidence.keep != .off {
            // What waits, and one each that is scored and fused; whole parts, of which one is being written; and the views
            // that wait for the last one of their part.
            least += mailboxes.score.capacity + mailboxes.fuse.capacity + 2 + (evidence.queue + 1) * views + views - 1
        }
        let pool = try section.integer(.framePool, in: max(2, least)...4096, "frames") ?? max(16, least)
        return Source(
            pipeline: pipeline, isLive: isLive, keepsTime: keepsTime ?? true, staleAfter: staleAfter ?? latencyBudget,
            framePool: pool)
    }

    private static func trigger(
        _ root: ConfigurationSection<Key>
    ) throws(ConfigurationError) -> (mode: TriggerMode, views: Int) {
        guard let section = try root.section(.trigger, TriggerKey.self) else { return (.everyFrame, 1) }
        let mode = try Self.mode(section)
        guard mode != .everyFrame else {
            try refuse([.views], in: section, of: .everyFrame)
            return (mode, 1)
        }
        let views = try section.integer(.views, in: 1...16, "frames") ?? 1
        if case .frames(let every, _) = mode, views > every {
            throw section.error(
                .views, .outOfRange(found: "'\(views)'", expected: "at most the \(every) frames from part to part"))
        }
        return (mode, views)
    }

    private static func mode(_ section: ConfigurationSection<TriggerKey>) throws(ConfigurationError) -> TriggerMode {
        let mode = try section.choice(.mode, TriggerWord.self)
        switch try section.required(.mode, "every_frame, interval or external", mode) {
        case .everyFrame:
            try refuse([.every, .offset], in: section, of: .everyFrame)
            return .everyFrame
        case .interval:
            return try interval(section)
        case .external:
            try refuse([.every, .offset], in: section, of: .external)
            return .external
        }
    }

    private static func refuse(
        _ keys: [TriggerKey], in section: ConfigurationSection<TriggerKey>, of mode: TriggerWord
    ) throws(ConfigurationError) {
        for key in keys where section.contains(key) {
            throw section.error(
                key, .outOfRange(found: "there", expected: "absent when the mode is \(mode.rawValue)"))
        }
    }

    /// `every` and `offset`, both counted in frames or both in presentation time.
    private static func interval(_ section: ConfigurationSection<TriggerKey>) throws(ConfigurationError) -> TriggerMode
    {
        let expected = "a count such as '30 frames' (1 to 1000000) or a duration such as 500ms (1ms to 1h)"
        let every = try section.value(.every, expected, where: \.isAllowedPeriod) { scalar, _ in Spacing(scalar.string)
        }
        switch try section.required(.every, expected, every) {
        case .frames(let every):
            let expected = "a count of frames below 'every', such as '0 frames'"
            let offset: Spacing? = try section.value(
                .offset, expected,
                where: { if case .frames(let count) = $0 { (0..<every).contains(count) } else { false } },
                parse: { scalar, _ in Spacing(scalar.string) })
            guard case .frames(let count)? = offset else { return .frames(every: every, offset: 0) }
            return .frames(every: every, offset: count)
        case .time(let every):
            let expected = "a duration below 'every', such as 0ms"
            let offset: Spacing? = try section.value(
                .offset, expected,
                where: { if case .time(let time) = $0 { time >= .zero && time < every } else { false } },
                parse: { scalar, _ in Spacing(scalar.string) })
            guard case .time(let time)? = offset else { return .presentationTime(every: every, offset: .zero) }
            return .presentationTime(every: every, offset: time)
        }
    }

    private static func region(_ root: ConfigurationSection<Key>) throws(ConfigurationError) -> RegionOfInterest? {
        guard let section = try root.section(.region, RegionKey.self) else { return nil }
        func pixels(_ key: RegionKey, from least: Int) throws(ConfigurationError) -> Int {
            let value = try section.integer(key, in: least...65535, "source pixels")
            return try section.required(key, "a whole number of source pixels", value)
        }
        return RegionOfInterest(
            x: try pixels(.x, from: 0), y: try pixels(.y, from: 0), width: try pixels(.width, from: 1),
            height: try pixels(.height, from: 1))
    }

    private static func imageHealth(_ root: ConfigurationSection<Key>) throws(ConfigurationError) -> ImageHealth.Limits
    {
        var limits = ImageHealth.Limits()
        guard let section = try root.section(.imageHealth, HealthKey.self) else { return limits }
        if let value = try section.number(.minimumBrightness, in: 0...255) { limits.minimumBrightness = value }
        if let value = try section.number(.minimumContrast, in: 0...255) { limits.minimumContrast = value }
        if let value = try section.number(.maximumSaturatedShare, in: 0...1) { limits.maximumSaturatedShare = value }
        return limits
    }

    private static func endpoints(
        _ root: ConfigurationSection<Key>, trigger: TriggerMode
    ) throws(ConfigurationError) -> Endpoints {
        guard let section = try root.section(.endpoints, EndpointKey.self) else {
            throw root.error(.endpoints, .missing(expected: "a mapping with 'verdicts' and 'results'"))
        }
        // Beyond loopback everybody on the network could read and forge: that waits for keys.
        let expected = "tcp on the loopback, such as tcp://127.0.0.1:5556 or tcp://127.0.0.1:*, or an ipc:// path"
        func optional(_ key: EndpointKey) throws(ConfigurationError) -> Endpoint? {
            try section.value(key, expected, where: \.isLocal) { scalar, _ in try? Endpoint(scalar.string) }
        }
        func endpoint(_ key: EndpointKey) throws(ConfigurationError) -> Endpoint {
            try section.required(key, expected, try optional(key))
        }
        let endpoints = Endpoints(
            verdicts: try endpoint(.verdicts), results: try endpoint(.results), recovery: try optional(.recovery))
        func requireAnother(_ key: EndpointKey, _ endpoint: Endpoint?, than other: EndpointKey, _ taken: Endpoint)
            throws(ConfigurationError)
        {
            guard let endpoint, endpoint == taken, !endpoint.picksFreePort else { return }
            throw section.error(
                key, .outOfRange(found: "'\(endpoint)'", expected: "another endpoint than '\(other.rawValue)'"))
        }
        try requireAnother(.results, endpoints.results, than: .verdicts, endpoints.verdicts)
        try requireAnother(.recovery, endpoints.recovery, than: .verdicts, endpoints.verdicts)
        try requireAnother(.recovery, endpoints.recovery, than: .results, endpoints.results)
        if trigger == .external {
            let expected = "an ipc:// path, because 'trigger.mode' is external and commands are taken there alone"
            let recovery = try section.required(.recovery, expected, endpoints.recovery)
            guard case .ipc = recovery.transport else {
                throw section.error(.recovery, .outOfRange(found: "'\(recovery)'", expected: expected))
            }
        }
        return endpoints
    }

    private static func lineStop(_ root: ConfigurationSection<Key>) throws(ConfigurationError) -> LineStop {
        guard let section = try root.section(.lineStop, LineStopKey.self) else { return LineStop() }
        return LineStop(
            consecutiveRejects: try section.integer(.consecutiveRejects, in: 1...100_000, "rejects"),
            uninspected: try section.integer(.uninspected, in: 1...100_000, "parts"))
    }

    private static func journal(_ root: ConfigurationSection<Key>) throws(ConfigurationError) -> Journal {
        var journal = Journal()
        guard let section = try root.section(.journal, JournalKey.self) else { return journal }
        if let window = try section.duration(.syncWindow, in: .milliseconds(1)...(.seconds(1))) {
            journal.syncWindow = window
        }
        if let time = try section.duration(.keep, in: .seconds(3600)...(.seconds(3650 * 86_400))) {
            journal.keep = time
        }
        if let bytes = try section.byteCount(.size, in: 16 << 20...1 << 40) { journal.size = bytes }
        if let bytes = try section.byteCount(.reserve, in: 1 << 20...1 << 30) { journal.reserve = bytes }
        return journal
    }

    private static func evidence(_ root: ConfigurationSection<Key>) throws(ConfigurationError) -> Evidence {
        var evidence = Evidence()
        guard let section = try root.section(.evidence, EvidenceKey.self) else { return evidence }
        // To YAML, a bare `off` is no text.
        if let keep = try section.value(
            .keep, "rejects or off", parse: { scalar, _ in Evidence.Keep(rawValue: scalar.string) })
        {
            evidence.keep = keep
        }
        if let bytes = try section.byteCount(.size, in: 16 << 20...1 << 40) { evidence.size = bytes }
        if let bytes = try section.byteCount(.free, in: 1 << 20...1 << 40) { evidence.free = bytes }
        if let parts = try section.integer(.queue, in: 1...256, "parts") { evidence.queue = parts }
        return evidence
    }

    private static func mailboxes(_ root: ConfigurationSection<Key>) throws(ConfigurationError) -> Mailboxes {
        var mailboxes = Mailboxes()
        guard let section = try root.section(.mailboxes, MailboxesKey.self) else { return mailboxes }
        for key in MailboxesKey.allCases {
            guard let inner = try section.section(key, MailboxKey.self) else { continue }
            let place = Mailboxes.place(of: key)
            if let capacity = try inner.integer(.capacity, in: 1...1024, "elements") {
                mailboxes[keyPath: place].capacity = capacity
            }
            if let overflow = try inner.choice(.overflow, OverflowPolicy.self) {
                // These are handed over on `beltwatch.decide`, which waits for nobody.
                if key == .publish || key == .journal, overflow == .wait {
                    throw inner.error(
                        .overflow, .outOfRange(found: "'wait'", expected: "drop_oldest or reject_newest"))
                }
                mailboxes[keyPath: place].overflow = overflow
            }
        }
        return mailboxes
    }
}

extension StationConfiguration.Mailboxes {
    fileprivate static func place(
        of key: StationConfiguration.MailboxesKey
    ) -> WritableKeyPath<StationConfiguration.Mailboxes, MailboxConfiguration> {
        switch key {
        case .gate: \.gate
        case .preprocess: \.preprocess
        case .score: \.score
        case .fuse: \.fuse
        case .publish: \.publish
        case .journal: \.journal
        }
    }
}

/// The values of `arm`.
private enum ArmingWord: String, CaseIterable {
    case atStart = "at_start"
    case byCommand = "by_command"
}

/// A distance between parts as it stands in the file: `30 frames`, `30`, or `500ms`.
private enum Spacing {
    case frames(Int)
    case time(Duration)

    init?(_ text: String) {
        let words = text.split(separator: " ")
        if let count = words.first.flatMap({ Int($0) }), words.dropFirst().allSatisfy({ $0 == "frames" }),
            words.count < 3
        {
            self = .frames(count)
        } else if let time = Duration(writtenAs: text) {
            self = .time(time)
        } else {
            return nil
        }
    }

    var isAllowedPeriod: Bool {
        switch self {
        case .frames(let count): (1...1_000_000).contains(count)
        case .time(let time): (.milliseconds(1)...(.seconds(3600))).contains(time)
        }
    }
}

extension Endpoint {
    fileprivate var picksFreePort: Bool {
        if case .tcp(_, port: nil) = transport { true } else { false }
    }
}

private func composeYAML(_ text: String, file: String) throws(ConfigurationError) -> Node {
    func failure(_ line: Int?, _ key: String, _ problem: ConfigurationError.Problem) -> ConfigurationError {
        ConfigurationError(file: file, line: line, key: key, problem: problem)
    }
    do {
        guard let node = try compose(yaml: text) else {
            throw failure(nil, "", .wrongType(found: "empty", expected: "a mapping; see the example station file"))
        }
        return node
    } catch let error as ConfigurationError {
        throw error
    } catch YamlError.duplicatedKeysInMapping(let keys, let context) {
        throw failure(context.mark.line, keys.first ?? "", .duplicateKey)
    } catch YamlError.scanner(_, let problem, let mark, _), YamlError.parser(_, let problem, let mark, _),
        YamlError.composer(_, let problem, let mark, _)
    {
        throw failure(mark.line, "", .notYAML(reason: problem))
    } catch {
        throw failure(nil, "", .notYAML(reason: "\(error)"))
    }
}
