import InspectionProtocol

/// How the keeping of pictures is getting on.
public enum EvidenceHealth: Hashable, Sendable {
    /// Every picture is kept.
    case keeping

    /// Pictures were lost, or would be. Verdicts and journal go on.
    case degraded(Degradation)

    public struct Degradation: Hashable, Sendable {
        public var cause: Cause
        public var since: UTCTimestamp

        /// Parts whose pictures were lost since then.
        public var dropped: Int
    }

    public enum Cause: Hashable, Sendable, CustomStringConvertible {
        /// The disk is full or fails. Nothing is taken until it passes.
        case disk(EvidenceFault)

        /// Parts came faster than the disk takes them.
        case overload

        /// A part of its own could not be kept.
        case part(EvidenceFault)

        public var description: String {
            switch self {
            case .disk(let fault), .part(let fault): fault.description
            case .overload: "rejects come faster than their pictures can be written"
            }
        }
    }
}

/// What was kept since the start.
public struct EvidenceCounts: Hashable, Sendable {
    /// Parts whose pictures are on disk, and parts whose pictures are lost.
    public internal(set) var stored = 0
    public internal(set) var dropped = 0
}

/// What became of the pictures of a part that was queued.
public enum EvidenceReport: Hashable, Sendable {
    /// - Parameters:
    ///   - path: In the state directory.
    ///   - sha256: Digest of the file `SHA256SUMS` there, hexadecimal.
    case stored(PartID, path: String, sha256: String)
    case dropped(PartID, path: String, EvidenceFault)
}
