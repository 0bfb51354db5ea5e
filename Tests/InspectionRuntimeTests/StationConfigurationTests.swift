import Foundation
import Imaging
import InspectionProtocol
import Testing

@testable import InspectionRuntime

@Suite struct StationConfigurationTests {
    /// A station's file, each key on the line that its comment says.
    private static let complete = """
        station: line1
        model: models/bottle.safetensors
        state_directory: /var/lib/line1
        source:
          pipeline: videotestsrc
          live: false
        trigger: {mode: every_frame}
        latency_budget: 250ms
        endpoints:
          verdicts: tcp://127.0.0.1:5556
          results: tcp://127.0.0.1:5557

        """

    private func parse(_ text: String) throws -> StationConfiguration {
        try StationConfiguration(parsing: text, file: "/etc/beltwatchd/line1.yaml")
    }

    @Test func readsACompleteFile() throws {
        let station = try parse(Self.complete)
        #expect(station.station.text == "line1")
        #expect(station.model == "/etc/beltwatchd/models/bottle.safetensors")
        #expect(station.stateDirectory == "/var/lib/line1")
        #expect(station.source.pipeline == .text("videotestsrc"))
        #expect(!station.source.isLive && station.source.keepsTime)
        #expect(station.source.framePool == 26)
        #expect(station.trigger == .everyFrame)
        #expect(station.latencyBudget == .milliseconds(250))
        #expect(station.starvedAfter == .seconds(10))
        #expect(station.stallLimit == .seconds(5))
        #expect(station.region == nil)
        #expect(station.mailboxes == StationConfiguration.Mailboxes())
        #expect(station.journal == StationConfiguration.Journal())
        #expect(station.evidence == StationConfiguration.Evidence())
        #expect(station.endpoints.verdicts.description == "tcp://127.0.0.1:5556")
    }

    @Test func readsEveryOptionalKey() throws {
        let station = try parse(
            Self.complete
                .replacing(
                    "trigger: {mode: every_frame}", with: "trigger: {mode: interval, every: 500ms, offset: 20ms}"
                )
                .replacing("pipeline: videotestsrc", with: "pipeline_file: ../camera.txt\n  frame_pool: 64")
                .replacing("live: false", with: "live: false\n  keep_time: false")
                    + """
                    recipe: bottle
                    recipe_revision: 7
                    region: {x: 1, y: 2, width: 30, height: 40}
                    image_health: {minimum_brightness: 10, minimum_contrast: 2.5, maximum_saturated_share: 0.5}
                    starved_after: 1min
                    stall_limit: 1.5 s
                    journal: {sync_window: 10ms, keep: 90d, size: 1.5 GiB, reserve: 512MiB}
                    evidence: {keep: rejects, size: 2GiB, free: 64MiB, queue: 2}
                    mailboxes:
                      score: {capacity: 9, overflow: reject_newest}
                      gate: {overflow: wait}
                    """)
        #expect(station.recipe == "bottle" && station.recipeRevision == 7)
        #expect(station.trigger == .presentationTime(every: .milliseconds(500), offset: .milliseconds(20)))
        #expect(station.source.pipeline == .file(path: "/etc/camera.txt"))
        #expect(station.source.framePool == 64 && !station.source.keepsTime)
        #expect(station.region == RegionOfInterest(x: 1, y: 2, width: 30, height: 40))
        #expect(station.imageHealth.minimumContrast == 2.5)
        #expect(station.imageHealth.maximumSaturatedShare == 0.5)
        #expect(station.starvedAfter == .seconds(60))
        #expect(station.stallLimit == .milliseconds(1500))
        #expect(station.mailboxes.score == MailboxConfiguration(capacity: 9, overflow: .rejectNewest))
        #expect(station.mailboxes.gate == MailboxConfiguration(capacity: 4, overflow: .wait))
        #expect(station.journal.syncWindow == .milliseconds(10))
        #expect(station.journal.keep == .seconds(90 * 86_400))
        #expect(station.evidence.size == 2 << 30 && station.evidence.free == 64 << 20 && station.evidence.queue == 2)
        #expect(station.journal.size == 1_610_612_736 && station.journal.reserve == 512 << 20)
    }

    /// The pool must hold every frame that the line can hold.
    @Test(arguments: [
        ("evidence: {keep: off}", 16), ("evidence: {queue: 1}", 23), ("mailboxes: {fuse: {capacity: 40}}", 62),
        ("evidence: {keep: off}\nmailboxes: {fuse: {capacity: 40}, gate: {capacity: 40}}", 47),
    ])
    func framesThatAreKeptNeedTokens(lines: String, expected: Int) throws {
        #expect(try parse(Self.complete + lines).source.framePool == expected)
    }

    @Test(arguments: [
        ("30 frames", "12 frames", TriggerMode.frames(every: 30, offset: 12)),
        ("30", "12", .frames(every: 30, offset: 12)),
        ("2s", "0ms", .presentationTime(every: .seconds(2), offset: .zero)),
    ])
    func countsIntervalsInFramesOrInStreamTime(every: String, offset: String, expected: TriggerMode) throws {
        let text = Self.complete.replacing(
            "{mode: every_frame}", with: "{mode: interval, every: \(every), offset: \(offset)}")
        #expect(try parse(text).trigger == expected)
    }

    @Test func aPartMayHaveSeveralViewsAndAFrameAnAge() throws {
        let text = Self.complete.replacing("live: false", with: "live: true\n  stale_after: 100ms")
            .replacing("mode: every_frame", with: "mode: interval, every: 3 frames, views: 3")
        let station = try parse(text)
        #expect(station.trigger == .frames(every: 3, offset: 0) && station.views == 3)
        #expect(station.source.staleAfter == .milliseconds(100))
    }

    @Test func anExternalTriggerNeedsAPlaceWhereItsCommandsComeIn() throws {
        let text = Self.complete.replacing("{mode: every_frame}", with: "{mode: external}")
        #expect(try parse(text + "  recovery: ipc:///run/beltwatch/line1\n").trigger == .external)
        for (more, line, words) in [
            ("", 10, "'endpoints.recovery' is missing; it must be an ipc:// path"),
            ("  recovery: tcp://127.0.0.1:5555\n", 12, "'tcp://127.0.0.1:5555'; it must be an ipc:// path"),
        ] {
            let error = #expect(throws: ConfigurationError.self) { try parse(text + more) }
            let found = try #require(error)
            #expect(found.key == "endpoints.recovery" && "\(found)".contains(words), "\(found)")
            #expect(found.line == line, "\(found)")
        }
    }

    /// One mistake in the complete file, and what the message has to say about it.
    struct Mistake: Sendable, CustomTestStringConvertible {
        var replacing: String
        var with: String
        var line: Int?
        var key: String
        var words: [String]

        var testDescription: String { with.isEmpty ? "without \(replacing)" : with }
    }

    static let mistakes = [
        Mistake(replacing: "model:", with: "modle:", line: 2, key: "modle", words: ["did you mean 'model'"]),
        Mistake(
            replacing: "live:", with: "camera:", line: 6, key: "source.camera",
            words: ["no known key", "pipeline, live, pipeline_file"]),
        Mistake(
            replacing: "pipeline: videotestsrc", with: "pipelin: videotestsrc", line: 5, key: "source.pipelin",
            words: ["did you mean 'pipeline'"]),
        Mistake(replacing: "station: line1\n", with: "", line: 1, key: "station", words: ["missing", "letters"]),
        Mistake(replacing: "line1\n", with: "line/1\n", line: 1, key: "station", words: ["'line/1'", "letters"]),
        Mistake(replacing: "station: line1", with: "station: 17", line: 1, key: "station", words: ["the number 17"]),
        Mistake(
            replacing: "  live: false\n", with: "", line: 5, key: "source.live",
            words: ["missing", "true for a camera"]),
        Mistake(
            replacing: "live: false", with: "live: maybe", line: 6, key: "source.live", words: ["the text 'maybe'"]),
        Mistake(
            replacing: "  live: false", with: "  live: true\n  keep_time: true", line: 7, key: "source.keep_time",
            words: ["absent"]),
        Mistake(
            replacing: "  pipeline: videotestsrc\n", with: "", line: 5, key: "source.pipeline",
            words: ["missing", "pipeline_file"]),
        Mistake(
            replacing: "  live:", with: "  pipeline_file: a.txt\n  live:", line: 6, key: "source.pipeline_file",
            words: ["only one of the two"]),
        Mistake(
            replacing: "  live:", with: "  frame_pool: 3\n  live:", line: 6, key: "source.frame_pool",
            words: ["'3'", "from 26 to 4096"]),
        Mistake(replacing: "250ms", with: "250", line: 8, key: "latency_budget", words: ["the number 250", "unit"]),
        Mistake(replacing: "250ms", with: "2h", line: 8, key: "latency_budget", words: ["'2h'", "1ms to 1min"]),
        Mistake(replacing: "250ms", with: "-5ms", line: 8, key: "latency_budget", words: ["'-5ms'"]),
        Mistake(replacing: "250ms", with: "[250ms]", line: 8, key: "latency_budget", words: ["a list"]),
        Mistake(
            replacing: "mode: every_frame", with: "mode: sometimes", line: 7, key: "trigger.mode",
            words: ["'sometimes'", "every_frame, interval, external"]),
        Mistake(
            replacing: "mode: every_frame", with: "mode: every_frame, every: 3", line: 7, key: "trigger.every",
            words: ["absent"]),
        Mistake(
            replacing: "mode: every_frame", with: "mode: every_frame, views: 2", line: 7, key: "trigger.views",
            words: ["absent when the mode is every_frame"]),
        Mistake(
            replacing: "mode: every_frame", with: "mode: interval, every: 1s, views: 17", line: 7,
            key: "trigger.views", words: ["'17'", "from 1 to 16"]),
        Mistake(
            replacing: "mode: every_frame", with: "mode: interval, every: 3 frames, views: 4", line: 7,
            key: "trigger.views", words: ["'4'", "at most the 3 frames from part to part"]),
        Mistake(
            replacing: "live: false", with: "live: false\n  stale_after: 1s", line: 7, key: "source.stale_after",
            words: ["absent when 'source.live' is false"]),
        Mistake(
            replacing: "mode: every_frame", with: "mode: external, offset: 3", line: 7, key: "trigger.offset",
            words: ["absent when the mode is external"]),
        Mistake(
            replacing: "mode: every_frame", with: "mode: interval", line: 7, key: "trigger.every",
            words: ["missing", "30 frames"]),
        Mistake(
            replacing: "mode: every_frame", with: "mode: interval, every: 30, offset: 30", line: 7,
            key: "trigger.offset", words: ["below 'every'"]),
        Mistake(
            replacing: "mode: every_frame", with: "mode: interval, every: 30, offset: 1s", line: 7,
            key: "trigger.offset", words: ["count of frames"]),
        Mistake(
            replacing: "tcp://127.0.0.1:5556", with: "tcp://0.0.0.0:5556", line: 10, key: "endpoints.verdicts",
            words: ["loopback"]),
        Mistake(
            replacing: "tcp://127.0.0.1:5556", with: "http://x", line: 10, key: "endpoints.verdicts",
            words: ["loopback"]),
        Mistake(
            replacing: "127.0.0.1:5557", with: "127.0.0.1:5556", line: 11, key: "endpoints.results",
            words: ["another endpoint"]),
        Mistake(
            replacing: "  results: tcp", with: "  recovery: tcp://127.0.0.1:5557\n  results: tcp", line: 11,
            key: "endpoints.recovery", words: ["another endpoint than 'results'"]),
        Mistake(
            replacing: "model:", with: "line_stop: {consecutive_rejects: 0}\nmodel:", line: 2,
            key: "line_stop.consecutive_rejects", words: ["1 to 100000"]),
        Mistake(
            replacing: "model:", with: "line_stop: {consecutive_rejects: 3}\nmodel:", line: 2, key: "line_stop",
            words: ["ipc:// path", "Reset"]),
        Mistake(
            replacing: "model:", with: "arm: by_command\nmodel:", line: 2, key: "arm",
            words: ["at_start", "ipc:// path"]),
        Mistake(
            replacing: "  results: tcp://127.0.0.1:5557\n", with: "", line: 10, key: "endpoints.results",
            words: ["missing"]),
        Mistake(
            replacing: "model:", with: "region: {x: 0, y: 0, width: 0, height: 4}\nmodel:", line: 2,
            key: "region.width", words: ["from 1 to 65535"]),
        Mistake(
            replacing: "model:", with: "image_health: {minimum_contrast: much}\nmodel:", line: 2,
            key: "image_health.minimum_contrast", words: ["the text 'much'", "0.0 to 255.0"]),
        Mistake(
            replacing: "model:", with: "mailboxes: {score: {capacity: 0}}\nmodel:", line: 2,
            key: "mailboxes.score.capacity", words: ["from 1 to 1024"]),
        Mistake(
            replacing: "model:", with: "mailboxes: {score: {overflow: forget}}\nmodel:", line: 2,
            key: "mailboxes.score.overflow", words: ["wait, drop_oldest, reject_newest"]),
        Mistake(
            replacing: "model:", with: "mailboxes: {publish: {overflow: wait}}\nmodel:", line: 2,
            key: "mailboxes.publish.overflow", words: ["'wait'", "drop_oldest or reject_newest"]),
        Mistake(
            replacing: "model:", with: "mailboxes: {journal: {overflow: wait}}\nmodel:", line: 2,
            key: "mailboxes.journal.overflow", words: ["'wait'", "drop_oldest or reject_newest"]),
        Mistake(
            replacing: "model:", with: "journal: {sync: 50ms}\nmodel:", line: 2, key: "journal.sync",
            words: ["no known key", "sync_window, keep, size, reserve"]),
        Mistake(
            replacing: "model:", with: "journal: {sync_window: 2s}\nmodel:", line: 2, key: "journal.sync_window",
            words: ["'2s'", "from 1ms to 1s"]),
        Mistake(
            replacing: "model:", with: "journal: {keep: 10min}\nmodel:", line: 2, key: "journal.keep",
            words: ["'10min'", "from 1h to 3650d"]),
        Mistake(
            replacing: "model:", with: "journal: {size: 100}\nmodel:", line: 2, key: "journal.size",
            words: ["the number 100", "KiB, MiB, GiB, TiB"]),
        Mistake(
            replacing: "model:", with: "journal: {size: 1MiB}\nmodel:", line: 2, key: "journal.size",
            words: ["'1MiB'", "from 16MiB to 1TiB"]),
        Mistake(
            replacing: "model:", with: "journal: {reserve: 2GiB}\nmodel:", line: 2, key: "journal.reserve",
            words: ["'2GiB'", "from 1MiB to 1GiB"]),
        Mistake(
            replacing: "model:", with: "evidence: {keep: all}\nmodel:", line: 2, key: "evidence.keep",
            words: ["the text 'all'", "rejects or off"]),
        Mistake(
            replacing: "model:", with: "evidence: {size: 1MiB}\nmodel:", line: 2, key: "evidence.size",
            words: ["'1MiB'", "from 16MiB to 1TiB"]),
        Mistake(
            replacing: "model:", with: "evidence: {free: 0KiB}\nmodel:", line: 2, key: "evidence.free",
            words: ["'0KiB'", "from 1MiB to 1TiB"]),
        Mistake(
            replacing: "model:", with: "evidence: {queue: 0}\nmodel:", line: 2, key: "evidence.queue",
            words: ["from 1 to 256"]),
        Mistake(
            replacing: "station: line1", with: "station: line1\nstation: line2", line: 1, key: "station",
            words: ["twice"]),
        Mistake(replacing: "trigger: {", with: "trigger: [", line: 7, key: "", words: ["not YAML"]),
    ]

    @Test(arguments: mistakes)
    func aMistakeIsNamedWithFileLineAndKey(mistake: Mistake) throws {
        let text = Self.complete.replacing(mistake.replacing, with: mistake.with)
        try #require(text != Self.complete, "the mistake is not in the file")
        let error = #expect(throws: ConfigurationError.self) { try parse(text) }
        let found = try #require(error)
        #expect(found.file == "/etc/beltwatchd/line1.yaml")
        #expect(found.line == mistake.line, "\(found)")
        #expect(found.key == mistake.key, "\(found)")
        for word in mistake.words { #expect("\(found)".contains(word), "\(found)") }
    }

    @Test func aFileThatIsNotThereSaysSo() throws {
        let error = #expect(throws: ConfigurationError.self) {
            _ = try StationConfiguration(contentsOf: "/nowhere/line1.yaml")
        }
        #expect("\(try #require(error))" == "/nowhere/line1.yaml: cannot be read: there is no such file")
        #expect(throws: ConfigurationError.self) { try parse("") }
        #expect(throws: ConfigurationError.self) { try parse("- a\n- b\n") }
    }

    @Test func theExampleStationIsRight() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let station = try StationConfiguration(contentsOf: root.appending(path: "Systemd/example-station.yaml").path)
        #expect(station.station.text == "demo")
        #expect(station.trigger == .frames(every: 30, offset: 12))
    }

    /// Every default that the example shows in a comment is the default.
    @Test func theCommentsOfTheExampleShowTheDefaults() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let path = root.appending(path: "Systemd/example-station.yaml").path
        let text = try String(contentsOfFile: path, encoding: .utf8)
        let shown = text.replacing(
            /(?m)^( *)# (starved_after|stall_limit|image_health|mailboxes|frame_pool|stale_after|views|journal|evidence| {2}\w+: )/
        ) {
            "\($0.output.1)\($0.output.2)"
        }
        #expect(shown != text)
        #expect(
            try StationConfiguration(parsing: shown, file: path) == StationConfiguration(parsing: text, file: path))
    }
}
