import Foundation
import Glibc

/// What Linux says about this process and its machine; nil for what it does not say.
enum ProcessMeasures {
    /// Bytes of this process that are in RAM (proc(5), `statm`, second field, in pages).
    static var residentBytes: Int? {
        guard let text = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8),
            let pages = text.split(separator: " ").dropFirst().first.flatMap({ Int($0) })
        else { return nil }
        return pages * sysconf(Int32(_SC_PAGESIZE))
    }

    /// File descriptors that are open, less the one that counts them.
    static var openFiles: Int? {
        (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")).map { max($0.count - 1, 0) }
    }

    /// Bytes that a process without privileges can still write.
    static func freeBytes(onDiskOf directory: String) -> Int? {
        var disk = statvfs()
        guard statvfs(directory, &disk) == 0 else { return nil }
        let (bytes, overflows) = Int(clamping: disk.f_bavail)
            .multipliedReportingOverflow(by: Int(clamping: disk.f_frsize))
        return overflows ? .max : bytes
    }
}
