import Glibc

/// How the pictures of a data set lie on disk.
public enum DatasetLayout: String, Sendable, CaseIterable {
    /// `train/good`, `test/good`, `test/<defect>`, `ground_truth/<defect>/<id>_mask.png`.
    case mvtecAD = "MVTec AD"

    /// `train/good`, `validation/good`, `test/{good,logical_anomalies,structural_anomalies}`,
    /// `ground_truth/<kind>/<id>/*.png`, one mask per defect.
    case mvtecLOCO = "MVTec LOCO AD"

    /// Pictures of good parts, directly in the folder.
    case goodParts = "folder of good parts"
}

/// One picture of a data set and what is known about it.
public struct DatasetImage: Hashable, Sendable {
    public let path: String

    /// The folder it lies in: `good` (which `ok` is read as), or the name of the defect.
    public let kind: String

    /// The file's name without its extension.
    public let identifier: String

    /// Where the defects are: none for good parts, one file in MVTec AD, one or more in MVTec LOCO AD. Empty for an
    /// anomalous picture, too, where the mask is missing (`DatasetFolder.masks(of:)` refuses that).
    public let maskPaths: [String]

    public var isGood: Bool { kind == DatasetFolder.goodKind }

    /// Where the official evaluators look for this picture's anomaly map: `<maps>/<category>/test/<kind>/<id>.tiff`.
    ///
    /// The folder is the kind's own, so `ok` stays `ok`.
    public func mapPath(in maps: String, category: String) -> String {
        let folder = AtomicFile.split(AtomicFile.split(path).directory).name
        return "\(maps)/\(category)/test/\(folder)/\(identifier).tiff"
    }
}

/// A data set on disk: its layout and its pictures, split as the folders say, each split in byte order of the paths.
///
/// Pictures are files ending in `.png`, `.jpg` or `.jpeg`, upper or lower case; other files are passed over.
public struct DatasetFolder: Hashable, Sendable {
    public let directory: String
    public let layout: DatasetLayout

    /// Good parts to learn from; at least one.
    public let training: [DatasetImage]

    /// Good parts that MVTec LOCO AD sets aside; otherwise empty.
    public let validation: [DatasetImage]

    /// Good parts first, then the defects by name; empty where there is no `test`.
    public let test: [DatasetImage]

    static let goodKind = "good"
    private static let goodFolders = [goodKind, "ok"]

    /// The data set's name in results: that of its folder, also where the folder was given as `.` or `..`.
    public let category: String

    /// Finds out what lies in a folder.
    ///
    /// - Throws: Where it is none of the layouts, or a split has no pictures; the error says what was there.
    public init(_ path: String) throws(DatasetError) {
        var directory = path
        while directory.count > 1, directory.hasSuffix("/") { directory.removeLast() }
        self.directory = directory
        category = Self.name(of: directory)
        switch Directory.kind(of: directory) {
        case nil: throw .file(FileError(.list, directory, .missing))
        case .file, .other: throw .notADirectory(directory)
        case .directory: break
        }

        guard Directory.kind(of: "\(directory)/train") == .directory else {
            guard Directory.kind(of: "\(directory)/test") == nil else {
                throw .missingSplit(directory: directory, split: "train/good", found: try Self.found(in: directory))
            }
            layout = .goodParts
            training = try Self.images(in: directory, kind: Self.goodKind) { _ in [] }
            validation = []
            test = []
            guard !training.isEmpty else {
                throw .noImages(directory: directory, found: try Self.found(in: directory))
            }
            return
        }
        // What only LOCO has; either is enough, so that a set without the other hears what is missing.
        let isLOCO =
            Directory.kind(of: "\(directory)/validation") == .directory
            || Directory.kind(of: Self.defectsPath(in: directory)) == .file
        layout = isLOCO ? .mvtecLOCO : .mvtecAD
        training = try Self.goodParts(of: "train", in: directory)
        validation = isLOCO ? try Self.goodParts(of: "validation", in: directory) : []
        test = try Self.testImages(in: directory, layout: layout)
    }

    /// The test pictures.
    ///
    /// - Throws: Unless there is at least one good and one anomalous picture, without which nothing can be told apart.
    public func testImages() throws(DatasetError) -> [DatasetImage] {
        guard Directory.kind(of: "\(directory)/test") == .directory else {
            throw .missingSplit(directory: directory, split: "test", found: try Self.found(in: directory))
        }
        let found = try Self.found(in: "\(directory)/test")
        guard test.contains(where: \.isGood) else {
            throw .missingSplit(directory: directory, split: "test/good", found: found)
        }
        guard test.contains(where: { !$0.isGood }) else {
            throw .missingSplit(directory: directory, split: "test/<defect>", found: found)
        }
        return test
    }

    /// Whether the data set says where the defects are.
    public var hasGroundTruth: Bool { Directory.kind(of: "\(directory)/ground_truth") == .directory }

    /// The masks of an anomalous test picture; at least one.
    ///
    /// - Throws: `missingMask` where there is none.
    public func masks(of image: DatasetImage) throws(DatasetError) -> [String] {
        guard !image.maskPaths.isEmpty else {
            let masks = "\(directory)/ground_truth/\(image.kind)/\(image.identifier)"
            throw .missingMask(
                image: image.path, expected: layout == .mvtecLOCO ? "\(masks)/000.png" : "\(masks)_mask.png")
        }
        return image.maskPaths
    }

    /// What the grey values of the masks mean, in MVTec LOCO AD layout.
    public func defectsConfiguration() throws(DatasetError) -> DefectsConfiguration {
        try DefectsConfiguration(path: Self.defectsPath(in: directory))
    }

    private static func defectsPath(in directory: String) -> String { "\(directory)/defects_config.json" }

    /// A folder's name; `.` and `..` are names of whatever folder they lead to.
    private static func name(of directory: String) -> String {
        let name = AtomicFile.split(directory).name
        guard [".", ".."].contains(name), let real = realpath(directory, nil) else { return name }
        defer { free(real) }
        return AtomicFile.split(String(cString: real)).name
    }

    private static func goodParts(of split: String, in directory: String) throws(DatasetError) -> [DatasetImage] {
        for folder in goodFolders where Directory.kind(of: "\(directory)/\(split)/\(folder)") == .directory {
            let path = "\(directory)/\(split)/\(folder)"
            let images = try images(in: path, kind: goodKind) { _ in [] }
            guard !images.isEmpty else { throw .noImages(directory: path, found: try found(in: path)) }
            return images
        }
        throw .missingSplit(
            directory: directory, split: "\(split)/good", found: try found(in: "\(directory)/\(split)"))
    }

    private static func testImages(in directory: String, layout: DatasetLayout) throws(DatasetError) -> [DatasetImage] {
        let test = "\(directory)/test"
        guard Directory.kind(of: test) == .directory else { return [] }
        var good: [DatasetImage] = []
        var anomalous: [DatasetImage] = []
        for folder in try names(in: test) where Directory.kind(of: "\(test)/\(folder)") == .directory {
            if goodFolders.contains(folder) {
                good += try images(in: "\(test)/\(folder)", kind: goodKind) { _ in [] }
            } else {
                let masks = "\(directory)/ground_truth/\(folder)"
                anomalous += try images(in: "\(test)/\(folder)", kind: folder) { (identifier) throws(DatasetError) in
                    try maskPaths(of: identifier, in: masks, layout: layout)
                }
            }
        }
        return good + anomalous
    }

    private static func maskPaths(
        of identifier: String, in directory: String, layout: DatasetLayout
    ) throws(DatasetError) -> [String] {
        switch layout {
        case .mvtecAD:
            let mask = "\(directory)/\(identifier)_mask.png"
            return Directory.kind(of: mask) == .file ? [mask] : []
        case .mvtecLOCO:
            let folder = "\(directory)/\(identifier)"
            guard Directory.kind(of: folder) == .directory else { return [] }
            return try names(in: folder).filter(isImage).map { "\(folder)/\($0)" }
        case .goodParts:
            return []
        }
    }

    private static func images(
        in directory: String, kind: String, masks: (String) throws(DatasetError) -> [String]
    ) throws(DatasetError) -> [DatasetImage] {
        var images: [DatasetImage] = []
        for name in try names(in: directory) where isImage(name) && Directory.kind(of: "\(directory)/\(name)") == .file
        {
            let identifier = String(name[..<(name.lastIndex(of: ".") ?? name.endIndex)])
            images.append(
                DatasetImage(
                    path: "\(directory)/\(name)", kind: kind, identifier: identifier,
                    maskPaths: try masks(identifier)))
        }
        return images
    }

    private static func isImage(_ name: String) -> Bool {
        let lowercased = name.lowercased()
        return !name.hasPrefix(".") && [".png", ".jpg", ".jpeg"].contains { lowercased.hasSuffix($0) }
    }

    private static func names(in directory: String) throws(DatasetError) -> [String] {
        do { return try Directory.names(in: directory) } catch { throw .file(error) }
    }

    /// The first few names, for messages.
    private static func found(in directory: String) throws(DatasetError) -> [String] {
        Array(try names(in: directory).filter { !$0.hasPrefix(".") }.prefix(8))
    }
}

/// Why a folder cannot be used as a data set.
public enum DatasetError: Error, Hashable, Sendable, CustomStringConvertible {
    case notADirectory(String)

    /// A folder that the layout needs is not there or not complete; `found` are up to eight names that are.
    case missingSplit(directory: String, split: String, found: [String])

    /// Neither pictures nor a `train` folder; `found` are up to eight names that are there.
    case noImages(directory: String, found: [String])

    /// An anomalous picture of a data set with `ground_truth` has no mask at the place that its layout gives it.
    case missingMask(image: String, expected: String)

    /// The `defects_config.json` at this path cannot be used.
    case defects(path: String, DefectsConfigurationError)
    case file(FileError)

    public var description: String {
        switch self {
        case .notADirectory(let path):
            "'\(path)' is not a directory; give the folder that holds the pictures, or that holds 'train' and 'test'"
        case .missingSplit(let directory, let split, let found):
            "'\(directory)' has no pictures in '\(split)' (\(Self.list(found))); expected is the layout of MVTec AD or "
                + "MVTec LOCO AD, with 'ok' allowed for 'good'"
        case .noImages(let directory, let found):
            "'\(directory)' has no .png or .jpg pictures (\(Self.list(found))); expected are pictures of good parts, or a "
                + "folder with 'train/good' inside"
        case .missingMask(let image, let expected):
            """
            '\(image)' has no mask; '\(expected)' was expected, since there is a 'ground_truth' folder: add the mask, or \
            remove the folder to evaluate without masks
            """
        case .defects(let path, let error):
            "'\(path)': \(error)"
        case .file(let error):
            error.description
        }
    }

    private static func list(_ names: [String]) -> String {
        names.isEmpty ? "it is empty" : "found: " + names.joined(separator: ", ")
    }
}
