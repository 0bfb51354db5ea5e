import AnomalyScoring
import Imaging
import InspectionProtocol
import TensorKernels

extension ScoreFusion {
    /// The map value that, were it the maximum of the map, would reject a part by the picturable branch alone:
    /// `μ_p + threshold·σ_p`.
    var mapLimit: Float { Float(picturable.mean + threshold.value * picturable.deviation) }
}

extension AnomalousRegion {
    /// Regions in one result; the ones beyond have lower peaks.
    static let most = 16

    /// The connected areas (sharing an edge) of an anomaly map that exceed a limit, highest peak first.
    ///
    /// - Parameters:
    ///   - map: `[1, height, width]`, finite.
    ///   - region: What the map shows, in source pixels. Boxes are rounded outwards, areas to the nearest.
    static func find(in map: Tensor, showing region: RegionOfInterest, above limit: Float) -> [AnomalousRegion] {
        let (height, width) = (map.shape[1], map.shape[2])
        let pixelsPerCell = Double(region.width * region.height) / Double(width * height)
        var isVisited = map.values.map { !($0 > limit) }
        var found: [AnomalousRegion] = []
        var waiting: [Int] = []
        for start in isVisited.indices where !isVisited[start] {
            var (left, right, top, bottom) = (width, 0, height, 0)
            var (area, sum, peak) = (0, 0.0, -Double.infinity)
            isVisited[start] = true
            waiting.append(start)
            while let cell = waiting.popLast() {
                let (y, x) = cell.quotientAndRemainder(dividingBy: width)
                (left, right, top, bottom) = (min(left, x), max(right, x), min(top, y), max(bottom, y))
                area += 1
                sum += Double(map.values[cell])
                peak = max(peak, Double(map.values[cell]))
                func visit(_ neighbour: Int) {
                    guard !isVisited[neighbour] else { return }
                    isVisited[neighbour] = true
                    waiting.append(neighbour)
                }
                if x > 0 { visit(cell - 1) }
                if x < width - 1 { visit(cell + 1) }
                if y > 0 { visit(cell - width) }
                if y < height - 1 { visit(cell + width) }
            }
            // Whole cells in, so the box touches every source pixel that a cell of the area lies on.
            let x = left * region.width / width
            let y = top * region.height / height
            let endX = ((right + 1) * region.width + width - 1) / width
            let endY = ((bottom + 1) * region.height + height - 1) / height
            found.append(
                AnomalousRegion(
                    x: region.x + x, y: region.y + y, width: endX - x, height: endY - y,
                    areaInPixels: Int((Double(area) * pixelsPerCell).rounded()), peak: peak, mean: sum / Double(area)))
        }
        return Array(found.sorted { $0.peak > $1.peak }.prefix(most))
    }
}
