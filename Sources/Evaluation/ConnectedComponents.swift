/// Takes a region apart into its 8-connected components: pixels that meet at a side or a corner belong together.
///
/// The components are the defects that AUPRO counts (ALGORITHMS §5.4). Runs are joined instead of pixels, in one pass with
/// union by the older label, so the time grows with the outline and not with the area.
struct ConnectedComponents {
    /// In the order of their first pixels, top to bottom.
    let regions: [PixelRegion]

    init(of region: PixelRegion) {
        let runs = region.runs
        var labels = DisjointSets(count: runs.count)
        // Both rows are read from left to right: `above` is the first run of the row before that may still touch.
        var above = 0
        for (i, run) in runs.enumerated() {
            while above < i, runs[above].row < run.row - 1 || runs[above].isLeft(of: run) { above += 1 }
            var other = above
            while other < i, runs[other].row == run.row - 1, !run.isLeft(of: runs[other]) {
                labels.join(i, other)
                other += 1
            }
        }

        var members: [[PixelRegion.Run]] = []
        var component = [Int?](repeating: nil, count: runs.count)
        for (i, run) in runs.enumerated() {
            let root = labels.root(of: i)
            if let known = component[root] {
                members[known].append(run)
            } else {
                component[root] = members.count
                members.append([run])
            }
        }
        regions = members.map(PixelRegion.init(runs:))
    }
}

extension PixelRegion.Run {
    /// Whether this run of a neighbouring row ends before the other begins, with at least a pixel between: a corner is
    /// touched where one ends at the column that the other begins with.
    fileprivate func isLeft(of other: PixelRegion.Run) -> Bool {
        row != other.row && columns.upperBound < other.columns.lowerBound
    }
}

/// Sets that only grow together (Galler & Fischer 1964), with halved paths.
private struct DisjointSets {
    private var parents: [Int]

    init(count: Int) { parents = Array(0..<count) }

    mutating func root(of element: Int) -> Int {
        var element = element
        while parents[element] != element {
            parents[element] = parents[parents[element]]
            element = parents[element]
        }
        return element
    }

    mutating func join(_ a: Int, _ b: Int) {
        let (a, b) = (root(of: a), root(of: b))
        parents[max(a, b)] = min(a, b)
    }
}
