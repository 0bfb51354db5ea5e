import Testing

@testable import Evaluation

@Suite struct ConnectedComponentsTests {
    @Test func cornersConnect() {
        let components = Self.components(
            [
                "#..#.",
                ".#..#",
                "...#.",
                "#....",
            ])
        #expect(components == [[0, 6], [3, 9, 13], [15]])
    }

    @Test func aLateBridgeJoinsWhatStandsApart() {
        // A comb, a spiral and a cup: labels given first turn out to be equal later.
        #expect(Self.components(["#.#.#", "#.#.#", "#####"]).count == 1)
        #expect(Self.components(["#####", "....#", "###.#", "#...#", "#####"]).count == 1)
        #expect(Self.components(["#...#", ".#.#.", "..#.."]).count == 1)
        #expect(Self.components(["##.##", ".....", "##.##"]).count == 4)
        #expect(Self.components(["...", "..."]).isEmpty)
    }

    @Test func runsOfNeighbouringRowsMeetAtTheRowsEnds() {
        // The last column and the first of the next row are no neighbours.
        #expect(Self.components(["..#", "#..", "..#"]).count == 3)
    }

    @Test func areThoseOfAFloodFill() {
        var generator = CongruentialGenerator(seed: 3)
        for round in 0..<300 {
            let (width, height) = (1 + generator.below(12), 1 + generator.below(12))
            let density = 10 + generator.below(80)
            let mask: [UInt8] = (0..<width * height).map { _ in generator.below(100) < density ? 200 : 0 }
            #expect(
                Self.components(mask, width: width) == Self.floodFill(mask, width: width, height: height),
                "round \(round): \(mask) in rows of \(width)")
        }
    }

    /// The components of a drawing, each as its pixels' numbers.
    private static func components(_ rows: [String]) -> [[Int]] {
        components(rows.joined().map { $0 == "#" ? 255 : 0 }, width: rows[0].count)
    }

    private static func components(_ mask: [UInt8], width: Int) -> [[Int]] {
        let regions = ConnectedComponents(of: PixelRegion(nonZeroPixelsOf: mask.span, width: width)).regions
        return regions.map { region in
            let pixels = region.runs.flatMap { run in run.columns.map { run.row * width + $0 } }
            #expect(pixels.count == region.area)
            return pixels
        }
    }

    private static func floodFill(_ mask: [UInt8], width: Int, height: Int) -> [[Int]] {
        var left = Set(mask.indices.filter { mask[$0] != 0 })
        var components: [[Int]] = []
        for start in mask.indices where left.contains(start) {
            var component: [Int] = []
            var waiting = [start]
            left.remove(start)
            while let pixel = waiting.popLast() {
                component.append(pixel)
                let (y, x) = (pixel / width, pixel % width)
                for v in max(0, y - 1)...min(height - 1, y + 1) {
                    for u in max(0, x - 1)...min(width - 1, x + 1) {
                        if left.remove(v * width + u) != nil { waiting.append(v * width + u) }
                    }
                }
            }
            components.append(component.sorted())
        }
        return components
    }
}
