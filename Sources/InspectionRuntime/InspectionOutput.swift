import InspectionProtocol

/// Where a station's messages go: a socket, a file, a terminal, a test.
public protocol InspectionOutput: Sendable {
    /// Takes a message, stamped and numbered.
    ///
    /// Called on `beltwatch.decide`, in order, and must not wait: whatever takes time moves to a queue of its own.
    func send(_ message: Message)

    /// Returns when everything sent so far is out, at the end of a run.
    func flush()

    /// The queues behind it, for `health/`; asked on `beltwatch.decide`, so without waiting.
    var progress: [StageProgress] { get }
}

extension InspectionOutput {
    public var progress: [StageProgress] { [] }
}
