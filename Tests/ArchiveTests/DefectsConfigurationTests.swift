import Foundation
import Testing

@testable import Archive

@Suite struct DefectsConfigurationTests {
    let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    @Test func readsBothKindsOfThreshold() throws {
        let path = try directory.write(
            Array(
                """
                [{"defect_name": "1_additional_pushpin", "pixel_value": 255, "saturation_threshold": 6300,
                  "relative_saturation": false},
                 {"defect_name": "color", "pixel_value": 249, "saturation_threshold": 0.5, "relative_saturation": true,
                  "of no matter": []}]
                """.utf8), to: "defects_config.json")
        let defects = try DefectsConfiguration(path: path).defects
        #expect(defects.map(\.name) == ["1_additional_pushpin", "color"])
        #expect(defects.map(\.pixelValue) == [255, 249])
        #expect(defects.map(\.saturationThreshold) == [6300, 0.5])
        #expect(defects.map(\.isRelative) == [false, true])
    }

    @Test(arguments: [
        (0, "1.0", true, DefectsConfigurationError.pixelValueOutOfRange(0, defect: "b")),
        (256, "1.0", true, .pixelValueOutOfRange(256, defect: "b")),
        (7, "1.0", true, .repeatedPixelValue(7, defect: "b")),
        (8, "0", true, .unusableThreshold(0, isRelative: true, defect: "b")),
        (8, "1.5", true, .unusableThreshold(1.5, isRelative: true, defect: "b")),
        (8, "0", false, .unusableThreshold(0, isRelative: false, defect: "b")),
        (8, "12.5", false, .unusableThreshold(12.5, isRelative: false, defect: "b")),
        (8, "1e300", false, .unusableThreshold(1e300, isRelative: false, defect: "b")),
    ])
    func refusesWhatNoMaskCanMean(
        _ value: Int, threshold: String, isRelative: Bool, error: DefectsConfigurationError
    ) {
        let json = """
            [{"defect_name": "a", "pixel_value": 7, "saturation_threshold": 1, "relative_saturation": true},
             {"defect_name": "b", "pixel_value": \(value), "saturation_threshold": \(threshold),
              "relative_saturation": \(isRelative)}]
            """
        #expect(throws: error) { try DefectsConfiguration(json: json) }
    }

    @Test func refusesOtherFiles() throws {
        #expect(throws: DefectsConfigurationError.empty) { try DefectsConfiguration(json: "[]") }
        for json in ["", "{}", "[1]", #"[{"defect_name": "a"}]"#, "[{\"defect_name\": \"a\", "] {
            let refusal = #expect(throws: DefectsConfigurationError.self, "\(json)") {
                try DefectsConfiguration(json: json)
            }
            #expect(refusal?.description.contains("'saturation_threshold'") == true)
        }
        let path = try directory.write(Array("[]".utf8), to: "defects_config.json")
        #expect(throws: DatasetError.defects(path: path, .empty)) { try DefectsConfiguration(path: path) }
        #expect(throws: DatasetError.file(FileError(.open, directory.file("none"), .missing))) {
            try DefectsConfiguration(path: directory.file("none"))
        }
        #expect(throws: DatasetError.file(FileError(.open, directory.path, .isADirectory))) {
            try DefectsConfiguration(path: directory.path)
        }
    }
}
