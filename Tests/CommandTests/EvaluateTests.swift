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
            for word in ["image_AUROC", "3+5", "mean-of-two", "logical_anomalies", "false_reject_rate", "escape_rate"] {
                #expect(result.output.contains(word), "\(result.output)")
            }
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

            let json = try succeedingBeltwatch(
                "evaluate", "\(trained)/trays", "--model", "\(trained)/model.safetensors", "--json")
            let report = try #require(JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any])
            #expect(report["good"] as? Int == 3)
            #expect(report["defects"] as? [String: Int] == ["logical_anomalies": 3, "structural_anomalies": 2])
            #expect(
                (report["image_AUROC"] as? [String: Any])?.count == 3)
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
            let model = "\(trained)/model.safetensors"
            try expectRefusal(
                ["evaluate", "\(trained)/trays/train/good", "--model", model], status: 65, saying: "'test'")
            try expectRefusal(["evaluate", "\(trained)/absent", "--model", model], status: 66, saying: "absent")
            try expectRefusal(
                ["evaluate", "\(trained)/trays", "--model", "\(trained)/absent"], status: 66, saying: "does not exist")
        }
    }
}
