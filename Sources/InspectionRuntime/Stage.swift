import Dispatch
import Imaging
import Locking

/// One step of the line: a mailbox, and a named serial queue that works through it.
///
/// Every submitted element ends in exactly one of the two closures: `process` on the stage's own queue, or `discard` on
/// the thread that caused the overflow.
public final class Stage<Element: Sendable>: Sendable {
    private struct Contents {
        var mailbox: BoundedMailbox<Element>

        /// Submitted, and neither processed nor discarded yet.
        var unfinished = 0
        var isWorking = false
        var workingSince: MonotonicInstant?
        var processed: UInt64 = 0
        var discarded: UInt64 = 0
    }

    public let name: String
    private let queue: DispatchQueue
    private let contents: Monitor<Contents>
    private let clock: any MonotonicClock
    private let process: @Sendable (Element) -> Void
    private let discard: @Sendable (Element) -> Void

    /// - Parameters:
    ///   - name: Of the queue, as the debugger and perf show it: "beltwatch.preprocess".
    ///   - discard: Hears of every element that the overflow policy gave up.
    public init(
        _ name: String, mailbox: MailboxConfiguration, clock: any MonotonicClock,
        process: @escaping @Sendable (Element) -> Void, discard: @escaping @Sendable (Element) -> Void
    ) {
        self.name = name
        queue = DispatchQueue(label: name, qos: .userInitiated)
        contents = Monitor(Contents(mailbox: BoundedMailbox(capacity: mailbox.capacity, policy: mailbox.overflow)))
        self.clock = clock
        self.process = process
        self.discard = discard
    }

    /// Hands an element over: without waiting, unless the policy is `wait` and there is no room.
    public func submit(_ element: Element) {
        contents.withLock { $0.unfinished += 1 }
        var admission = offer(element)
        while case .mustWait = admission {
            _ = contents.wait(atMost: .seconds(1)) { $0.mailbox.hasRoom ? () : nil }
            admission = offer(element)
        }
        if case .storedInsteadOf(let other) = admission { giveUp(other) }
        if case .refused = admission { giveUp(element) }
    }

    /// Waits until everything submitted so far has been processed or discarded.
    ///
    /// - Returns: False if that took longer than `limit`.
    @discardableResult
    public func drain(limit: Duration) -> Bool {
        contents.wait(atMost: limit) { $0.unfinished == 0 ? true : nil } ?? false
    }

    /// How the stage is getting on.
    public var progress: StageProgress {
        contents.withLock { contents in
            StageProgress(
                name: name, waiting: contents.mailbox.count, capacity: contents.mailbox.capacity,
                processed: contents.processed, discarded: contents.discarded, workingSince: contents.workingSince)
        }
    }

    private func offer(_ element: Element) -> BoundedMailbox<Element>.Admission {
        let (admission, startsWorking) = contents.withLock { contents in
            let admission = contents.mailbox.offer(element)
            let starts = !contents.isWorking && contents.mailbox.count > 0
            if starts { contents.isWorking = true }
            return (admission, starts)
        }
        if startsWorking { queue.async { self.work() } }
        return admission
    }

    /// Works through the mailbox until it is empty.
    private func work() {
        while let element = takeNext() {
            process(element)
            contents.withLock { contents in
                contents.processed += 1
                contents.unfinished -= 1
                contents.workingSince = nil
            }
        }
    }

    private func takeNext() -> Element? {
        let now = clock.now
        return contents.withLock { contents in
            let element = contents.mailbox.next()
            contents.isWorking = element != nil
            contents.workingSince = element == nil ? nil : now
            return element
        }
    }

    private func giveUp(_ element: Element) {
        discard(element)
        contents.withLock { contents in
            contents.discarded += 1
            contents.unfinished -= 1
        }
    }
}

/// A stage at one moment: enough to see whether it moves, and how full it is.
public struct StageProgress: Hashable, Sendable {
    public var name: String
    public var waiting: Int
    public var capacity: Int
    public var processed: UInt64
    public var discarded: UInt64

    /// Since when it has been busy with its present element; nil while it has nothing to do.
    public var workingSince: MonotonicInstant?
}

/// How much one stage takes in, and what happens beyond.
public struct MailboxConfiguration: Hashable, Sendable {
    /// Elements that may wait, 1…1024. More rides out longer stalls; each element in it waits longer.
    public var capacity: Int
    public var overflow: OverflowPolicy

    public init(capacity: Int, overflow: OverflowPolicy) {
        self.capacity = capacity
        self.overflow = overflow
    }
}
