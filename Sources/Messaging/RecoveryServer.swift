import Dispatch
import InspectionProtocol
import Locking

/// Answers what readers of a station missed, and takes commands: the ROUTER of PROTOCOL §3.
///
/// A request is one part of JSON, after an empty one where a REQ socket asks. An answer is one message, sent or dropped
/// as a whole: the original messages of a REPLAY as pairs `[topic][JSON]`, then the reply. Everything runs on a queue of
/// its own, which waits for nobody: an answer to a peer that does not read is dropped once a few of them wait, and the
/// peer's next request is answered with `start_anew` and not carried out. ZeroMQ takes requests from all peers in turn,
/// so one that floods delays another by one answer at most.
///
/// ZeroMQ keeps the parts of an unfinished message without limit, so a hostile peer could fill the memory with one that
/// never ends. Hence peers must be known ones before the endpoint may be reached from other machines.
public final class RecoveryServer: Sendable {
    public struct Configuration: Hashable, Sendable {
        /// How many answers may wait for one peer; default 8.
        ///
        /// More tolerates a longer stall of the peer, and takes more memory: each is at most a `replayLimit`.
        public var sendHighWaterMark = 8

        /// How many requests of one peer may wait; default 16. Then TCP holds the peer back.
        public var receiveHighWaterMark = 16

        /// How much one answer to REPLAY holds.
        public var replayLimit = ReplayLimit.standard

        public init() {}
    }

    /// What happened so far.
    public struct Counts: Hashable, Sendable {
        /// Requests that were answered, also those with an ERROR.
        public var answered: UInt64 = 0

        /// Of these, what was no request at all.
        public var malformed: UInt64 = 0

        /// Messages sent again.
        public var replayed: UInt64 = 0

        /// Commands that were refused for want of the role.
        public var denied: UInt64 = 0

        /// Answers that a peer did not take.
        public var dropped: UInt64 = 0

        /// Answers to peers that were gone by then.
        public var unreachable: UInt64 = 0
    }

    /// Where the server is really bound: with its port, also if `*` was asked for.
    public let endpoint: Endpoint

    private let pathLock: PathLock?
    private let loop: RecoveryLoop
    private let queue = DispatchQueue(label: "beltwatch.recovery", qos: .userInitiated)

    /// Binds a new socket and begins to answer.
    ///
    /// - Parameter permits: Whether a peer may give a command; asked on the server's queue.
    /// - Precondition: High-water marks of at least 1; to ZeroMQ, 0 means that memory may grow without limit.
    /// - Throws: As `Publisher.init` does.
    public init(
        binding requested: Endpoint, in context: Context, source: any RecoverySource,
        configuration: Configuration = Configuration(),
        permits: @escaping @Sendable (StationCommand, RecoveryPeer) -> Bool
    ) throws(SocketError) {
        precondition(
            configuration.sendHighWaterMark > 0 && configuration.receiveHighWaterMark > 0,
            "a server needs high-water marks of at least 1")
        guard requested.isLocal else { throw .notLocal(requested) }
        if case .ipc(let path) = requested.transport {
            pathLock = try PathLock(path: path, of: requested)
        } else {
            pathLock = nil
        }
        let socket = try Socket(.router, in: context)
        // A limit for receiving is safe here: libzmq issue 3937 aborts the side that connects, never the one that binds.
        try socket.limitQueues(
            sending: configuration.sendHighWaterMark, receiving: configuration.receiveHighWaterMark)
        try socket.reportUndeliverable()
        try socket.limitInboundMessages(toBytes: Int64(RecoveryRequest.largestByteCount))
        try socket.watchConnections()
        endpoint = try socket.bind(to: requested)
        let loop = try RecoveryLoop(socket, source: source, replayLimit: configuration.replayLimit, permits: permits)
        self.loop = loop
        queue.async { loop.run() }
    }

    deinit { close() }

    /// Stops answering; ZeroMQ gives the endpoint back a moment later. A second call does nothing.
    ///
    /// - Precondition: Not called by the source, whose queue this waits for.
    public func close() {
        loop.stop()
        queue.sync {}
    }

    public var counts: Counts { loop.counts }

    /// Why the server stopped by itself; nil while it answers, and after `close()`.
    public var failure: SocketError? { loop.failure }
}

extension RecoveryServer.Counts {
    mutating func add(_ other: Self) {
        answered += other.answered
        malformed += other.malformed
        replayed += other.replayed
        denied += other.denied
        dropped += other.dropped
        unreachable += other.unreachable
    }
}
