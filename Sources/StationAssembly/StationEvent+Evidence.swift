import EvidenceKeeping
import InspectionProtocol

extension StationEvent {
    /// What became of pictures that a result called `queued`.
    init(_ report: EvidenceReport) {
        switch report {
        case .stored(let part, let path, let sha256):
            self.init(
                .evidenceStored, .info, "pictures stored in \(path)", partID: part,
                details: ["path": path, "sha256": sha256])
        case .dropped(let part, let path, let fault):
            self.init(
                .evidenceDropped, .warning, "pictures not stored: \(fault)", partID: part, details: ["path": path])
        }
    }
}
