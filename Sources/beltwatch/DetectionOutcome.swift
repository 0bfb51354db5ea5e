import Foundation
import InspectionProtocol
import SyntheticLine

/// Verdicts beside the truth: what was caught, missed and falsely rejected.
struct DetectionOutcome: Encodable {
    /// One kind of part.
    struct Row: Encodable {
        let kind: String
        var parts = 0

        /// Rejected (or sent to review).
        var caught = 0

        var missed: Int { parts - caught }
    }

    /// Anomalous parts by what is wrong with them, in order of appearance in the table.
    private(set) var defects: [Row] = []

    /// Parts that are good; the ones caught are falsely rejected.
    private(set) var good = Row(kind: "good")

    /// Parts of the manifest that got no verdict, which is a fault of the line.
    private(set) var withoutVerdict = 0

    init(_ results: [PartResult], manifest: RecordingManifest) {
        var rejectedFrames: [UInt64: Bool] = [:]
        for result in results {
            for frame in result.details.frameIDs { rejectedFrames[frame.value] = result.verdict.disposition != .accept }
        }
        for part in manifest.parts {
            guard let isRejected = rejectedFrames[UInt64(part.triggerFrame)] else {
                withoutVerdict += 1
                continue
            }
            guard let defect = part.defect else {
                good.parts += 1
                good.caught += isRejected ? 1 : 0
                continue
            }
            let kind = "\(part.label == .logical ? "logical" : "structural"): \(defect.rawValue)"
            let index = defects.firstIndex { $0.kind == kind } ?? defects.endIndex
            if index == defects.endIndex { defects.append(Row(kind: kind)) }
            defects[index].parts += 1
            defects[index].caught += isRejected ? 1 : 0
        }
        defects.sort { $0.kind < $1.kind }
    }

    /// For people.
    var table: String {
        var lines = [Self.line("", "parts", "caught", "missed", "falsely rejected")]
        for row in defects { lines.append(Self.line(row.kind, "\(row.parts)", "\(row.caught)", "\(row.missed)", "")) }
        let (parts, caught) = defects.reduce((0, 0)) { ($0.0 + $1.parts, $0.1 + $1.caught) }
        lines.append(Self.line("good", "\(good.parts)", "", "", "\(good.caught)"))
        lines.append(Self.line("all", "\(parts + good.parts)", "\(caught)", "\(parts - caught)", "\(good.caught)"))
        if withoutVerdict > 0 { lines.append("\(withoutVerdict) parts of the manifest got no verdict") }
        return lines.joined(separator: "\n")
    }

    private static func line(_ kind: String, _ cells: String...) -> String {
        let first = kind.padding(toLength: max(28, kind.count), withPad: " ", startingAt: 0)
        // A row ends with its last cell that says something.
        let said = cells[..<(cells.lastIndex { !$0.isEmpty }.map { $0 + 1 } ?? 0)]
        return said.enumerated().reduce(first) { line, cell in
            let width = cell.offset == 3 ? 18 : 8
            return line + String(repeating: " ", count: max(1, width - cell.element.count)) + cell.element
        }
    }
}
