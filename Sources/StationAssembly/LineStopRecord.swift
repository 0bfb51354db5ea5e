import Archive
import Dispatch
import Foundation
import InspectionProtocol
import InspectionRuntime
import Locking
import Logging

/// Remembers a line stop across restarts: a file in the state directory that is there while the latch is closed.
///
/// A station that is killed, or whose machine loses power, comes up `held`: to start it anew is no way around whoever may
/// reset it. The file is written a moment after the latch closes, away from the decision path.
public final class LineStopRecord: InspectionOutput, @unchecked Sendable {
    // Sendable because `wish` is touched on `queue` only.

    private let path: String
    private let logger: Logger
    private let queue = DispatchQueue(label: "beltwatch.line-stop", qos: .utility)

    /// How often the latch has moved; what an earlier move could not write is written no more.
    private var wish = 0

    /// How long the end of a run waits for a disk that hangs.
    private static let flushLimit = Duration.seconds(2)

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
        case .lineStop: queue.async { self.wishFor(event.message) }
        case .lineStopReset: queue.async { self.wishFor(nil) }
        default: break
        }
    }

    /// Waits until what was sent is on the disk, at most two seconds.
    public func flush() {
        let isDone = Monitor(false)
        queue.async { isDone.withLock { $0 = true } }
        _ = isDone.wait(atMost: Self.flushLimit) { $0 ? true : nil }
    }

    /// - Parameter cause: Why the latch is closed; nil for an open one.
    private func wishFor(_ cause: String?) {
        wish += 1
        write(cause, wish: wish, attempt: 1)
    }

    private func write(_ cause: String?, wish: Int, attempt: Int) {
        guard wish == self.wish else { return }
        do throws(FileError) {
            if let cause {
                try AtomicFile.replace(path, with: Array(cause.utf8))
            } else {
                try AtomicFile.remove(path)
            }
            if attempt > 1 { logger.notice("line stop noted for the next start after all") }
        } catch {
            // A full disk has room again one day, and the latch must not depend on when.
            if attempt == 1 {
                logger.error(
                    "line stop not noted for the next start, trying on",
                    metadata: ["closed": "\(cause != nil)", "reason": "\(error)"])
            }
            queue.asyncAfter(deadline: .now() + .seconds(1)) { self.write(cause, wish: wish, attempt: attempt + 1) }
        }
    }
}
