import Foundation
import Testing

@testable import ConvNets

@Suite struct RandomStreamTests {
    /// The first outputs from the state 1, 2, 3, 4, as in the published C code (prng.di.unimi.it/xoshiro256starstar.c).
    @Test func drawsThePublishedSequence() {
        var stream = RandomStream(state: [1, 2, 3, 4])
        #expect((0..<4).map { _ in stream.next() } == [11520, 0, 1_509_978_240, 1_215_971_899_390_074_240])
    }

    @Test func streamsOfOneSeedAndOfNeighbouringSeedsDiffer() {
        var firstDraws = Set<UInt64>()
        for seed in 0..<20 as Range<UInt64> {
            for purpose in RandomStream.Purpose.allCases {
                var stream = RandomStream(seed: seed, stream: purpose)
                firstDraws.insert(stream.next())
            }
        }
        #expect(firstDraws.count == 20 * RandomStream.Purpose.allCases.count)
    }

    @Test func restoredStreamGoesOnWhereItWas() throws {
        var stream = RandomStream(seed: 5, stream: .order)
        for _ in 0..<10 { _ = stream.next() }
        var restored = try JSONDecoder().decode(RandomStream.self, from: JSONEncoder().encode(stream))
        #expect((0..<10).map { _ in restored.next() } == (0..<10).map { _ in stream.next() })
    }

    @Test func stateThatCanOnlyDrawZeroIsRefused() {
        for json in ["[0,0,0,0]", "[1,2,3]"] {
            #expect(throws: DecodingError.self, "\(json)") {
                try JSONDecoder().decode(RandomStream.self, from: Data(json.utf8))
            }
        }
    }

    @Test func shuffleKeepsEveryElementAndIsFair() {
        var stream = RandomStream(seed: 1, stream: .order)
        var counts = [[Int]: Int]()
        for _ in 0..<6000 {
            var elements = [0, 1, 2]
            stream.shuffle(&elements)
            counts[elements, default: 0] += 1
        }
        #expect(counts.count == 6)
        // Binomial: standard deviation 29 around 1000, four of them allowed.
        for (order, count) in counts { #expect(abs(count - 1000) < 116, "\(order) came \(count) times") }
    }

    @Test func uniformNumbersStayInTheirRange() {
        var stream = RandomStream(seed: 9, stream: .augmentation)
        let draws = (0..<10_000).map { _ in stream.uniform(in: 0.8...1.2) }
        #expect(draws.allSatisfy { (0.8...1.2).contains($0) })
        // Standard deviation of the mean 0.4/√12/100.
        #expect(abs(draws.reduce(0, +) / 10_000 - 1) < 0.005)
    }
}
