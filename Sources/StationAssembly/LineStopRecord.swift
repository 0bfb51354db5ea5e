import Archive
import Dispatch
import Foundation
import InspectionProtocol
import InspectionRuntime
import Logging

/// Remembers a line stop across restarts: a file in the state directory that is there while the latch is closed.
///
/// A station that is killed, or whose machine loses power, comes up `held`: to start it anew is no way around whoever may
/// reset it. The file is written a moment after the latch closes, away from the decision path.
public final class LineStopRecord: InspectionOutput {
    private let path: String
    private let logger: Logger
    private let queue = DispatchQueue(label: "beltwatch.line-stop", qos: .utility)

    /// - Parameter stateDirectory: One that this process has taken.
    public init(in stateDirectory: String, logger: Logger) {
        path = "\(stateDirectory)/line-stop"
        self.logger = logger
    }

    /// Why the line was stopped, in the words of then; nil where the latch is open.
    ///
    /// A file that is there and cannot be read still stands for a closed latch.
    public func standing() -> String? {
        guard FileManager.default.fileExists(atPath: path) else { return nil }
        let cause = try? String(contentsOfFile: path, encoding: .utf8)
        return cause.flatMap { $0.isEmpty ? nil : $0 } ?? "line stop of an earlier session until it is reset"
    }

    public func send(_ message: Message) {
        guard case .event(let event) = message.body else { return }
        switch event.name {
        case .lineStop: queue.async { self.keep(event.message) }
        case .lineStopReset: queue.async { self.forget() }
        default: break
        }
    }

    /// Waits until what was sent is on the disk.
    public func flush() { queue.sync {} }

    private func keep(_ cause: String) {
        do throws(FileError) {
            try AtomicFile.replace(path, with: Array(cause.utf8))
        } catch {
            logger.error("line stop not kept, a restart would release it", metadata: ["reason": "\(error)"])
        }
    }

    private func forget() {
        do throws(FileError) {
            try AtomicFile.remove(path)
        } catch {
            logger.error("line stop not forgotten, a restart would hold the line", metadata: ["reason": "\(error)"])
        }
    }
}
