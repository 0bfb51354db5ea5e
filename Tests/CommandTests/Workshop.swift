import Foundation
import Testing

/// A directory of its own for one test, removed with the value.
final class TemporaryDirectory: Sendable {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.appending(path: "beltwatch-\(UUID().uuidString)").path
        // Private, as the directory of an ipc endpoint has to be.
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String) -> String { "\(path)/\(name)" }

    func write(_ data: Data, to name: String) throws -> String {
        try data.write(to: URL(filePath: file(name)))
        return file(name)
    }

    func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: file(name)) }
}

func contents(of path: String) throws -> Data { try Data(contentsOf: URL(filePath: path)) }

/// What every command works with: a small data set, a recording and a model trained for a moment, made once by the
/// commands themselves.
enum Workshop {
    static let iterations = 4

    /// The folder with `trays/`, `line.mkv`, `line.manifest.json`.
    static func pictures() throws -> String { try made.get().path }

    /// `pictures()`, with `model.safetensors` and its checkpoint.
    static func trained() throws -> String { try training.get() }

    /// The options that every training here shares.
    static func trainingOptions() throws -> [String] {
        ["train", "--good", "\(try pictures())/trays", "--precision", "f16", "--iterations", "\(iterations)"]
    }

    private static let made = Result { () throws -> TemporaryDirectory in
        let directory = try TemporaryDirectory()
        removeAtExit(directory.path)
        try succeedingBeltwatch(
            "synthesize", "dataset", directory.file("trays"), "--training", "12", "--validation", "5", "--good", "3",
            "--logical", "3", "--structural", "2")
        try succeedingBeltwatch(
            "synthesize", "recording", directory.file("line.mkv"), "--good", "3", "--logical", "2", "--structural", "1")
        return directory
    }

    private static let training = Result { () throws -> String in
        let directory = try pictures()
        let result = try RunningCommand(trainingOptions() + ["--out", "\(directory)/model.safetensors"]).result()
        try #require(result.status == 0, "\(result.errors)")
        return directory
    }

    private static func removeAtExit(_ path: String) {
        pathToRemove = path
        atexit { if let path = Workshop.pathToRemove { try? FileManager.default.removeItem(atPath: path) } }
    }

    // Set once, while `made` is, and read when the process ends.
    nonisolated(unsafe) private static var pathToRemove: String?
}

/// Everything here runs processes that use all cores, so one after the other.
@Suite(.serialized) enum CommandTests {}
