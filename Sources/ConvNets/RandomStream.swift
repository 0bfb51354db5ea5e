/// The random numbers of one purpose: xoshiro256** (Blackman & Vigna 2021), seeded by SplitMix64.
///
/// Each purpose draws from a stream of its own, so that another number of draws for one, such as a changed augmentation,
/// leaves the others as they were. The four words of state are all there is: saved and restored, the stream goes on
/// where it was.
///
/// Coded as the array of its four words.
public struct RandomStream: RandomNumberGenerator, Hashable, Sendable, Codable {
    /// What a stream is drawn for.
    public enum Purpose: UInt64, Sendable, Codable, CaseIterable {
        case initialisation = 1
        case order = 2
        case augmentation = 3
        case dropout = 4
        case split = 5
        case penalty = 6
    }

    /// Never all zero.
    private var state: SIMD4<UInt64>

    /// - Parameters:
    ///   - seed: The same seed gives the same numbers on every machine.
    ///   - stream: Streams of the same seed are unrelated.
    public init(seed: UInt64, stream: Purpose) {
        // The purpose goes through the mixer before it meets the seed: neighbouring seeds share no stream.
        var purposeMixer = SplitMix64(state: stream.rawValue)
        var mixer = SplitMix64(state: seed ^ purposeMixer.next())
        state = SIMD4(mixer.next(), mixer.next(), mixer.next(), mixer.next())
    }

    /// - Precondition: Not all words are zero.
    init(state: SIMD4<UInt64>) {
        precondition(state != .zero, "xoshiro256** cannot leave the state of all zeros")
        self.state = state
    }

    public init(from decoder: any Decoder) throws {
        state = try SIMD4(from: decoder)
        guard state != .zero else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "a random stream's four words are all zero"))
        }
    }

    public func encode(to encoder: any Encoder) throws { try state.encode(to: encoder) }

    public mutating func next() -> UInt64 {
        func rotate(_ word: UInt64, by bits: UInt64) -> UInt64 { (word << bits) | (word >> (64 - bits)) }
        let result = rotate(state[1] &* 5, by: 7) &* 9
        let shifted = state[1] << 17
        state[2] ^= state[0]
        state[3] ^= state[1]
        state[1] ^= state[2]
        state[0] ^= state[3]
        state[2] ^= shifted
        state[3] = rotate(state[3], by: 45)
        return result
    }
}

/// Spreads a seed over many bits (Steele, Lea & Flood 2014).
private struct SplitMix64 {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word >> 31)
    }
}

/// Draws that are spelled out here, because the standard library leaves open how it makes them.
extension RandomNumberGenerator {
    /// A multiple of 2⁻²⁴ in `0..<1`.
    public mutating func uniform() -> Float {
        Float(next() >> 40) * 0x1p-24
    }

    /// `lower + (upper − lower)·u` with u in `0..<1`.
    public mutating func uniform(in range: ClosedRange<Float>) -> Float {
        range.lowerBound + (range.upperBound - range.lowerBound) * uniform()
    }

    /// A whole number in `0..<bound`, each equally likely.
    ///
    /// - Precondition: `bound` is at least 1.
    public mutating func index(below bound: Int) -> Int {
        precondition(bound >= 1, "there is no number below \(bound)")
        let bound = UInt64(bound)
        // The last, incomplete run of remainders is drawn again.
        let end = UInt64.max - UInt64.max % bound
        var draw = next()
        while draw >= end { draw = next() }
        return Int(draw % bound)
    }

    /// Fisher & Yates's shuffle, from the last place down.
    public mutating func shuffle<Element>(_ elements: inout [Element]) {
        for last in stride(from: elements.count - 1, to: 0, by: -1) {
            elements.swapAt(last, index(below: last + 1))
        }
    }

    /// The sum of twelve uniform numbers, centred: variance 1, near enough to a Gaussian for random directions.
    mutating func gaussian() -> Double {
        (0..<12).reduce(-6) { sum, _ in sum + Double(next() >> 11) * 0x1p-53 }
    }
}
