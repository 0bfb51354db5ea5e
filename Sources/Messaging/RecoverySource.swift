import InspectionProtocol

/// What a station knows about whoever asks.
public struct RecoveryPeer: Hashable, Sendable {
    /// Where the connection comes from: an IP address, or for ipc `localhost:UID:GID:PID`, which the kernel vouches for.
    public var address: String?

    /// Who the peer has proved to be; nil while connections carry no proof.
    public var userID: String?

    /// When what it asks came in, on the monotonic clock; others may be answered first. Nil where nobody looked.
    public var receivedAtNanoseconds: UInt64?

    public init(address: String?, userID: String?) {
        self.address = address
        self.userID = userID
    }
}

extension RecoveryPeer: CustomStringConvertible {
    /// The most that is known of it.
    public var description: String { userID ?? address ?? "a program of this machine" }
}

/// What the recovery endpoint answers from: a station's journal, its recent messages and its decision path.
///
/// Called on the server's queue, one call at a time. A call that takes long keeps other peers waiting for their answers, and
/// nobody else: no publisher and no pipeline waits for this queue.
public protocol RecoverySource: Sendable {
    /// Who the station is, with its clock read as late as possible.
    func greeting() -> StationGreeting

    /// - Throws: `RecoveryFailure` `unavailable` where the station cannot say yet.
    func snapshot() throws(RecoveryFailure) -> StationSnapshot

    /// As much of a range as is kept and within the limit.
    ///
    /// - Throws: `RecoveryFailure` `unknown_session`, `gone` where nothing of the range is left, `unavailable` where the
    ///   disk does not answer.
    func messages(_ range: ReplayRange, limit: ReplayLimit) throws(RecoveryFailure) -> ReplayPage

    /// Carries out a command of a peer that may give it.
    func perform(_ command: StationCommand, from peer: RecoveryPeer) -> CommandAnswer
}

extension RecoverySource {
    /// The answer to a request, and the messages that go before it.
    func answer(
        _ request: RecoveryRequest, from peer: RecoveryPeer, limit: ReplayLimit,
        permits: (StationCommand, RecoveryPeer) -> Bool
    ) -> (messages: [EncodedMessage], reply: RecoveryReply) {
        var messages: [EncodedMessage] = []
        let body: RecoveryReply.Body
        do throws(RecoveryFailure) {
            switch request.verb {
            case .hello:
                body = .hello(greeting())
            case .snapshot:
                body = .snapshot(try snapshot())
            case .replay(let range):
                let page = try self.messages(range, limit: limit)
                messages = page.messages
                body = .end(next: page.next)
            case .command(let command):
                body = .command(
                    command.name,
                    permits(command, peer)
                        ? perform(command, from: peer)
                        : .refused(
                            CommandRefusal(
                                .notPermitted, "commands are not taken here; the station's file says where they are")))
            }
        } catch {
            body = .error(error)
        }
        return (messages, RecoveryReply(id: request.id, body: body))
    }
}
