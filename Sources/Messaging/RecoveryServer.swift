import Dispatch
import InspectionProtocol
import Locking

/// Answers what readers of a station missed, and takes commands: the ROUTER of PROTOCOL §3.
///
/// A request is one part of JSON, after an empty one where a REQ socket asks. An answer is one message, sent or dropped
/// as a whole: the original messages of a REPLAY as pairs `[topic][JSON]`, then the reply. Everything runs on a queue of
/// its own, which waits for nobody: an answer to a peer that does not read is dropped once a few of them wait, and the
/// peer's next request is answered with `start_anew` and not carried out; so are requests beyond what may wait. Peers are
/// answered in turn, so one that floods delays another by one answer at most; and answering never takes more than a share
/// of one processor, so that it does not cost the line one.
///
/// ZeroMQ keeps the parts of an unfinished message without limit, so a hostile peer could fill the memory with one that
/// never ends. Hence peers must be known ones before the endpoint may be reached from other machines.
public final class RecoveryServer: Sendable {
    public struct Configuration: Hashable, Sendable {
        /// How many answers may wait for one peer; default 8.
        ///
        /// More tolerates a longer stall of the peer, and takes more memory: each is at most a `replayLimit`.
        public var sendHighWaterMark = 8

        /// How many requests of one peer may wait, of 64 KiB together; default 16.
        ///
        /// One more is given up, and the peer's next is answered with `start_anew`. More tolerates peers that ask in heaps.
        public var requestsPerPeer = 16

        /// How much one answer to REPLAY holds.
        public var replayLimit = ReplayLimit.standard

        /// The share of the time of one processor that answering may take in the long run, above 0 and up to 1; default 0.2.
        ///
        /// More recovers sooner when many ask for much, and leaves less to the line where processors are few.
        public var share = 0.2

        /// How much of that may be saved up in quiet times and taken at once; default 100 ms.
        public var burst = Duration.milliseconds(100)

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

        /// Requests that nobody looked at: more than a peer may have waiting.
        public var refused: UInt64 = 0
    }

    /// Where the server is really bound: with its port, also if `*` was asked for.
    public let endpoint: Endpoint

    private let pathLock: PathLock?
    private let loop: RecoveryLoop
    private let queue = DispatchQueue(label: "beltwatch.recovery", qos: .utility)

    /// Binds a new socket and begins to answer.
    ///
    /// - Parameter permits: Whether a peer may give a command; asked on the server's queue.
    /// - Precondition: A high-water mark of at least 1, because to ZeroMQ 0 means that memory may grow without limit; at
    ///   least one request per peer; a share above 0.
    /// - Throws: As `Publisher.init` does.
    public init(
        binding requested: Endpoint, in context: Context, source: any RecoverySource,
        configuration: Configuration = Configuration(),
        permits: @escaping @Sendable (StationCommand, RecoveryPeer) -> Bool
    ) throws(SocketError) {
        precondition(
            configuration.sendHighWaterMark > 0 && configuration.requestsPerPeer > 0,
            "a server needs a high-water mark and requests per peer of at least 1")
        precondition(configuration.share > 0 && configuration.share <= 1, "a server needs a share of the time")
        guard requested.isLocal else { throw .notLocal(requested) }
        if case .ipc(let path) = requested.transport {
            pathLock = try PathLock(path: path, of: requested)
        } else {
            pathLock = nil
        }
        let socket = try Socket(.router, in: context)
        // No limit for what comes in, for the reason given at `RecoveryLoop`.
        try socket.limitQueues(sending: configuration.sendHighWaterMark, receiving: 0)
        try socket.reportUndeliverable()
        try socket.limitInboundMessages(toBytes: Int64(RecoveryRequest.largestByteCount))
        try socket.watchConnections()
        endpoint = try socket.bind(to: requested)
        let loop = try RecoveryLoop(socket, source: source, configuration: configuration, permits: permits)
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
        refused += other.refused
    }
}
