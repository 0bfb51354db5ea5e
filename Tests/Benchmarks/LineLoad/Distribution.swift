/// How long something took over all parts, in microseconds.
struct Distribution: Codable, Hashable, Sendable {
    var count: Int
    var p50: Int64
    var p99: Int64
    var p999: Int64
    var worst: Int64

    /// Which part took longest, by its number in the schedule, from 1.
    var worstPart: Int

    /// - Parameter samples: Of all parts, each with its number.
    /// - Returns: nil where there are none.
    init?(_ samples: [(part: Int, microseconds: Int64)]) {
        guard let worst = samples.max(by: { $0.microseconds < $1.microseconds }) else { return nil }
        let sorted = samples.map(\.microseconds).sorted()
        // The nearest rank, so that every figure is one that really occurred.
        func percentile(_ rank: Double) -> Int64 { sorted[max(0, Int((rank * Double(sorted.count)).rounded(.up)) - 1)] }
        count = sorted.count
        p50 = percentile(0.5)
        p99 = percentile(0.99)
        p999 = percentile(0.999)
        self.worst = worst.microseconds
        worstPart = worst.part
    }

    enum CodingKeys: String, CodingKey {
        case count, p50, p99, p999, worst
        case worstPart = "worst_part"
    }
}
