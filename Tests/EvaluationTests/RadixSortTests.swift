import Testing

@testable import Evaluation

@Suite struct RadixSortTests {
    @Test func sortsLikeTheStandardLibrary() {
        var generator = CongruentialGenerator(seed: 6)
        for count in [0, 1, 2, 3, 100, 5000] {
            let random = (0..<count).map { _ in UInt32(generator.below(1 << 31)) << UInt32(generator.below(2)) }
            for words in [random, random.map { $0 % 7 }, random.sorted(by: >), Array(repeating: .max, count: count)] {
                var sorted = words
                radixSort(&sorted, byBits: 0..<32)
                #expect(sorted == words.sorted())
            }
        }
    }

    @Test func wordsThatAgreeInTheBitsKeepTheirOrder() {
        var generator = CongruentialGenerator(seed: 7)
        let words = (0..<3000).map {
            UInt64(generator.below(40)) << 59 | UInt64(generator.below(40)) << 32 | UInt64($0)
        }
        var sorted = words
        radixSort(&sorted, byBits: 32..<64)
        // The numbers in the lower half ascend within equal upper halves, so the order is that of the whole words.
        #expect(sorted == words.sorted())
    }
}
