import InspectionProtocol

/// Requests that wait to be answered: a few of each peer, and the peers in turn.
///
/// Pure bookkeeping. Memory is bounded whatever the peers do: 256 of them, 64 KiB each.
struct RecoveryInbox {
    struct Request {
        let identity: [UInt8]

        /// Behind the identity.
        let content: [[UInt8]]
        let peer: RecoveryPeer

        fileprivate var byteCount: Int { content.reduce(identity.count) { $0 + $1.count } }
    }

    private struct Waiting {
        var requests: [Request] = []
        var byteCount = 0
    }

    static let peerCapacity = 256
    static let bytesPerPeer = RecoveryRequest.largestByteCount

    let requestsPerPeer: Int
    private var waiting: [[UInt8]: Waiting] = [:]

    /// Peers with requests, the one whose turn is next first.
    private var turns: [[UInt8]] = []

    init(requestsPerPeer: Int) { self.requestsPerPeer = requestsPerPeer }

    var isEmpty: Bool { turns.isEmpty }

    /// Takes a request in.
    ///
    /// - Returns: False where there is no room for it. A peer that has nothing waiting has room for one of any size.
    mutating func offer(_ request: Request) -> Bool {
        guard var mine = waiting[request.identity] else {
            guard turns.count < Self.peerCapacity else { return false }
            waiting[request.identity] = Waiting(requests: [request], byteCount: request.byteCount)
            turns.append(request.identity)
            return true
        }
        guard mine.requests.count < requestsPerPeer, mine.byteCount + request.byteCount <= Self.bytesPerPeer else {
            return false
        }
        mine.requests.append(request)
        mine.byteCount += request.byteCount
        waiting[request.identity] = mine
        return true
    }

    /// Takes out the oldest request of the peer whose turn it is.
    mutating func next() -> Request? {
        guard !turns.isEmpty else { return nil }
        let identity = turns.removeFirst()
        guard var mine = waiting[identity] else { preconditionFailure("a turn without requests") }
        let request = mine.requests.removeFirst()
        mine.byteCount -= request.byteCount
        if mine.requests.isEmpty {
            waiting[identity] = nil
        } else {
            waiting[identity] = mine
            turns.append(identity)
        }
        return request
    }
}
