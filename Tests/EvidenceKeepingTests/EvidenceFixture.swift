import AnomalyScoring
import Capture
import Foundation
import Glibc
import Imaging
import InspectionProtocol
import InspectionRuntime
import Locking
import Logging
import TensorKernels
import Testing

@testable import EvidenceKeeping

/// A directory of its own for one test, removed with the value.
final class TemporaryDirectory: Sendable {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.appending(path: "beltwatch-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String) -> String { "\(path)/\(name)" }

    /// What is in a directory below, in order; nothing where there is none.
    func names(in name: String) -> [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: file(name)))?.sorted() ?? []
    }

    func bytes(of name: String) throws -> [UInt8] { try Array(Data(contentsOf: URL(filePath: file(name)))) }
}

/// A noisy picture, which no encoder makes much smaller.
func noisyFrame(width: Int = 64, height: Int = 48, seed: UInt64 = 1) -> Frame {
    var state = seed
    let pixels = PixelBuffer(count: width * height * 3) { span in
        for index in span.indices {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            span[index] = UInt8(truncatingIfNeeded: state >> 56)
        }
    }
    return Frame(
        number: 1, width: width, height: height, capturedAt: MonotonicInstant(nanoseconds: 1), pixels: pixels)
}

let someMap = Tensor(shape: [1, 256, 256], repeating: 0.1)

/// The `result/` message of a rejected part.
func result(of part: UInt64, session: SessionNumber = 1) throws -> Message {
    let verdict = Verdict(
        partID: PartID(part), triggerID: TriggerID(part), triggerSource: .everyFrame, capturedAt: nil,
        capturedMonotonicMicroseconds: 1, timestampQuality: .file, disposition: .reject, reason: .anomaly,
        inspected: true, score: 3, threshold: 2.5, deadlineMonotonicMicroseconds: 3, latencyMicroseconds: 4,
        deadlineMarginMicroseconds: 5, framesUsed: 1, recipe: "tray", recipeRevision: 1, modelSHA256: "ab",
        mode: .production, simulated: false, consecutiveRejects: 1)
    let details = PartResult.Details(
        picturable: nil, unpicturable: nil, responsibleBranch: nil, regions: nil, stageDurations: StageDurations(),
        frameIDs: [1], evidence: .off, late: false)
    return Message(
        envelope: Envelope(
            station: try StationName("line1"), session: session, sequence: SequenceNumber(part),
            sentAt: UTCTimestamp(microsecondsSince1970: 0), sentMonotonicMicroseconds: 1),
        body: .result(PartResult(verdict: verdict, details: details)))
}

/// Files of about so many bytes in all.
func files(_ bytes: Int = 20_000) -> EvidenceFiles {
    EvidenceFiles([
        .init(name: "frame.png", bytes: Array(repeating: 1, count: bytes / 2)),
        .init(name: "heatmap.png", bytes: Array(repeating: 2, count: bytes / 2)),
    ])
}

/// Settings for small disks.
func smallSettings(
    _ change: (inout StationConfiguration.Evidence) -> Void = { _ in }
) -> StationConfiguration.Evidence {
    var settings = StationConfiguration.Evidence()
    settings.free = 1 << 20
    change(&settings)
    return settings
}

let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// What sha256sum(1) says about every part in a session's folder.
func checkSums(_ directory: TemporaryDirectory, session: SessionNumber = 1) throws -> [String: Bool] {
    var verdicts: [String: Bool] = [:]
    for part in directory.names(in: "evidence/\(session)") where !part.hasSuffix(".partial") {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/sha256sum")
        process.arguments = ["--check", "--strict", "--status", "SHA256SUMS"]
        process.currentDirectoryURL = URL(filePath: directory.file("evidence/\(session)/\(part)"))
        try process.run()
        process.waitUntilExit()
        verdicts[part] = process.terminationStatus == 0
    }
    return verdicts
}

/// Mounts a RAM disk that only the calling thread sees, and that goes with the process.
func mountOwnDisk(at path: String, options: String) -> Bool {
    // Glibc's module leaves unshare(2) and its flags out, as GNU extensions.
    typealias Unshare = @convention(c) (CInt) -> CInt
    guard let symbol = dlsym(nil, "unshare") else { return false }
    let unshare = unsafeBitCast(symbol, to: Unshare.self)
    let newMountNamespace: CInt = 0x20000
    let privateRecursively: UInt = 1 << 18 | 1 << 14
    return unshare(newMountNamespace) == 0 && mount("none", "/", nil, privateRecursively, nil) == 0
        && mount("tmpfs", path, "tmpfs", 0, options) == 0
}

/// Fills a disk to the last page.
func fill(_ path: String) {
    let descriptor = open(path, O_WRONLY | O_CREAT, 0o600)
    let page = [UInt8](repeating: 0, count: 4096)
    while write(descriptor, page, page.count) > 0 {}
    close(descriptor)
}
