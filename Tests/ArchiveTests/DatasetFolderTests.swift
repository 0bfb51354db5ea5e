import Foundation
import Testing

@testable import Archive

@Suite struct DatasetFolderTests {
    let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    @Test func readsMVTecAD() throws {
        try add([
            "train/good/001.png", "train/good/000.PNG", "train/good/.hidden.png", "train/good/notes.txt",
            "test/scratch/000.png", "test/good/000.jpg", "test/dent/010.jpeg", "test/dent/009.png",
            "ground_truth/scratch/000_mask.png", "ground_truth/dent/009_mask.png",
        ])
        let folder = try DatasetFolder(directory.path + "/")
        #expect(folder.layout == .mvtecAD)
        #expect(folder.category == directory.path.split(separator: "/").last.map(String.init))
        #expect(folder.training.map(\.path) == ["train/good/000.PNG", "train/good/001.png"].map(directory.file))
        #expect(folder.validation.isEmpty)
        #expect(try folder.testImages().map(\.kind) == ["good", "dent", "dent", "scratch"])
        #expect(folder.test.map(\.identifier) == ["000", "009", "010", "000"])
        #expect(folder.test.map(\.isGood) == [true, false, false, false])
        #expect(
            folder.test.map(\.maskPaths)
                == [
                    [], [directory.file("ground_truth/dent/009_mask.png")], [],
                    [directory.file("ground_truth/scratch/000_mask.png")],
                ])
    }

    @Test func readsMVTecLOCO() throws {
        try add([
            "train/good/000.png", "validation/good/000.png", "test/good/000.png",
            "test/logical_anomalies/000.png", "test/structural_anomalies/001.png",
            "ground_truth/logical_anomalies/000/001.png", "ground_truth/logical_anomalies/000/000.png",
            "ground_truth/structural_anomalies/001/000.png", "defects_config.json",
        ])
        let folder = try DatasetFolder(directory.path)
        #expect(folder.layout == .mvtecLOCO)
        #expect(folder.validation.map(\.path) == [directory.file("validation/good/000.png")])
        #expect(
            folder.test.map(\.maskPaths)
                == [
                    [], ["000", "001"].map { directory.file("ground_truth/logical_anomalies/000/\($0).png") },
                    [directory.file("ground_truth/structural_anomalies/001/000.png")],
                ])
    }

    @Test func aFolderHasItsRealNameHoweverItIsGiven() throws {
        try add(["bottles/train/good/0.png", "bottles/test/good/0.png"])
        for path in ["bottles", "bottles/", "bottles/.", "bottles/test/.."].map(directory.file) {
            #expect(try DatasetFolder(path).category == "bottles", "\(path)")
        }
        // A link is what its owner calls it.
        try FileManager.default.createSymbolicLink(
            atPath: directory.file("line3"), withDestinationPath: directory.file("bottles"))
        #expect(try DatasetFolder(directory.file("line3")).category == "line3")
    }

    @Test func theDefectsOfLOCOAloneMakeAValidationSplitMissing() throws {
        try add(["train/good/000.png", "test/good/000.png", "test/logical_anomalies/000.png", "defects_config.json"])
        #expect(throws: DatasetError.file(FileError(.list, directory.file("validation"), .missing))) {
            try DatasetFolder(directory.path)
        }
        try add(["validation/bad/000.png"])
        #expect(
            throws: DatasetError.missingSplit(
                directory: directory.path, split: "validation/good", found: ["bad"])
        ) { try DatasetFolder(directory.path) }
    }

    @Test func saysWhichMaskIsMissing() throws {
        try add([
            "train/good/0.png", "test/good/0.png", "test/dent/0.png", "test/dent/1.png", "ground_truth/dent/0_mask.png",
        ])
        let industrial = try DatasetFolder(directory.path)
        #expect(industrial.hasGroundTruth)
        #expect(try industrial.masks(of: industrial.test[1]) == [directory.file("ground_truth/dent/0_mask.png")])
        #expect(
            throws: DatasetError.missingMask(
                image: directory.file("test/dent/1.png"), expected: directory.file("ground_truth/dent/1_mask.png"))
        ) { try industrial.masks(of: industrial.test[2]) }

        try add(["validation/good/0.png"])
        let logical = try DatasetFolder(directory.path)
        #expect(
            throws: DatasetError.missingMask(
                image: directory.file("test/dent/0.png"), expected: directory.file("ground_truth/dent/0/000.png"))
        ) { try logical.masks(of: logical.test[1]) }
        #expect(throws: DatasetError.file(FileError(.open, directory.file("defects_config.json"), .missing))) {
            try logical.defectsConfiguration()
        }
    }

    @Test func readsOkForGood() throws {
        try add(["train/ok/0.png", "test/ok/1.png", "test/ng/2.png"])
        let folder = try DatasetFolder(directory.path)
        #expect(folder.training.map(\.kind) == ["good"])
        #expect(try folder.testImages().map(\.kind) == ["good", "ng"])
        #expect(folder.test[0].mapPath(in: "maps", category: "c") == "maps/c/test/ok/1.tiff")
    }

    @Test func readsAFolderOfGoodParts() throws {
        try add(["b.jpg", "a.png", "readme.md", "sub/c.png"])
        let folder = try DatasetFolder(directory.path)
        #expect(folder.layout == .goodParts)
        #expect(folder.training.map(\.path) == ["a.png", "b.jpg"].map(directory.file))
        #expect(
            throws: DatasetError.missingSplit(
                directory: directory.path, split: "test", found: ["a.png", "b.jpg", "readme.md", "sub"])
        ) {
            try folder.testImages()
        }
    }

    @Test func saysWhatWasFoundInsteadOfADataset() throws {
        #expect(throws: DatasetError.file(FileError(.list, directory.file("none"), .missing))) {
            try DatasetFolder(directory.file("none"))
        }
        #expect(throws: DatasetError.noImages(directory: directory.path, found: [])) {
            try DatasetFolder(directory.path)
        }
        try add(["notes.txt"])
        #expect(throws: DatasetError.noImages(directory: directory.path, found: ["notes.txt"])) {
            try DatasetFolder(directory.path)
        }
        #expect(throws: DatasetError.notADirectory(directory.file("notes.txt"))) {
            try DatasetFolder(directory.file("notes.txt"))
        }
        try add(["test/good/0.png"])
        #expect(
            throws: DatasetError.missingSplit(
                directory: directory.path, split: "train/good", found: ["notes.txt", "test"])
        ) { try DatasetFolder(directory.path) }
        try add(["train/bad/0.png"])
        #expect(
            throws: DatasetError.missingSplit(directory: directory.path, split: "train/good", found: ["bad"])
        ) { try DatasetFolder(directory.path) }
        try add(["train/good/readme"])
        #expect(throws: DatasetError.noImages(directory: directory.file("train/good"), found: ["readme"])) {
            try DatasetFolder(directory.path)
        }
        try add(["train/good/0.png"])
        #expect(
            throws: DatasetError.missingSplit(directory: directory.path, split: "test/<defect>", found: ["good"])
        ) { try DatasetFolder(directory.path).testImages() }
    }

    @Test(.enabled(if: Directory.kind(of: Self.bottle) != nil, "needs ../shared/data/mvtec_ad/bottle"))
    func countsTheRealBottles() throws {
        let folder = try DatasetFolder(Self.bottle)
        #expect(folder.layout == .mvtecAD)
        #expect(folder.category == "bottle")
        #expect(folder.training.count == 209)
        let test = try folder.testImages()
        #expect(test.count { $0.isGood } == 20)
        #expect(test.count { $0.maskPaths.count == 1 } == 63)
        #expect(test.count == 83)
    }

    private static let bottle = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("shared/data/mvtec_ad/bottle")
        .path

    private func add(_ names: [String]) throws {
        for name in names { try directory.write([], to: name) }
    }
}
