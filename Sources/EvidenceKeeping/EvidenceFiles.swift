import AnomalyScoring
import Capture
import Crypto
import Foundation
import Imaging
import InspectionProtocol
import InspectionRuntime
import TensorKernels

/// The files of one part, ready to be written.
struct EvidenceFiles {
    struct File {
        var name: String
        var bytes: [UInt8]
    }

    /// Names in byte order, and `SHA256SUMS` last.
    let files: [File]

    /// Digest of `SHA256SUMS`, hexadecimal: one digest for all of them.
    let sha256: String

    init(_ contents: [File]) {
        let contents = contents.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
        // As sha256sum(1) writes it and checks it.
        let sums = contents.map { "\(Self.digest(of: $0.bytes))  \($0.name)\n" }.joined()
        files = contents + [File(name: "SHA256SUMS", bytes: Array(sums.utf8))]
        sha256 = Self.digest(of: Array(sums.utf8))
    }

    /// What a part takes on disk, in bytes: whole blocks, and one for the folder.
    var footprint: Int { Self.footprint(ofSizes: files.map(\.bytes.count)) }

    static func footprint(ofSizes sizes: [Int]) -> Int {
        let block = 4096
        // Anybody's file may have any size, so the sum stays where numbers end.
        return sizes.reduce(block) { sum, size in
            let (total, overflows) = sum.addingReportingOverflow(
                size > Int.max - block ? .max : (size + block - 1) / block * block)
            return overflows ? .max : total
        }
    }

    private static func digest(of bytes: [UInt8]) -> String {
        SHA256.hash(data: bytes).map { String(format: "%02x", $0) }.joined()
    }
}

/// How pictures become files.
struct EvidenceDrawing: Sendable {
    /// What of a frame the map shows.
    var preprocessing: Preprocessing

    /// What the map's values mean.
    var mapOptions: MapOptions

    /// `frame.png` with the source's pixels, `heatmap.png` with the map on top where there is one, and `part.json`, the
    /// `result/` message as it is published. The second picture of a part is `frame-2.png`, with `heatmap-2.png`.
    func files(of pictures: [PartPicture], with result: Message) throws(EvidenceFault) -> EvidenceFiles {
        var files: [EvidenceFiles.File] = []
        do {
            for (index, picture) in pictures.enumerated() {
                let number = index == 0 ? "" : "-\(index + 1)"
                files.append(
                    EvidenceFiles.File(name: "frame\(number).png", bytes: try PNGEncoder.encode(picture.frame)))
                guard let map = picture.map else { continue }
                files.append(
                    EvidenceFiles.File(name: "heatmap\(number).png", bytes: try heatMap(of: map, on: picture.frame)))
            }
            files.append(EvidenceFiles.File(name: "part.json", bytes: try result.encoded()))
        } catch {
            throw .encoding(reason: "\(error)")
        }
        return EvidenceFiles(files)
    }

    private func heatMap(of map: Tensor, on frame: Frame) throws -> [UInt8] {
        let pixels = HeatMap.overlay(map, options: mapOptions, on: try preprocessing.modelImage(of: frame))
        return try PNGEncoder.encode(pixels.span, width: ModelImage.side, height: ModelImage.side)
    }
}
