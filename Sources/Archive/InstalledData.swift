import Foundation

/// Where the files that come with the program are looked for (DESIGN §6).
public struct InstalledData: Sendable {
    /// In the order in which they are searched; a directory that does not exist is passed over.
    public let directories: [String]

    public init(directories: [String]) {
        self.directories = directories
    }

    /// The operator's directory, `BELTWATCH_DATA`, `share/beltwatch` beside the program's `bin`, the package's resources.
    ///
    /// - Parameters:
    ///   - flag: What the command line names, if it does.
    ///   - environment: Of the process.
    ///   - executable: Path of the running program, links resolved.
    public init(flag: String? = nil, environment: [String: String], executable: String) {
        let programs = AtomicFile.split(executable).directory
        directories =
            [flag, environment["BELTWATCH_DATA"]].compactMap { $0 }.filter { !$0.isEmpty }
            + [
                AtomicFile.split(programs).directory + "/share/beltwatch",
                // Where SwiftPM puts the resources of this target. Its `Bundle.module` would stop the process where
                // they are absent, as they are for an installed program.
                programs + "/beltwatch_Archive.resources/Resources",
            ]
    }

    /// The directories of the running process.
    ///
    /// - Parameter flag: What the command line names, if it does.
    public static func standard(flag: String? = nil) -> InstalledData {
        InstalledData(
            flag: flag, environment: ProcessInfo.processInfo.environment, executable: runningExecutable)
    }

    /// The first of the directories that has the file; nil where none has it.
    public func path(of name: String) -> String? {
        directories.lazy.map { "\($0)/\(name)" }.first { Directory.kind(of: $0) == .file }
    }

    private static var runningExecutable: String {
        // The link that Linux keeps for every process; its target is where `bin` really is.
        (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
    }
}
