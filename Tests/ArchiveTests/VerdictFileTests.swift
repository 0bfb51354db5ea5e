import Foundation
import Testing

@testable import Archive

@Suite struct VerdictFileTests {
    private struct Line: Codable {
        var part: String
        var accept: Bool
        var score: Double
    }

    let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    @Test func linesHaveSortedKeysAndTheFileGetsItsNameAtTheEnd() throws {
        let path = directory.file("verdicts.jsonl")
        var writer = try VerdictFileWriter(path: path)
        try writer.append(Line(part: "a/1", accept: true, score: 0.1))
        #expect(try directory.names() == ["verdicts.jsonl.partial"])
        try writer.append(Line(part: "2", accept: false, score: -3))
        try writer.finish()
        #expect(try directory.names() == ["verdicts.jsonl"])
        #expect(
            String(decoding: try bytes(of: path), as: UTF8.self) == """
                {"accept":true,"part":"a/1","score":0.1}
                {"accept":false,"part":"2","score":-3}

                """)
    }

    @Test func aValueThatJSONCannotSayIsRefusedAndTheNextLineIsWritten() throws {
        let path = directory.file("v")
        var writer = try VerdictFileWriter(path: path)
        #expect(throws: VerdictFileError.self) { try writer.append(Line(part: "1", accept: true, score: .nan)) }
        try writer.append(Line(part: "2", accept: true, score: 1))
        try writer.finish()
        #expect(
            String(decoding: try bytes(of: path), as: UTF8.self) == "{\"accept\":true,\"part\":\"2\",\"score\":1}\n")
    }

    @Test func aFullDiskIsNamed() throws {
        // The partial file leads to the device that is always full.
        try FileManager.default.createSymbolicLink(
            atPath: directory.file("v.partial"), withDestinationPath: "/dev/full")
        var writer = try VerdictFileWriter(path: directory.file("v"))
        let failure = VerdictFileError.file(FileError(.write, directory.file("v.partial"), .diskFull))
        #expect(throws: failure) { try writer.append(Line(part: "1", accept: true, score: 1)) }
    }

    @Test func aLineThatDoesNotFitIsTakenBackWhole() async {
        await #expect(processExitsWith: .success) {
            let directory = try TemporaryDirectory()
            var writer = try VerdictFileWriter(path: directory.file("v"))
            signal(SIGXFSZ, SIG_IGN)
            var limit = rlimit(rlim_cur: 100, rlim_max: 4096)
            #expect(setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) == 0)
            try writer.append("1")
            #expect(throws: VerdictFileError.self) { try writer.append(String(repeating: "x", count: 200)) }
            #expect(try bytes(of: directory.file("v.partial")) == Array("\"1\"\n".utf8))
            try writer.append("2")
            try writer.finish()
            #expect(try bytes(of: directory.file("v")) == Array("\"1\"\n\"2\"\n".utf8))
        }
    }

    @Test func aKilledProcessLosesNoAppendedLine() async throws {
        let path = directory.file("v")
        await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String] in
            var writer = try VerdictFileWriter(path: path)
            for number in 0..<100 { try writer.append(number) }
            kill(getpid(), SIGKILL)
            try writer.finish()
        }
        let lines = String(decoding: try bytes(of: path + ".partial"), as: UTF8.self).split(separator: "\n")
        #expect(lines == (0..<100).map { "\($0)" })
        #expect(try directory.names() == ["v.partial"])
    }
}
