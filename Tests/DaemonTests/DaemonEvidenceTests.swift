import Capture
import Crypto
import Foundation
import Glibc
import Imaging
import InspectionProtocol
import Journal
import Messaging
import Testing

/// The pictures that the daemon keeps, and that it keeps none at the cost of a verdict.
extension DaemonTests {
    /// A camera that shows one picture, ten times a second.
    private static func source(of picture: String) -> [String] {
        [
            "pipeline: filesrc location=\(picture) ! pngdec ! imagefreeze is-live=true ! video/x-raw,framerate=10/1",
            "live: false",
        ]
    }

    /// Writes a picture that is different everywhere.
    private static func picture(in station: TemporaryPicture) throws -> [UInt8] {
        let pixels = (0..<320 * 240 * 3).map { UInt8(truncatingIfNeeded: ($0 &* 2_654_435_761) >> 13) }
        try PNGWriter.write(pixels: pixels, width: 320, height: 240, channels: 3, to: station.path)
        return pixels
    }

    @Test func theFrameAndTheHeatMapOfARejectAreOnTheDisk() throws {
        let picture = TemporaryPicture()
        let pixels = try Self.picture(in: picture)
        let station = try StationFixture(
            source: Self.source(of: picture.path), model: SharedModel.rejecting.get())
        let daemon = try RunningDaemon(["--config", station.configuration])
        var subscriber = try daemon.subscriber()
        let heard = try subscriber.receive { $0.contains { $0.event?.name == .evidenceStored } }
        daemon.signal(SIGTERM)
        #expect(try daemon.exitStatus() == 0, "\(daemon.errors)")

        let event = try #require(heard.compactMap(\.event).first { $0.name == .evidenceStored })
        let part = try #require(event.partID)
        let message = try #require(heard.first { $0.result?.verdict.partID == part })
        let evidence = try #require(message.result?.details.evidence)
        #expect(evidence == Evidence(path: "evidence/1/\(part)", sha256: nil, state: .queued))
        #expect(event.details["path"] == evidence.path)
        let folder = "\(station.directory)/state/evidence/1/\(part)"
        func bytes(_ name: String) throws -> Data { try Data(contentsOf: URL(filePath: "\(folder)/\(name)")) }

        let names = try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
        #expect(names == ["SHA256SUMS", "frame.png", "heatmap.png", "part.json"])
        let digest = SHA256.hash(data: try bytes("SHA256SUMS")).map { String(format: "%02x", $0) }.joined()
        #expect(event.details["sha256"] == digest)
        let check = Process()
        check.executableURL = URL(filePath: "/usr/bin/sha256sum")
        check.arguments = ["--check", "--strict", "--status", "SHA256SUMS"]
        check.currentDirectoryURL = URL(filePath: folder)
        try check.run()
        check.waitUntilExit()
        #expect(check.terminationStatus == 0)

        let frame = try decodeImage(at: "\(folder)/frame.png")
        #expect(frame.width == 320 && frame.withPixels { span in span.indices.map { span[$0] } } == pixels)
        let map = try decodeImage(at: "\(folder)/heatmap.png")
        #expect(map.width == 256 && map.height == 256)
        #expect(try Array(bytes("part.json")) == message.encoded())

        // Everybody finds them by the journal.
        let reader = try JournalReader(path: JournalFiles(in: "\(station.directory)/state").database)
        var filter = JournalFilter()
        filter.partID = part
        filter.kinds = [.event, .result]
        var kept: Set<MessageKind> = []
        try reader.forEach(matching: filter) { kept.insert($0.kind) }
        #expect(kept == [.result, .event])
    }

    @Test func ofAnAcceptedPartNothingIsKept() throws {
        let picture = TemporaryPicture()
        _ = try Self.picture(in: picture)
        let station = try StationFixture(source: Self.source(of: picture.path))
        let daemon = try RunningDaemon(["--config", station.configuration])
        var subscriber = try daemon.subscriber()
        let heard = try subscriber.receive { $0.count { $0.result != nil } >= 3 }
        daemon.signal(SIGTERM)
        #expect(try daemon.exitStatus() == 0, "\(daemon.errors)")
        #expect(heard.compactMap(\.result).allSatisfy { $0.details.evidence == .off })
        let kept = try FileManager.default.contentsOfDirectory(atPath: "\(station.directory)/state/evidence")
        #expect(kept.isEmpty)
    }

    @Test func whereNoneIsWantedNothingIsKept() throws {
        let picture = TemporaryPicture()
        _ = try Self.picture(in: picture)
        let station = try StationFixture(
            source: Self.source(of: picture.path), model: SharedModel.rejecting.get(), more: ["evidence: {keep: off}"])
        let daemon = try RunningDaemon(["--config", station.configuration])
        var subscriber = try daemon.subscriber()
        let heard = try subscriber.receive { $0.count { $0.result != nil } >= 3 }
        daemon.signal(SIGTERM)
        #expect(try daemon.exitStatus() == 0, "\(daemon.errors)")
        #expect(heard.compactMap(\.result).allSatisfy { $0.details.evidence == .off })
        #expect(!FileManager.default.fileExists(atPath: "\(station.directory)/state/evidence"))
    }

    @Test func aDiskWithoutRoomForPicturesIsAFlagWithinASecondAndStopsNothingElse() throws {
        let picture = TemporaryPicture()
        _ = try Self.picture(in: picture)
        let station = try StationFixture(
            source: Self.source(of: picture.path), model: SharedModel.rejecting.get(),
            more: ["journal: {reserve: 1MiB}", "evidence: {free: 4MiB, size: 16MiB}"])
        let state = "\(station.directory)/state"
        try FileManager.default.createDirectory(atPath: state, withIntermediateDirectories: true)
        let daemon = try RunningDaemon(["--config", station.configuration], disk: state)
        guard !daemon.mayNotMount() else {
            print("skipped: this sandbox does not allow mounts, so no disk was full")
            return
        }
        var subscriber = try daemon.subscriber()
        var heard = try subscriber.receive { $0.contains { $0.event?.name == .evidenceStored } }
        #expect(heard.compactMap(\.state).allSatisfy { !$0.flags.contains(.degradedEvidence) })

        // Somebody else's file leaves 3 MiB: too little for pictures, and enough for the journal.
        let disk = "/proc/\(daemon.processID)/root\(state)"
        var space = statvfs()
        #expect(statvfs(disk, &space) == 0)
        let free = Int(space.f_bavail) * Int(space.f_frsize)
        let filler = open("\(disk)/filler", O_WRONLY | O_CREAT, 0o600)
        #expect(posix_fallocate(filler, 0, off_t(free - 3 << 20)) == 0)
        close(filler)
        let filled = MonotonicInstant.thisMoment.microseconds
        let isFlagged = { @Sendable (message: Message) in message.state?.flags.contains(.degradedEvidence) == true }
        heard += try subscriber.receive { $0.contains(where: isFlagged) }
        let flag = try #require(heard.first(where: isFlagged)).envelope.sentMonotonicMicroseconds
        #expect(flag < filled + 1_000_000, "flagged after \(Int64(flag) - Int64(filled)) µs")

        let later = try subscriber.receive { $0.count { $0.result != nil } >= 5 }
        #expect(later.compactMap(\.verdict).count >= 4)
        #expect(later.compactMap(\.result).last?.details.evidence == Evidence(path: nil, sha256: nil, state: .dropped))
        #expect(later.compactMap(\.state).allSatisfy { $0.state == .running })
        let kept = try daemon.copyOfJournal(in: disk, to: station.directory).lastSequences(of: 1)
        let lastHeard = try #require(later.last { $0.result != nil })
        #expect(try #require(kept.result).value + 5 >= lastHeard.envelope.sequence.value)

        unlink("\(disk)/filler")
        let after = try subscriber.receive {
            $0.contains { $0.state?.flags == [.replay] } && $0.last { $0.event?.name == .evidenceStored } != nil
        }
        #expect(after.compactMap(\.result).last?.details.evidence.state == .queued)
        daemon.signal(SIGTERM)
        #expect(try daemon.exitStatus() == 0, "\(daemon.errors)")
        #expect(daemon.errors.contains("pictures of parts are being lost"))
        #expect(daemon.errors.contains("pictures of parts not kept"))
        #expect(daemon.errors.contains("pictures of parts are kept again"))
    }
}

/// The path of a PNG file, which goes with the value.
private final class TemporaryPicture: Sendable {
    let path = FileManager.default.temporaryDirectory.appending(path: "beltwatchd-\(UUID().uuidString).png").path

    deinit { unlink(path) }
}

extension MonotonicInstant {
    fileprivate static var thisMoment: MonotonicInstant {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return MonotonicInstant(nanoseconds: UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec))
    }
}
