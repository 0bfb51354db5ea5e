import ArgumentParser
import Foundation
import Glibc
import InspectionProtocol
import InspectionRuntime
import Journal

/// `beltwatch journal`: what a station has said, from its journal on disk.
struct JournalCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "journal",
        abstract: "Shows, counts and exports what a station has said.",
        discussion: """
            Examples:

              beltwatch journal /etc/beltwatchd/line1.yaml --summary --since 8h
              beltwatch journal /var/lib/beltwatchd/line1 --disposition reject --limit 20
              beltwatch journal line1.yaml --part 4711 --kind verdict --kind result --json-lines
              beltwatch journal line1.yaml --kind event --since 8h
              beltwatch journal copy.sqlite --kind result --since 2026-11-01 --until 2026-12-01 --csv > november.csv

            Only reads, also while the station runs. What it prints is the verdicts, unless --kind says otherwise; oldest \
            first; with --limit the latest so many. A time is a day or a moment in UTC, or how long ago it was: 2026-11-21, \
            2026-11-21T10:30, 2026-11-21T10:30:00Z, 90s, 8h, 7d.

            Lines of JSON are the messages, byte for byte as they were published. CSV is that of RFC 4180, with a header \
            line; a field without a value is empty.
            """)

    @Argument(
        help: ArgumentHelp("A station's file, its state directory, or a journal.sqlite.", valueName: "journal"))
    var path: String

    @Option(help: ArgumentHelp("Only from this time on.", valueName: "time"))
    var since: TimeArgument?

    @Option(help: ArgumentHelp("Only before this time.", valueName: "time"))
    var until: TimeArgument?

    @Option(help: "Only this session.")
    var session: UInt64?

    @Option(help: "Only this part.")
    var part: UInt64?

    @Option(
        help: "verdict, reject, result or event; may be given several times.",
        transform: { text in
            guard let kind = MessageKind(rawValue: text), kind.isJournalled else {
                throw ValidationError("'\(text)' is no kind that is kept; kinds are verdict, reject, result and event")
            }
            return kind
        })
    var kind: [MessageKind] = []

    @Option(
        help: "accept, review or reject; may be given several times.",
        transform: { text in
            guard let disposition = Disposition(rawValue: text) else {
                throw ValidationError("'\(text)' is no disposition; they are accept, review and reject")
            }
            return disposition
        })
    var disposition: [Disposition] = []

    @Option(
        help: "Such as anomaly or late; may be given several times.",
        transform: { text in
            let known = Reason.all.map(\.text)
            guard known.contains(text) else {
                throw ValidationError("'\(text)' is no reason; they are \(known.joined(separator: ", "))")
            }
            return text
        })
    var reason: [String] = []

    @Option(help: "Only the latest so many.")
    var limit: Int?

    @Flag(help: "Count verdicts by disposition and reason, and what is missing.")
    var summary = false

    @Flag(help: "Print the messages as they were published.")
    var jsonLines = false

    @Flag(help: "Print comma-separated values.")
    var csv = false

    func validate() throws {
        if [summary, jsonLines, csv].count(where: { $0 }) > 1 {
            throw ValidationError("--summary, --json-lines and --csv exclude each other")
        }
        if summary, !kind.isEmpty { throw ValidationError("--summary counts verdicts and goes without --kind") }
        if summary, limit != nil { throw ValidationError("--summary counts everything and goes without --limit") }
        if let limit, limit < 1 { throw ValidationError("--limit must be at least 1, not \(limit)") }
    }

    func run() throws {
        try reportingErrors {
            do {
                let reader = try JournalReader(path: Self.database(of: path))
                let output = StandardOutput()
                if summary {
                    try output.write(JournalTable.text(of: reader.summary(of: filter)))
                } else {
                    try show(reader, on: output)
                }
                try output.flush()
            } catch let error as JournalError {
                if case .missing = error { throw Failure("\(error)", .inputNotFound) }
                throw Failure("\(error)", .unusableInput)
            } catch StandardOutput.Failure.closed {
                // Whoever reads has seen enough, which is what `head` is for.
            }
        }
    }

    private var filter: JournalFilter {
        var filter = JournalFilter()
        filter.kinds = kind.isEmpty ? [.verdict] : Set(kind)
        filter.session = session.map { SessionNumber($0) }
        filter.partID = part.map { PartID($0) }
        filter.dispositions = Set(disposition)
        filter.reasons = Set(reason)
        filter.since = since?.time
        filter.until = until?.time
        filter.limit = limit
        return filter
    }

    private func show(_ reader: JournalReader, on output: StandardOutput) throws {
        if csv { try output.write(JournalCSV.header) }
        var table = JournalTable()
        try reader.forEach(matching: filter) { entry in
            if jsonLines {
                try output.write(entry.json + [UInt8(ascii: "\n")])
            } else {
                let message: Message
                do { message = try entry.message() } catch {
                    let name = "\(entry.kind.rawValue) \(entry.sequence) of session \(entry.session)"
                    throw Failure("\(name) cannot be read: \(error)", .unusableInput)
                }
                try output.write(csv ? JournalCSV.line(of: message) : table.lines(of: message))
            }
        }
        if !csv, !jsonLines, table.isEmpty { note("nothing in the journal fits") }
    }

    /// The database that a path stands for.
    private static func database(of path: String) throws -> String {
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
            throw Failure("there is no '\(path)'", .inputNotFound)
        }
        if isDirectory.boolValue { return JournalFiles(in: path).database }
        let start = FileHandle(forReadingAtPath: path).map { $0.readData(ofLength: 16) }
        let isDatabase = start == Data("SQLite format 3\0".utf8) || path.hasSuffix(".sqlite")
        return isDatabase ? path : JournalFiles(in: try StationConfiguration(contentsOf: path).stateDirectory).database
    }
}

/// A moment on the command line: a day or a time in UTC, or how long ago it was.
struct TimeArgument: ExpressibleByArgument {
    let time: UTCTimestamp

    init?(argument: String) {
        let parts = ["", "T00:00:00.000000Z", ":00.000000Z", ".000000Z"]
        let text = argument.hasSuffix("Z") ? String(argument.dropLast()) : argument
        if let time = parts.lazy.compactMap({ UTCTimestamp(text + $0) ?? UTCTimestamp(argument + $0) }).first {
            self.time = time
        } else if let days = argument.hasSuffix("d") ? Double(argument.dropLast()) : nil, (0..<40_000).contains(days) {
            time = Self.before(microseconds: days * 86_400e6)
        } else if let ago = DurationArgument(argument: argument)?.duration {
            time = Self.before(microseconds: ago.seconds * 1e6)
        } else {
            return nil
        }
    }

    private static func before(microseconds: Double) -> UTCTimestamp {
        UTCTimestamp(microsecondsSince1970: UTCTimestamp.now().microsecondsSince1970 - Int64(microseconds))
    }
}
