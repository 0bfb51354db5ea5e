import Imaging

/// How long things took, in buckets that grow with the value: bounded memory, percentiles within 1/16 of the truth.
///
/// Bucket `16·(e − 3) + m` holds the durations whose microseconds have the exponent e and, below the leading bit, the
/// bits m; the first sixteen hold one microsecond each.
public struct LatencyHistogram: Hashable, Sendable {
    private static let bucketsPerOctave = 16

    private var buckets: [UInt64] = Array(repeating: 0, count: 64 * bucketsPerOctave)
    public private(set) var count: UInt64 = 0
    public private(set) var longest: Duration = .zero

    public init() {}

    /// Negative durations count as zero.
    public mutating func record(_ duration: Duration) {
        buckets[Self.bucket(of: duration)] += 1
        count += 1
        longest = max(longest, duration)
    }

    /// The duration that the fraction `rank` of all recorded ones does not exceed, rounded up to its bucket's end; nil
    /// while there are none.
    ///
    /// - Parameter rank: In 0…1; 0.5 is the median.
    public func percentile(_ rank: Double) -> Duration? {
        guard count > 0 else { return nil }
        let wanted = max(1, UInt64((rank * Double(count)).rounded(.up)))
        var seen: UInt64 = 0
        for (bucket, number) in buckets.enumerated() {
            seen += number
            if seen >= wanted { return min(longest, Self.end(of: bucket)) }
        }
        return longest
    }

    private static func bucket(of duration: Duration) -> Int {
        let value = UInt64(max(duration.microseconds, 0))
        guard value >= 16 else { return Int(value) }
        let exponent = UInt64.bitWidth - 1 - value.leadingZeroBitCount
        let mantissa = Int(value >> (exponent - 4)) & 15
        return bucketsPerOctave * (exponent - 3) + mantissa
    }

    private static func end(of bucket: Int) -> Duration {
        guard bucket >= bucketsPerOctave else { return .microseconds(bucket + 1) }
        let exponent = bucket / bucketsPerOctave + 3
        return .microseconds((Int64(16 + bucket % bucketsPerOctave) + 1) << (exponent - 4))
    }
}
