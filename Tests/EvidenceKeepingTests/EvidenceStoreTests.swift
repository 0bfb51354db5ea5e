import AnomalyScoring
import Archive
import Capture
import Crypto
import Foundation
import Glibc
import Imaging
import InspectionProtocol
import InspectionRuntime
import Testing

@testable import EvidenceKeeping

/// The store alone, on one thread.
@Suite struct EvidenceStoreTests {
    let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func store(_ settings: StationConfiguration.Evidence = smallSettings()) -> EvidenceStore {
        EvidenceStore(in: directory.path, settings: settings)
    }

    @Test func aPartIsAFolderThatAnybodyCanCheck() throws {
        let frame = noisyFrame(width: 61, height: 47)
        let drawing = EvidenceDrawing(preprocessing: Preprocessing(), mapOptions: MapOptions())
        let message = try result(of: 4711)
        let files = try drawing.files(of: [PartPicture(frame: frame, map: someMap)], with: message)
        try store().store(files, of: 4711, in: 3)

        #expect(directory.names(in: "evidence") == ["3"])
        #expect(directory.names(in: "evidence/3") == ["4711"])
        let folder = EvidenceStore.path(of: 4711, in: 3)
        #expect(folder == "evidence/3/4711")
        #expect(directory.names(in: folder) == ["SHA256SUMS", "frame.png", "heatmap.png", "part.json"])
        #expect(try checkSums(directory, session: 3) == ["4711": true])
        let sums = SHA256.hash(data: try directory.bytes(of: "\(folder)/SHA256SUMS"))
        #expect(files.sha256 == sums.map { String(format: "%02x", $0) }.joined())

        // The source's pixels, and the message as it is published.
        let kept = try decodeImage(at: directory.file("\(folder)/frame.png"))
        #expect(kept.width == 61 && kept.height == 47 && pixels(of: kept) == pixels(of: frame))
        let map = try decodeImage(at: directory.file("\(folder)/heatmap.png"))
        let image = try Preprocessing().modelImage(of: frame)
        #expect(pixels(of: map) == HeatMap.overlay(someMap, options: MapOptions(), on: image))
        #expect(try directory.bytes(of: "\(folder)/part.json") == message.encoded())

        // sha256sum does see a changed byte.
        var changed = try directory.bytes(of: "\(folder)/frame.png")
        changed[100] ^= 1
        try Data(changed).write(to: URL(filePath: directory.file("\(folder)/frame.png")))
        #expect(try checkSums(directory, session: 3) == ["4711": false])
    }

    @Test func aPartWithoutAScoreHasNoHeatMap() throws {
        let drawing = EvidenceDrawing(preprocessing: Preprocessing(), mapOptions: MapOptions())
        let files = try drawing.files(of: [PartPicture(frame: noisyFrame())], with: try result(of: 1))
        #expect(files.files.map(\.name) == ["frame.png", "part.json", "SHA256SUMS"])
    }

    @Test func aPartThatSeveralFramesShowHasAPictureOfEach() throws {
        let drawing = EvidenceDrawing(preprocessing: Preprocessing(), mapOptions: MapOptions())
        let pictures = (1...3).map { PartPicture(frame: noisyFrame(seed: $0), map: $0 == 2 ? someMap : nil) }
        let files = try drawing.files(of: pictures, with: try result(of: 1)).files
        #expect(
            files.map(\.name) == [
                "frame-2.png", "frame-3.png", "frame.png", "heatmap-2.png", "part.json", "SHA256SUMS",
            ])
        #expect(Set(files.map(\.bytes)).count == 6)
    }

    @Test func theOldestPartsMakeRoom() throws {
        // Room for four.
        let settings = smallSettings { $0.size = 4 * files().footprint + 1000 }
        let store = store(settings)
        for part: UInt64 in 1...3 { try store.store(files(), of: PartID(part), in: 1) }
        for part: UInt64 in 4...6 { try store.store(files(), of: PartID(part), in: 2) }
        #expect(directory.names(in: "evidence/1") == ["3"])
        #expect(directory.names(in: "evidence/2") == ["4", "5", "6"])
        // The last of a session takes its folder with it.
        try store.store(files(), of: 7, in: 2)
        #expect(directory.names(in: "evidence") == ["2"])
        #expect(store.contents?.parts == 4 && store.contents?.bytes == 4 * files().footprint)

        // The next start knows what is there, and goes by the number, not by the name.
        let next = self.store(settings)
        for part: UInt64 in 8...10 { try next.store(files(), of: PartID(part), in: 10) }
        #expect(directory.names(in: "evidence") == ["10", "2"])
        #expect(directory.names(in: "evidence/2") == ["7"])
        // One with less room makes it.
        let small = self.store(smallSettings { $0.size = 2 * files().footprint })
        small.tend()
        #expect(small.fault == nil)
        #expect(directory.names(in: "evidence/10") == ["10", "9"])
        #expect(directory.names(in: "evidence") == ["10"])
    }

    @Test func whatSomebodyElseRemovedMakesRoomToo() throws {
        let store = store(smallSettings { $0.size = 2 * files().footprint })
        for part: UInt64 in 1...2 { try store.store(files(), of: PartID(part), in: 1) }
        try FileManager.default.removeItem(atPath: directory.file("evidence/1/1"))
        try store.store(files(), of: 3, in: 1)
        #expect(directory.names(in: "evidence/1") == ["2", "3"])
        try FileManager.default.removeItem(atPath: directory.file("evidence"))
        try store.store(files(), of: 4, in: 2)
        #expect(directory.names(in: "evidence/2") == ["4"])
    }

    @Test func onePartThatIsLargerThanAllMayBeIsRefused() throws {
        let store = store(smallSettings { $0.size = 10_000 })
        #expect(throws: EvidenceFault.tooLarge(bytes: files().footprint, limit: 10_000)) {
            try store.store(files(), of: 1, in: 1)
        }
        // That is no fault of the disk.
        #expect(store.fault == nil)
    }

    @Test func whatIsNotOursStays() throws {
        try FileManager.default.createDirectory(
            atPath: directory.file("evidence/1/notes"), withIntermediateDirectories: true)
        try Data([1]).write(to: URL(filePath: directory.file("evidence/README")))
        let store = store(smallSettings { $0.size = files().footprint })
        for part: UInt64 in 1...3 { try store.store(files(), of: PartID(part), in: 1) }
        #expect(directory.names(in: "evidence") == ["1", "README"])
        #expect(directory.names(in: "evidence/1") == ["3", "notes"])
    }

    /// Killed at moments that nobody chose, by a real signal.
    @Test func aKillLeavesNoHalfPartUnderItsName() async throws {
        var unfinished = 0
        for round: UInt64 in 1...12 {
            let first = round * 1000
            // Quotas small enough that parts go as others come.
            await #expect(processExitsWith: .signal(SIGKILL)) {
                [path = directory.path as String, first = first as UInt64] in
                let thread = Thread {
                    let store = EvidenceStore(in: path, settings: smallSettings { $0.size = 2 << 20 })
                    for part in first... { try? store.store(files(300_000), of: PartID(part), in: 1) }
                }
                thread.start()
                usleep(UInt32.random(in: 5_000...80_000))
                kill(getpid(), SIGKILL)
                while true { sleep(1) }
            }
            let damaged = try checkSums(directory).filter { !$0.value }
            #expect(damaged.isEmpty)
            unfinished += directory.names(in: "evidence/1").count { $0.hasSuffix(".partial") }
        }
        #expect(try !checkSums(directory).isEmpty)
        #expect(unfinished > 0, "no kill came in the middle")
        store(smallSettings { $0.size = 2 << 20 }).tend()
        #expect(directory.names(in: "evidence/1").allSatisfy { !$0.hasSuffix(".partial") })
    }

    @Test func plantedLinksAreNotFollowed() throws {
        let others = try TemporaryDirectory()
        try Data([7]).write(to: URL(filePath: others.file("precious")))
        // In the place of the root.
        try FileManager.default.createSymbolicLink(
            atPath: directory.file("evidence"), withDestinationPath: others.path)
        let store = store()
        let refusal = EvidenceFault.file(FileError(.open, directory.file("evidence"), .symbolicLink))
        #expect(throws: refusal) { try store.store(files(), of: 1, in: 1) }
        #expect(store.fault == refusal)
        unlink(directory.file("evidence"))
        store.tend()
        #expect(store.fault == nil)
        // In the place of a session, of a folder being written, and of a part.
        try FileManager.default.createSymbolicLink(
            atPath: directory.file("evidence/2"), withDestinationPath: others.path)
        #expect(throws: EvidenceFault.self) { try store.store(files(), of: 2, in: 2) }
        store.tend()
        try store.store(files(), of: 3, in: 3)
        for name in ["4.partial", "5"] {
            try FileManager.default.createSymbolicLink(
                atPath: directory.file("evidence/3/\(name)"), withDestinationPath: others.path)
        }
        try store.store(files(), of: 4, in: 3)
        #expect(throws: EvidenceFault.self) { try store.store(files(), of: 5, in: 3) }
        // Nor when the oldest go: only the link does.
        let small = self.store(smallSettings { $0.size = files().footprint })
        small.tend()
        #expect(directory.names(in: "evidence/3") == ["4", "5"])
        #expect(others.names(in: "") == ["precious"])
    }

    private func pixels(of frame: Frame) -> [UInt8] {
        frame.withPixels { span in span.indices.map { span[$0] } }
    }
}

/// Disks that are full or read-only, for real, in processes of their own.
@Suite struct EvidenceDiskTests {
    @Test(.enabled(if: geteuid() == 0, "mounting a small disk needs root"))
    func aFullDiskTakesNothingUntilThereIsRoom() async {
        await #expect(processExitsWith: .success) {
            let directory = try TemporaryDirectory()
            guard mountOwnDisk(at: directory.path, options: "size=8m") else {
                print("skipped: this sandbox does not allow mounts")
                return
            }
            let store = EvidenceStore(in: directory.path, settings: smallSettings { $0.free = 4 << 20 })
            var part: UInt64 = 0
            while store.fault == nil, part < 100 {
                part += 1
                try? store.store(files(500_000), of: PartID(part), in: 1)
            }
            guard case .diskFull(let free, 4_194_304)? = store.fault else {
                Issue.record("\(String(describing: store.fault))")
                return
            }
            // The limit is others' space: it stays free.
            #expect(free >= 4 << 20)
            #expect(directory.names(in: "evidence/1").count == Int(part) - 1)
            store.tend()
            #expect(store.fault != nil)
            try FileManager.default.removeItem(atPath: directory.file("evidence/1/1"))
            store.tend()
            #expect(store.fault == nil)
            try store.store(files(500_000), of: PartID(part), in: 1)
        }
    }

    /// Others may be faster than our look at the free space.
    @Test(.enabled(if: geteuid() == 0, "mounting a small disk needs root"))
    func aDiskThatFillsUpInTheMiddleKeepsNoHalfPart() async {
        await #expect(processExitsWith: .success) {
            let directory = try TemporaryDirectory()
            guard mountOwnDisk(at: directory.path, options: "size=8m") else {
                print("skipped: this sandbox does not allow mounts")
                return
            }
            let store = EvidenceStore(in: directory.path, settings: smallSettings { $0.free = 0 })
            try store.store(files(), of: 1, in: 1)
            // Blocks are counted whole and names not at all, so the last few do not fit though they should.
            let filler = directory.file("filler")
            fill(filler)
            #expect(truncate(filler, 7 << 20) == 0)
            var part: UInt64 = 2
            while store.fault == nil, part < 500 {
                try? store.store(files(60_000), of: PartID(part), in: 1)
                part += 1
            }
            #expect(store.fault != nil)
            let damaged = try checkSums(directory).filter { !$0.value }
            #expect(damaged.isEmpty)
            #expect(directory.names(in: "evidence/1").allSatisfy { !$0.hasSuffix(".partial") })
            unlink(filler)
            store.tend()
            #expect(store.fault == nil)
            #expect(directory.names(in: "evidence") == ["1"])
            try store.store(files(60_000), of: PartID(part), in: 1)
        }
    }

    /// Without root: the limit of the process stands for a disk that breaks off a write.
    @Test func aWriteThatBreaksOffIsNoPartAndPasses() async {
        await #expect(processExitsWith: .success) {
            let directory = try TemporaryDirectory()
            signal(SIGXFSZ, SIG_IGN)
            let store = EvidenceStore(in: directory.path, settings: smallSettings())
            try store.store(files(), of: 1, in: 1)
            var limit = rlimit(rlim_cur: 100 << 10, rlim_max: .max)
            #expect(setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) == 0)
            let path = directory.file("evidence/1/2.partial/frame.png")
            #expect(throws: EvidenceFault.file(FileError(.write, path, .tooLarge))) {
                try store.store(files(400_000), of: 2, in: 1)
            }
            #expect(directory.names(in: "evidence/1") == ["1"])
            // As much as was refused must fit, not just anything.
            store.tend()
            #expect(store.fault != nil)
            #expect(directory.names(in: "evidence") == ["1"])
            limit.rlim_cur = .max
            #expect(setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) == 0)
            store.tend()
            #expect(store.fault == nil)
        }
    }

    @Test(.enabled(if: geteuid() == 0, "mounting a read-only disk needs root"))
    func aReadOnlyDiskIsAFaultUntilItIsWritable() async {
        await #expect(processExitsWith: .success) {
            let directory = try TemporaryDirectory()
            guard mountOwnDisk(at: directory.path, options: "size=8m") else {
                print("skipped: this sandbox does not allow mounts")
                return
            }
            let store = EvidenceStore(in: directory.path, settings: smallSettings())
            try store.store(files(), of: 1, in: 1)
            let remount: UInt = 32
            let readOnly: UInt = 1
            #expect(mount("tmpfs", directory.path, "tmpfs", remount | readOnly, nil) == 0, "\(errno)")
            #expect(throws: EvidenceFault.self) { try store.store(files(), of: 2, in: 1) }
            store.tend()
            guard case .file(let error)? = store.fault, error.cause == .readOnlyFileSystem else {
                Issue.record("\(String(describing: store.fault))")
                return
            }
            #expect(mount("tmpfs", directory.path, "tmpfs", remount, nil) == 0, "\(errno)")
            store.tend()
            #expect(store.fault == nil)
            try store.store(files(), of: 2, in: 1)
        }
    }
}
