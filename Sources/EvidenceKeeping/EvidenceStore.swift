import Archive
import InspectionProtocol
import InspectionRuntime

/// The evidence of parts on disk, `evidence/SESSION/PART/` in the state directory: of every part all files or none, and
/// never more than the settings allow.
///
/// Knows no queue and no timer: `EvidenceWriter` calls it on `beltwatch.evidence`. Directories are opened anew for every
/// part, so that one that was replaced or removed is noticed.
final class EvidenceStore {
    /// Of a folder that is being written or removed: whoever finds one removes it.
    static let unfinished = ".partial"
    private static let root = "evidence"

    /// Why the disk takes nothing now; nil while it does.
    private(set) var fault: EvidenceFault?
    private let directory: String
    private let settings: StationConfiguration.Evidence

    /// Nil before the disk was read.
    private var index: EvidenceIndex?

    /// What the disk refused last, in bytes; it must take as much before it is believed again.
    private var refused = 0

    /// - Parameter directory: The state directory. Nothing is touched yet.
    init(in directory: String, settings: StationConfiguration.Evidence) {
        self.directory = directory
        self.settings = settings
    }

    /// Where a part's folder is or will be, in the state directory.
    static func path(of part: PartID, in session: SessionNumber) -> String { "\(root)/\(session)/\(part)" }

    /// How much is kept, in bytes, and of how many parts; nil before the disk was read.
    var contents: (parts: Int, bytes: Int)? { index.map { ($0.count, $0.bytes) } }

    /// Returns once the files of a part are on the medium under their final name. Where anything fails, none of them is.
    func store(
        _ files: EvidenceFiles, of part: PartID, in session: SessionNumber
    ) throws(EvidenceFault) {
        let bytes = files.footprint
        guard bytes <= settings.size else { throw .tooLarge(bytes: bytes, limit: settings.size) }
        do throws(EvidenceFault) {
            try withRoot { root throws(EvidenceFault) in
                try requireRoom(for: bytes, in: root)
                try removeOldest(in: root, downTo: settings.size - bytes)
                try EvidenceFault.wrapping { () throws(FileError) in
                    try write(files, of: part, to: try root.makeDirectory("\(session)"))
                }
            }
            index?.append(EvidenceIndex.Part(session: session, id: part, bytes: bytes))
        } catch {
            fault = error
            refused = bytes
            throw error
        }
    }

    private func write(
        _ files: EvidenceFiles, of part: PartID, to session: borrowing OpenDirectory
    ) throws(FileError) {
        let aside = "\(part)\(Self.unfinished)"
        do throws(FileError) {
            try session.remove(aside)
            let folder = try session.makeDirectory(aside)
            for file in files.files { try folder.write(file.bytes, toNew: file.name) }
            try folder.synchronise()
            try session.rename(aside, to: "\(part)")
        } catch {
            // On a full disk also to give back what it has taken.
            try? session.remove(aside)
            throw error
        }
        try session.synchronise()
    }

    /// Looks after the disk: whether it still takes pictures, or takes them again.
    func tend() {
        do throws(EvidenceFault) {
            try withRoot { root throws(EvidenceFault) in
                try requireRoom(for: refused, in: root)
                if fault != nil {
                    try EvidenceFault.wrapping { () throws(FileError) in try probe(root) }
                } else {
                    try removeOldest(in: root, downTo: settings.size)
                }
            }
            fault = nil
            refused = 0
        } catch {
            fault = error
        }
    }

    /// Has the disk take once more what it refused.
    private func probe(_ root: borrowing OpenDirectory) throws(FileError) {
        let name = "probe\(Self.unfinished)"
        try root.remove(name)
        do throws(FileError) {
            try root.allocate(max(refused, 4096), toNew: name)
        } catch {
            try? root.remove(name)
            throw error
        }
        try root.remove(name)
    }

    /// - Parameter body: Runs once the index is there.
    private func withRoot(
        _ body: (borrowing OpenDirectory) throws(EvidenceFault) -> Void
    ) throws(EvidenceFault) {
        let root = try EvidenceFault.wrapping { () throws(FileError) in
            let root = try OpenDirectory(directory).makeDirectory(Self.root)
            if index == nil { index = try EvidenceIndex(root.partsAfterCleaning()) }
            return root
        }
        try body(root)
    }

    /// - Throws: Where the disk would have less free space than the settings leave to others.
    private func requireRoom(for bytes: Int, in root: borrowing OpenDirectory) throws(EvidenceFault) {
        let free = try EvidenceFault.wrapping { () throws(FileError) in try root.freeSpace() }
        // The oldest would go first.
        let replaced = max(0, (index?.bytes ?? 0) + bytes - settings.size)
        guard free - max(0, bytes - replaced) >= settings.free else {
            throw .diskFull(free: free, limit: settings.free)
        }
    }

    private func removeOldest(in root: borrowing OpenDirectory, downTo limit: Int) throws(EvidenceFault) {
        while let oldest = index?.oldest, let bytes = index?.bytes, bytes > limit {
            do throws(FileError) {
                try root.remove(oldest)
            } catch {
                // Somebody else was there before us.
                guard [.missing, .notADirectory, .symbolicLink].contains(error.cause) else { throw .file(error) }
            }
            index?.removeOldest()
        }
    }
}

extension OpenDirectory {
    /// Takes a part's final name away before its files go, so that it never stands for half of them.
    fileprivate func remove(_ part: EvidenceIndex.Part) throws(FileError) {
        do {
            let session = try directory("\(part.session)")
            let aside = "\(part.id)\(EvidenceStore.unfinished)"
            try session.rename("\(part.id)", to: aside)
            try session.synchronise()
            try session.remove(aside)
        }
        removeIfEmpty("\(part.session)")
    }

    /// Removes what a killed process left unfinished, and finds what is whole. What is not ours, or cannot be
    /// removed, is left alone: one strange file must not keep pictures from being kept.
    fileprivate func partsAfterCleaning() throws(FileError) -> [EvidenceIndex.Part] {
        var parts: [EvidenceIndex.Part] = []
        for name in try names() {
            if name.hasSuffix(EvidenceStore.unfinished) { try? remove(name) }
            guard let number = UInt64(canonical: name), let session = try? directory(name),
                let names = try? session.names()
            else { continue }
            for name in names {
                if name.hasSuffix(EvidenceStore.unfinished) { try? session.remove(name) }
                guard let part = UInt64(canonical: name), let folder = try? session.directory(name),
                    let files = try? folder.names()
                else { continue }
                let sizes = files.compactMap { try? folder.size(of: $0) }
                parts.append(
                    EvidenceIndex.Part(
                        session: SessionNumber(number), id: PartID(part),
                        bytes: EvidenceFiles.footprint(ofSizes: sizes)))
            }
            removeIfEmpty(name)
        }
        return parts
    }
}

extension UInt64 {
    /// A number as we write it: no sign, no zeros before it.
    fileprivate init?(canonical text: String) {
        guard let number = UInt64(text), "\(number)" == text else { return nil }
        self = number
    }
}
