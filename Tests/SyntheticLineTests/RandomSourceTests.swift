import Testing

@testable import SyntheticLine

@Suite struct RandomSourceTests {
    /// The first outputs of the authors' splitmix64.c for seed 1234567.
    @Test func givesThePublishedSequence() {
        var random = RandomSource(seed: 1_234_567)
        let values = (0..<5).map { _ in random.next() }
        #expect(
            values == [
                6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423,
                4_593_380_528_125_082_431, 16_408_922_859_458_223_821,
            ])
    }

    @Test func streamsDependOnSeedAndLabelOnly() {
        var source = RandomSource(seed: 5)
        let before = source.stream(1)
        #expect(before == source.stream(1))
        #expect(before != source.stream(2))
        #expect(before != RandomSource(seed: 6).stream(1))
        _ = source.next()
        #expect(before != source.stream(1), "a stream taken after drawing belongs to the later state")
    }

    @Test func directionsAreUnitVectorsToAllSides() {
        var random = RandomSource(seed: 9)
        var quadrants: Set<Int> = []
        for _ in 0..<200 {
            let direction = random.direction()
            #expect(abs(direction.length - 1) < 1e-6)
            quadrants.insert((direction.x < 0 ? 1 : 0) + (direction.y < 0 ? 2 : 0))
        }
        #expect(quadrants.count == 4)
    }

    @Test func shufflingKeepsEveryElement() {
        var random = RandomSource(seed: 3)
        let shuffled = random.shuffled(Array(0..<50))
        #expect(shuffled != Array(0..<50))
        #expect(shuffled.sorted() == Array(0..<50))
    }
}
