import InspectionProtocol

/// Whose evidence is on disk, the oldest first, and how much it takes.
struct EvidenceIndex {
    struct Part: Hashable {
        var session: SessionNumber
        var id: PartID

        /// On disk (`EvidenceFiles.footprint`).
        var bytes: Int
    }

    /// Those before `first` are gone.
    private var parts: [Part]
    private var first = 0
    private(set) var bytes: Int

    /// - Parameter parts: In any order.
    init(_ parts: [Part] = []) {
        self.parts = parts.sorted { ($0.session.value, $0.id.value) < ($1.session.value, $1.id.value) }
        bytes = parts.reduce(0) { $0 + $1.bytes }
    }

    var count: Int { parts.count - first }
    var oldest: Part? { first < parts.count ? parts[first] : nil }

    mutating func append(_ part: Part) {
        parts.append(part)
        bytes += part.bytes
    }

    mutating func removeOldest() {
        guard let oldest else { return }
        bytes -= oldest.bytes
        first += 1
        // Now and then, so that removing costs next to nothing on average.
        if first > parts.count / 2 {
            parts.removeFirst(first)
            first = 0
        }
    }
}
