import Foundation
import TensorKernels
import Testing

@testable import Archive

@Suite struct TIFFFileTests {
    let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    @Test func bytesAreTheOnesOfTheFormat() {
        let map = Tensor(shape: [1, 2, 3], values: [0, 1, -1, 0.5, .greatestFiniteMagnitude, .nan])
        let file = TIFFFile.bytes(of: map)
        func number(_ offset: Int, _ width: Int) -> Int {
            file[offset..<offset + width].reversed().reduce(0) { $0 << 8 | Int($1) }
        }
        #expect(Array(file[0..<4]) == [0x49, 0x49, 42, 0])
        let start = number(4, 4)
        var fields: [Int: Int] = [:]
        var tags: [Int] = []
        for entry in 0..<number(start, 2) {
            let offset = start + 2 + 12 * entry
            let type = number(offset + 2, 2)
            #expect(number(offset + 4, 4) == 1)
            tags.append(number(offset, 2))
            fields[number(offset, 2)] = number(offset + 8, type == 3 ? 2 : 4)
        }
        #expect(tags == tags.sorted())
        #expect(number(start + 2 + 12 * tags.count, 4) == 0)
        let expected = [256: 3, 257: 2, 258: 32, 259: 1, 262: 1, 277: 1, 278: 2, 279: 24, 296: 1, 339: 3]
        for (tag, value) in expected { #expect(fields[tag] == value, "tag \(tag)") }
        let pixels = fields[273] ?? 0
        #expect(pixels % 4 == 0)
        #expect(file.count == pixels + 24)
        #expect((0..<6).map { UInt32(number(pixels + 4 * $0, 4)) } == map.values.map(\.bitPattern))
        let resolution = fields[282] ?? 0
        #expect(number(resolution, 4) == 1 && number(resolution + 4, 4) == 1)
    }

    @Test func createsTheFoldersThatEvaluatorsExpect() throws {
        let image = DatasetImage(
            path: "/data/bottle/test/broken/007.png", kind: "broken", identifier: "007", maskPaths: [])
        let path = image.mapPath(in: directory.file("maps"), category: "bottle")
        #expect(path == directory.file("maps/bottle/test/broken/007.tiff"))
        let map = Tensor(shape: [2, 1], values: [1, 2])
        try TIFFFile.write(map, to: path)
        #expect(try bytes(of: path) == TIFFFile.bytes(of: map))
    }
}
