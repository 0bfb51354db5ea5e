import Foundation
import InspectionProtocol

/// Where the journal of a station lies, in the station's state directory.
public struct JournalFiles: Hashable, Sendable {
    public let directory: String

    public init(in directory: String) { self.directory = directory }

    public var database: String { "\(directory)/journal.sqlite" }

    /// Disk space for verdicts, to be given back when the disk is full.
    var reserve: String { "\(directory)/journal.reserve" }

    /// Whether something was written to the database already.
    var hasDatabase: Bool {
        let size = try? FileManager.default.attributesOfItem(atPath: database)[.size] as? Int
        return size ?? 0 > 0
    }

    /// Moves a damaged database and its log aside, for somebody to look at: nothing is deleted.
    ///
    /// - Returns: The new path of the database.
    func quarantine(at time: UTCTimestamp) throws -> String {
        let stamp = "\(time)".filter { $0.isNumber || $0 == "T" }
        let aside = "\(directory)/journal-damaged-\(stamp)Z.sqlite"
        for suffix in ["-wal", "-shm", ""] {
            if FileManager.default.fileExists(atPath: database + suffix) {
                try FileManager.default.moveItem(atPath: database + suffix, toPath: aside + suffix)
            }
        }
        return aside
    }
}
