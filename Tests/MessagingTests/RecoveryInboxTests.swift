import Testing

@testable import Messaging

@Suite struct RecoveryInboxTests {
    private func request(_ peer: UInt8, _ content: UInt8 = 0, bytes: Int = 1) -> RecoveryInbox.Request {
        RecoveryInbox.Request(
            identity: [0, peer], content: [Array(repeating: content, count: bytes)],
            peer: RecoveryPeer(address: nil, userID: nil))
    }

    @Test func peersTakeTurnsAndEachKeepsItsOrder() {
        var inbox = RecoveryInbox(requestsPerPeer: 16)
        for (peer, content) in [(1, 0), (1, 1), (1, 2), (2, 7), (3, 8)] as [(UInt8, UInt8)] {
            let isTaken = inbox.offer(request(peer, content))
            #expect(isTaken)
        }
        var order: [[UInt8]] = []
        while let request = inbox.next() { order.append([request.identity[1], request.content[0][0]]) }
        #expect(order == [[1, 0], [2, 7], [3, 8], [1, 1], [1, 2]])
        #expect(inbox.isEmpty)
    }

    @Test func onePeerHasRoomForSoManyRequestsAndNobodyElseMinds() {
        var inbox = RecoveryInbox(requestsPerPeer: 2)
        var taken = [1, 1, 1, 2].map { inbox.offer(request($0)) }
        _ = inbox.next()
        taken.append(inbox.offer(request(1)))
        #expect(taken == [true, true, false, true, true])
    }

    /// 64 KiB in all, the identity included; a single request may be as large as requests can be.
    @Test func onePeerHasRoomForSoManyBytes() {
        var inbox = RecoveryInbox(requestsPerPeer: 16)
        let taken = [(1, 65_536), (1, 1), (2, 32_768), (2, 32_764), (2, 1)].map { peer, bytes in
            inbox.offer(request(peer, bytes: bytes))
        }
        #expect(taken == [true, false, true, true, false])
    }

    @Test func thereIsRoomForSoManyPeers() {
        var inbox = RecoveryInbox(requestsPerPeer: 1)
        let taken = (0..<257).map { peer in
            inbox.offer(
                RecoveryInbox.Request(
                    identity: [UInt8(peer / 256), UInt8(peer % 256)], content: [],
                    peer: RecoveryPeer(address: nil, userID: nil)))
        }
        #expect(taken == Array(repeating: true, count: 256) + [false])
    }
}
