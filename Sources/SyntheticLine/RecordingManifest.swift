/// What a recording shows, for whoever judges verdicts on it: written beside it as JSON.
public struct RecordingManifest: Hashable, Sendable, Codable {
    /// Where a part belongs; the names are those of the data set's folders.
    public enum Label: String, CaseIterable, Codable, Hashable, Sendable {
        case good
        case logical = "logical_anomalies"
        case structural = "structural_anomalies"
    }

    /// One part of the recording.
    public struct Part: Hashable, Sendable, Codable {
        /// Position in the recording, from 0.
        public let part: Int
        /// The frame that shows the whole tray, as the data set's pictures do; counted from 0.
        public let triggerFrame: Int
        public let label: Label
        /// What is wrong; nil for a good part.
        public let defect: DefectKind?
        /// The names of the ground truth's regions, as in `defects_config.json`; empty for a good part.
        public let regions: [String]

        private enum CodingKeys: String, CodingKey {
            case part
            case triggerFrame = "trigger_frame"
            case label
            case defect
            case regions
        }
    }

    /// The `interval` trigger that meets every part's trigger frame: frames `offset`, `offset + every`, ….
    public struct Trigger: Hashable, Sendable, Codable {
        public let every: Int
        public let offset: Int
    }

    /// In pixels.
    public let width: Int
    public let height: Int
    public let framesPerSecond: Int
    public let frameCount: Int
    public let seed: UInt64
    public let trigger: Trigger
    public let parts: [Part]

    private enum CodingKeys: String, CodingKey {
        case width
        case height
        case framesPerSecond = "frames_per_second"
        case frameCount = "frame_count"
        case seed
        case trigger
        case parts
    }
}
