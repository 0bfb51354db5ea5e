import Foundation
import Testing

extension CommandTests {
    @Suite struct EvaluateTests {
        @Test func judgesATestSetAndWritesMaps() throws {
            let directory = try TemporaryDirectory()
            let trained = try Workshop.trained()
            let result = try succeedingBeltwatch(
                "evaluate", "\(trained)/trays", "--model", "\(trained)/model.safetensors", "--maps",
                directory.file("maps"))
            for words in [
                "trays, MVTec LOCO AD layout", "test pictures: 3 good, 3 logical_anomalies, 2 structural_anomalies",
                "image_AUROC", "3+5", "mean-of-two", "pixel_AUROC", "sPRO@0.05", "false_reject_rate", "escape_rate",
                "conformal", "5 good parts of 'validation/good'", "f1_optimal",
            ] {
                #expect(result.output.contains(words), "\(result.output)")
            }
            #expect(!result.output.contains("AUPRO"))
            let test = "\(trained)/trays/test"
            for kind in ["good", "logical_anomalies", "structural_anomalies"] {
                for picture in try FileManager.default.contentsOfDirectory(atPath: "\(test)/\(kind)") {
                    let map = directory.file("maps/trays/test/\(kind)/\(picture.dropLast(4))")
                    let tiff = try contents(of: map + ".tiff")
                    #expect(tiff.starts(with: Data("II*\0".utf8)))
                    // 320×320 floats, as large as the pictures, behind the header.
                    #expect((0..<1024).contains(tiff.count - 4 * 320 * 320), "\(tiff.count) bytes")
                    #expect(try contents(of: map + ".png").starts(with: Data([0x89, 0x50, 0x4e, 0x47])))
                }
            }
        }

        @Test func jsonHasEveryFigureOfTheLOCOLayout() throws {
            let report = try Self.json(of: "\(try Workshop.trained())/trays")
            #expect(report["category"] as? String == "trays")
            #expect(report["layout"] as? String == "MVTec LOCO AD")
            #expect((report["model_sha256"] as? String)?.count == 64)
            #expect(report["good"] as? Int == 3)
            #expect(report["defects"] as? [String: Int] == ["logical_anomalies": 3, "structural_anomalies": 2])
            let auroc = try #require(report["image_AUROC"] as? [String: [String: Any]])
            #expect(auroc.keys.sorted() == ["fused", "picturable", "unpicturable"])
            #expect(auroc["fused"]?["mean_of_two"] is [String: Double])
            let pixels = try #require(report["pixel_AUROC"] as? [String: Any])
            #expect((0...1).contains(try #require(pixels["pooled"] as? Double)))
            let overlap = try #require(report["sPRO@0.05"] as? [String: Any])
            let kinds = try #require(overlap["per_defect"] as? [String: Double])
            #expect(kinds.keys.sorted() == ["logical_anomalies", "structural_anomalies"])
            // Up to the last digit, which decimal text does not always keep.
            let mean = try #require(overlap["mean_of_two"] as? Double)
            #expect(abs(mean - kinds.values.reduce(0, +) / 2) < 1e-12)
            #expect(report["AUPRO@0.3"] is NSNull)
            let conformal = try #require(report["conformal"] as? [String: [String: Any]])
            #expect(conformal["picturable"]?["calibration_parts"] as? Int == 5)
            #expect((report["f1_optimal"] as? [String: Any])?.count == 3)
        }

        @Test func jsonHasEveryFigureOfTheADLayout() throws {
            let industrial = try IndustrialSet()
            let report = try Self.json(of: industrial.path)
            #expect(report["layout"] as? String == "MVTec AD")
            #expect(report["sPRO@0.05"] is NSNull)
            let overlap = try #require(report["AUPRO@0.3"] as? [String: Any])
            #expect((overlap["per_defect"] as? [String: Double])?.keys.sorted() == ["dent", "scratch"])
            #expect((0...1).contains(try #require(overlap["pooled"] as? Double)))
            let auroc = try #require(report["image_AUROC"] as? [String: [String: Any]])
            #expect(auroc["fused"]?["mean_of_two"] is NSNull)
            let conformal = try #require(report["conformal"] as? [String: Any])
            #expect(conformal["picturable"] is NSNull && conformal["unpicturable"] is NSNull)

            let table = try Self.evaluate(industrial.path).output
            #expect(table.contains(/mean-of-two +3\+5 +– +– +–/), "\(table)")
        }

        @Test func withoutGroundTruthTheMapsAreNotMeasured() throws {
            let industrial = try IndustrialSet()
            try industrial.remove("ground_truth")
            let report = try Self.json(of: industrial.path)
            #expect(report["pixel_AUROC"] is NSNull && report["AUPRO@0.3"] is NSNull)
            #expect(try Self.evaluate(industrial.path).output.contains("no 'ground_truth' folder"))
        }

        @Test func theFolderItStandsInHasAName() throws {
            let trained = try Workshop.trained()
            let result = try beltwatch(
                "evaluate", ".", "--model", "\(trained)/model.safetensors", "--json", in: "\(trained)/trays")
            #expect(result.output.contains(#""category" : "trays""#), "\(result.errors)")
        }

        @Test func mapsThatCannotBeWrittenAreFoundBeforeTheWork() throws {
            let directory = try TemporaryDirectory()
            let file = try directory.write(Data(), to: "file")
            let trained = try Workshop.trained()
            let result = try beltwatch(
                "evaluate", "\(trained)/trays", "--model", "\(trained)/model.safetensors", "--maps", "\(file)/maps")
            #expect(result.status == 73)
            #expect(!result.errors.contains("scoring"), "\(result.errors)")
        }

        @Test func aFolderWithoutDefectsCannotBeJudged() throws {
            let trained = try Workshop.trained()
            try Self.expectRefused(of: "\(trained)/trays/train/good", saying: "'test'")
            try Self.expectRefused(of: "\(trained)/absent", status: 66, saying: "absent")
            try expectRefusal(
                ["evaluate", "\(trained)/trays", "--model", "\(trained)/absent"], status: 66, saying: "does not exist")
            let industrial = try IndustrialSet()
            try industrial.remove("test/good")
            try Self.expectRefused(of: industrial.path, saying: "'test/good'", "found: dent, scratch")
        }

        // MARK: - Masks

        @Test func masksThatDoNotFitAreRefusedByName() throws {
            let missing = try IndustrialSet()
            try missing.remove("ground_truth/dent/001_mask.png")
            try Self.expectRefused(of: missing.path, saying: "test/dent/001.png", "has no mask", "001_mask.png")

            let small = try IndustrialSet()
            try small.write(eightByEightWhite, to: "ground_truth/dent/000_mask.png")
            try Self.expectRefused(of: small.path, saying: "test/dent/000.png", "8×8", "320×320")

            let coloured = try IndustrialSet()
            try coloured.copy("test/good/000.png", to: "ground_truth/dent/000_mask.png")
            try Self.expectRefused(of: coloured.path, saying: "000_mask.png", "colour")

            let damaged = try IndustrialSet()
            try damaged.write(Data("no picture".utf8), to: "ground_truth/dent/000_mask.png")
            try Self.expectRefused(of: damaged.path, saying: "000_mask.png")
        }

        @Test func definitionsThatDoNotFitTheMasksAreRefused() throws {
            let trays = try TemporaryDirectory()
            let copy = trays.file("trays")
            try FileManager.default.copyItem(atPath: "\(try Workshop.trained())/trays", toPath: copy)
            let definitions = trays.file("trays/defects_config.json")
            try Data(
                #"[{"defect_name":"a","pixel_value":3,"saturation_threshold":1.0,"relative_saturation":true}]"#.utf8
            ).write(to: URL(filePath: definitions))
            try Self.expectRefused(of: copy, saying: "ground_truth/", "defects_config.json does not define", "it has 3")
            try Data("[]".utf8).write(to: URL(filePath: definitions))
            try Self.expectRefused(of: copy, saying: "defects_config.json", "lists no defect")
            try FileManager.default.removeItem(atPath: definitions)
            try Self.expectRefused(of: copy, status: 66, saying: "defects_config.json", "does not exist")
            try FileManager.default.removeItem(atPath: trays.file("trays/validation/good"))
            try Self.expectRefused(of: copy, saying: "'validation/good'")
        }

        @Test func picturesThatCannotBeReadAreSkippedOrRefused() throws {
            let industrial = try IndustrialSet()
            try industrial.write(Data("no picture".utf8), to: "test/good/000.png")
            let result = try Self.evaluate(industrial.path)
            #expect(result.errors.contains("skipped 1 of 8 pictures"))
            #expect(result.output.contains("2 good"))
            try Self.expectRefused(of: industrial.path, with: ["--strict"], saying: "test/good/000.png")
        }

        // MARK: -

        private static func evaluate(_ folder: String) throws -> RunningCommand.Result {
            try succeedingBeltwatch("evaluate", folder, "--model", "\(try Workshop.trained())/model.safetensors")
        }

        private static func json(of folder: String) throws -> [String: Any] {
            let result = try succeedingBeltwatch(
                "evaluate", folder, "--model", "\(try Workshop.trained())/model.safetensors", "--json")
            return try #require(JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any])
        }

        private static func expectRefused(
            of folder: String, with options: [String] = [], status: Int32 = 65, saying words: String...,
            sourceLocation: SourceLocation = #_sourceLocation
        ) throws {
            let result = try RunningCommand(
                ["evaluate", folder, "--model", "\(try Workshop.trained())/model.safetensors"] + options
            ).result()
            #expect(result.status == status, "\(result.errors)", sourceLocation: sourceLocation)
            for word in words {
                #expect(result.errors.contains(word), "\(result.errors)", sourceLocation: sourceLocation)
            }
        }
    }
}

/// A grey PNG file of 8×8 pixels, all 255.
private let eightByEightWhite =
    Data(
        base64Encoded:
            "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAAAAADhZOFXAAAADklEQVR42mP4DwUMlDEA98A/wa9cD80AAAAASUVORK5CYII=")
    ?? Data()

/// The workshop's trays in MVTec AD layout: logical anomalies as `dent`, structural ones as `scratch`, each with the first
/// of its masks.
private struct IndustrialSet {
    private let directory: TemporaryDirectory

    var path: String { directory.file("parts") }

    init() throws {
        directory = try TemporaryDirectory()
        let trays = "\(try Workshop.trained())/trays"
        let files = FileManager.default
        for (from, to) in [
            ("train", "train"), ("test/good", "test/good"), ("test/logical_anomalies", "test/dent"),
            ("test/structural_anomalies", "test/scratch"),
        ] {
            try files.createDirectory(
                at: URL(filePath: "\(path)/\(to)").deletingLastPathComponent(), withIntermediateDirectories: true)
            try files.copyItem(atPath: "\(trays)/\(from)", toPath: "\(path)/\(to)")
        }
        for (from, to) in [("logical_anomalies", "dent"), ("structural_anomalies", "scratch")] {
            try files.createDirectory(atPath: "\(path)/ground_truth/\(to)", withIntermediateDirectories: true)
            for picture in try files.contentsOfDirectory(atPath: "\(trays)/ground_truth/\(from)") {
                try files.copyItem(
                    atPath: "\(trays)/ground_truth/\(from)/\(picture)/000.png",
                    toPath: "\(path)/ground_truth/\(to)/\(picture)_mask.png")
            }
        }
    }

    func remove(_ name: String) throws { try FileManager.default.removeItem(atPath: "\(path)/\(name)") }

    func write(_ data: Data, to name: String) throws { try data.write(to: URL(filePath: "\(path)/\(name)")) }

    func copy(_ name: String, to other: String) throws { try write(contents(of: "\(path)/\(name)"), to: other) }
}
